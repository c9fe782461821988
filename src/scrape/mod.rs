//! Scraping: pulls samples from targets, as Prometheus does, and stores them through
//! [`crate::ingest`].
//!
//! [`scraper::Scraper`] is the entry. It has a pool per job and a loop per target. A loop waits for
//! its tick ([`plan`]), exchanges request and response ([`request`]), and stores the scrape as a
//! unit ([`mod@unit`]), with what it kept from earlier scrapes ([`cache`]).
//!
//! | module | contents |
//! |---|---|
//! | [`cache`] | what a target keeps between two scrapes |
//! | [`clock`] | clocks of the scraper |
//! | [`failure_log`] | file for failed exchanges |
//! | [`metrics`] | metrics `prometheus_target_*` |
//! | [`plan`] | times of scrapes and of delayed stale markers, as functions of values |
//! | [`pool`] | scrape pools and loops |
//! | [`request`] | the request of a scrape and its response |
//! | `sample_limit_fill` | share of its `sample_limit` that a target uses |
//! | [`scraper`] | entry: the pools of all jobs |
//! | [`target`] | labels of targets and of their series |
//! | [`threads`] | threads of the loops |
//! | [`mod@unit`] | storage of a scrape as a unit |

pub mod cache;
pub mod clock;
pub mod failure_log;
pub mod metrics;
pub mod plan;
pub mod pool;
pub mod request;
mod sample_limit_fill;
pub mod scraper;
pub mod target;
pub mod threads;
pub mod unit;

#[cfg(test)]
mod tests;

//! Scraping: pulls samples from targets, as Prometheus does, and stores them through
//! [`crate::ingest`].
//!
//! | module | contents |
//! |---|---|
//! | [`cache`] | what a target keeps between two scrapes |
//! | [`failure_log`] | file for failed exchanges |
//! | [`plan`] | times of scrapes and of delayed stale markers, as functions of values |
//! | [`request`] | the request of a scrape and its response |
//! | [`target`] | labels of targets and of their series |

pub mod cache;
pub mod failure_log;
pub mod plan;
pub mod request;
pub mod target;

//! Scrape pools: the targets of a job, and a loop for each.
//!
//! | module | contents |
//! |---|---|
//! | `equal_labels` | targets with equal labels |
//! | [`job`] | settings of a job, and the cost of their change |
//! | `log_watch` | time that scrapes wait for the WAL |
//! | `loop_config` | configuration of a loop |
//! | [`scrape_loop`] | loop of one target |
//! | [`scrape_pool`] | targets of one job: sync, reload, end |
//! | [`shared`] | state that all pools share |
//! | [`status`] | state of a target for the API |
//! | `storing` | storage of an exchanged scrape, and the thread that does it |

pub(in crate::scrape) mod equal_labels;
pub mod job;
mod log_watch;
mod loop_config;
pub mod scrape_loop;
pub mod scrape_pool;
pub mod shared;
pub mod status;
mod storing;

#[cfg(test)]
mod tests;

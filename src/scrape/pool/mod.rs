//! Scrape pools: the targets of a job, and a loop for each.
//!
//! | module | contents |
//! |---|---|
//! | `equal_labels` | targets with equal labels |
//! | [`job`] | settings of a job, and the cost of their change |
//! | [`scrape_loop`] | loop of one target |
//! | [`scrape_pool`] | targets of one job: sync, reload, end |
//! | [`shared`] | state that all pools share |
//! | [`status`] | state of a target for the API |

pub(in crate::scrape) mod equal_labels;
pub mod job;
pub mod scrape_loop;
pub mod scrape_pool;
pub mod shared;
pub mod status;

#[cfg(test)]
mod tests;

//! Service discovery: finds the targets of scrape jobs.
//!
//! [`Providers`](providers::Providers) runs one task per distinct discovery configuration and
//! merges the groups of each job. [`TargetUpdates`](providers::updates::TargetUpdates) hands them
//! to the scraper. Scraping depends on this module, not the reverse.
//!
//! | module | content |
//! |---|---|
//! | [`error`] | errors of discovery |
//! | [`groups`] | groups of the running providers |
//! | [`kinds`] | one folder or file per kind of discovery |
//! | [`metrics`] | metrics `prometheus_sd_*` |
//! | [`providers`] | running providers, shared by jobs and across reloads |
//! | [`target_group`] | groups of targets |

pub mod error;
pub mod groups;
pub mod kinds;
pub mod metrics;
pub mod providers;
pub mod target_group;

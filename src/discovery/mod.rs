//! Service discovery: finds the targets of scrape jobs.
//!
//! [`Providers`](providers::Providers) runs one task per distinct discovery configuration and
//! merges the groups of each job. [`TargetUpdates`](providers::updates::TargetUpdates) hands them
//! to the scraper. Scraping depends on this module, not the reverse.
//!
//! | module | content |
//! |---|---|
//! | `address` | addresses of targets |
//! | [`error`] | errors of discovery |
//! | `fake_server` | scripted HTTP server for tests |
//! | `group_list` | lists of groups in JSON and YAML |
//! | [`groups`] | groups of the running providers |
//! | [`kinds`] | one folder or file per kind of discovery |
//! | `label_name` | parts of label names |
//! | [`metrics`] | metrics `prometheus_sd_*` |
//! | [`providers`] | running providers, shared by jobs and across reloads |
//! | `refresh` | providers that ask for their targets at an interval |
//! | `story` | recorded story, for tests |
//! | [`target_group`] | groups of targets |

mod address;
pub mod error;
#[cfg(test)]
mod fake_server;
mod group_list;
pub mod groups;
pub mod kinds;
mod label_name;
pub mod metrics;
pub mod providers;
mod refresh;
#[cfg(test)]
mod story;
pub mod target_group;

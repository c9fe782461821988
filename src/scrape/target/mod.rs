//! Labels of targets and of their series; pure functions.
//!
//! A discovery finds groups of targets. [`discovered::discovered_labels`] adds the defaults of the
//! job, [`resolve::resolve`] runs the relabeling rules and checks the result. Target labels with
//! the prefix `__` configure the scrape; the others are added to every series
//! ([`series_labels`]).
//!
//! | module | contents |
//! |---|---|
//! | [`defaults`] | settings of a job that labels of a target override |
//! | [`discovered`] | labels of a target before relabeling |
//! | [`error`] | errors of one target |
//! | [`label_names`] | labels with a meaning |
//! | [`resolve`] | relabeling and checks of a target |
//! | [`series_labels`] | labels of the target on its series |
//! | `url` | URL of a target |
//!
//! Source: Prometheus's `scrape/target.go`.

pub mod defaults;
pub mod discovered;
pub mod error;
pub mod label_names;
pub mod resolve;
pub mod series_labels;
mod url;

#[cfg(test)]
mod tests;

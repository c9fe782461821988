//! One scrape as a unit: it is stored completely, or none of its samples are.
//!
//! 1. [`check`] reads the whole body, resolves the labels of unknown series, and applies all limits
//!    of the job. Its result is staged; storage is not touched.
//! 2. [`store`] appends the staged samples, the stale markers and the series of the scraper itself,
//!    and commits them together. If the check failed, only markers and the scraper's series are
//!    written.
//!
//! Samples that storage rejects (out of order, duplicates, too far in the future) do not fail the
//! scrape. They are counted, and the first ones are named.
//!
//! | module | contents |
//! |---|---|
//! | [`check`] | from a body to staged samples |
//! | [`error`] | errors that fail a scrape |
//! | [`label_limits`] | limits of the labels of a series |
//! | [`preview`] | what a scrape would store, without a database |
//! | [`report`] | series of the scraper itself, such as `up` |
//! | [`settings`] | settings of a target that the unit uses |
//! | [`staging`] | samples of a scrape before they are appended |
//! | [`store`] | appends and commit, and the state that a target keeps |
//! | [`trace`] | how each exposed series gets its labels |

pub mod check;
pub mod error;
pub mod label_limits;
pub mod preview;
pub mod report;
pub mod settings;
pub mod staging;
pub mod store;
pub mod trace;

#[cfg(test)]
mod tests;

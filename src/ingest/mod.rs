//! Ingestion: the only way by which the protocols write to the database.
//!
//! A protocol decodes its messages and describes each series as a
//! [`request_series::RequestSeries`]. Everything after that is here: limits of items, canonical
//! labels, the check against the server clock, rejections, metadata, and the outcome. The code
//! knows no wire format and blocks its thread while it waits for the WAL.
//!
//! # Invariant
//! Every item of a request is either stored or counted in the outcome under one reason. A rejected
//! item does not change the fate of the others.
//!
//! | module | content |
//! |---|---|
//! | `ingester` | samples, exemplars and metadata of a request into the appender |
//! | [`request_series`] | trait for a series of a request, common to all protocols |
//! | [`item_error`] | errors of values that a protocol cannot make storable |
//! | `canonical_labels` | label set of a series, checked and sorted |
//! | [`metadata`] | metadata of a metric family and its limits |
//! | [`limits`] | limits of the items of a request |
//! | [`outcome`] | counts of stored and rejected items |
//! | [`reject_reason`] | reasons for a rejection |
//! | [`rejections`] | rejected items by reason, with the first series by name |
//! | `test_series` | series in memory, for tests |
//! | [`clock_skew`] | time by which samples are ahead of the server clock |

mod canonical_labels;
pub mod clock_skew;
pub(crate) mod ingester;
pub mod item_error;
pub mod limits;
pub mod metadata;
pub mod outcome;
pub mod reject_reason;
pub mod rejections;
pub mod request_series;
#[cfg(test)]
mod test_series;

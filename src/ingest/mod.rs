//! Ingestion: the only way by which the protocols write to the database.
//!
//! A protocol checks its message and describes it as a [`write_request::WriteRequest`], which
//! [`ingester::ingest`] stores. Everything after that is here: limits of items, canonical labels,
//! the check against the server clock, rejections, metadata, and the outcome. The code knows no
//! wire format and blocks its thread while it waits for the WAL.
//!
//! # Invariant
//! Every item of a request is either stored or counted in the outcome under one reason. A rejected
//! item does not change the fate of the others.
//!
//! | module | content |
//! |---|---|
//! | [`ingester`] | storage of a request |
//! | `sample_pass` | samples, histograms and metadata of series into the appender |
//! | `exemplar_pass` | exemplars into the appender |
//! | `request_state` | appender, limits and outcome of a request |
//! | [`write_request`] | trait for a request, common to all protocols |
//! | [`request_series`] | trait for a series of a request |
//! | [`item_error`] | errors of values that a protocol cannot make storable |
//! | `canonical_labels` | label set of a new series, checked and sorted |
//! | [`data_limit`] | limits of data that have a dry run |
//! | [`dry_run`] | items over limits in a dry run |
//! | `named_series` | series as text |
//! | `timestamp_bound` | latest timestamp of a request |
//! | [`metadata`] | metadata of a metric family and its limits |
//! | [`limits`] | limits of the items of a request |
//! | [`outcome`] | counts of stored and rejected items |
//! | [`reject_reason`] | reasons for a rejection |
//! | [`rejection_log`] | recent rejections for the status API and the log |
//! | [`rejections`] | rejected items by reason, with the first series by name |
//! | [`scrape`] | appends of one scrape |
//! | `test_series` | series and requests in memory, for tests |
//! | [`clock_skew`] | time by which samples are ahead of the server clock |

mod canonical_labels;
pub mod clock_skew;
pub mod data_limit;
pub mod dry_run;
mod exemplar_pass;
pub mod ingester;
pub mod item_error;
pub mod limits;
pub mod metadata;
mod named_series;
pub mod outcome;
pub mod reject_reason;
pub mod rejection_log;
pub mod rejections;
pub mod request_series;
mod request_state;
mod sample_pass;
pub mod scrape;
#[cfg(test)]
mod test_series;
mod timestamp_bound;
pub mod write_request;

//! Support for tests, behind the feature `testing`: release binaries contain none of it.
//!
//! The package depends on itself with this feature for its tests and benchmarks. So `cargo test`
//! and `cargo bench` build narthex with it, and `cargo build` without it.
//!
//! | module | content |
//! |---|---|
//! | [`fail_points`] | arming of fail points |
//! | [`crash_disk`] | disk that loses unsynced data and fails on demand |
//!
//! Modules for unit tests only:
//!
//! | module | content |
//! |---|---|
//! | `samples` | generated samples of all types |
//! | `fixed_source` | source with given chunks |
//! | `conformance` | checks that every [`crate::tsdb::query::source::BlockSource`] must pass |
//! | `blocks` | blocks with given series |
//! | `golden_read` | data set of the golden read tests |
//! | `channel_body` | HTTP body of the items of a channel |

#[cfg(test)]
pub(crate) mod blocks;
#[cfg(test)]
pub(crate) mod channel_body;
#[cfg(test)]
pub(crate) mod conformance;
pub mod crash_disk;
pub mod fail_points;
#[cfg(test)]
pub(crate) mod fixed_source;
#[cfg(test)]
pub(crate) mod golden_read;
#[cfg(test)]
pub(crate) mod samples;

//! Queries: selection of series and labels over several sources, and their samples or chunks.
//!
//! | module | content |
//! |---|---|
//! | `any_points` | generated samples of all types (tests) |
//! | [`chunk_iter`] | encoded chunks of a merged series |
//! | `conformance` | checks that every [`source::BlockSource`] must pass (tests) |
//! | `fixed_source` | source with given chunks (tests) |
//! | [`label_source`] | label names and values |
//! | [`merged_series`] | samples of a series, merged from all its chunks |
//! | [`mod@select`] | series of several sources, ordered by labels |
//! | [`source`] | trait that the head and every block implement |

#[cfg(test)]
pub(crate) mod any_points;
pub mod chunk_iter;
#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
pub(crate) mod fixed_source;
pub mod label_source;
pub mod merged_series;
pub mod select;
pub mod source;

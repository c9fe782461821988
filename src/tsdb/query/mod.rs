//! Reading: which series match, which labels there are, which of their chunks are wanted, and their points as one ordered stream, or their chunks as far as they need not be decoded.

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

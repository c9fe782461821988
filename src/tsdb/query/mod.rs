//! Reading: which series match, which labels there are, which of their chunks are wanted, and their points as one ordered stream, or their chunks as far as they need not be decoded.

#[cfg(test)]
pub(crate) mod any_points;
#[cfg(test)]
pub(crate) mod conformance;
pub mod encoded;
#[cfg(test)]
pub(crate) mod fixed_source;
pub mod labels;
pub mod samples;
pub mod select;
pub mod source;

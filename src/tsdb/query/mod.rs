//! Reading: which series match, which of their chunks are wanted, and their points as one ordered stream.

#[cfg(test)]
pub(crate) mod any_points;
#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
pub(crate) mod fixed_source;
pub mod samples;
pub mod select;
pub mod source;

//! Reading: which series match, which of their chunks are wanted, and their samples as one ordered stream.

pub mod source;

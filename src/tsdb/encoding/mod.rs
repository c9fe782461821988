//! encoding

pub mod bits;

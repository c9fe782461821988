//! How numbers and text stand in bits and bytes, and the checksum over them.

pub mod bits;
pub mod byte_reader;
pub mod checksum;

//! How numbers and text stand in bytes, and the checksum over them.

pub mod byte_reader;
pub mod checksum;

//! Bit streams, byte readers and the CRC-32C checksum.
//!
//! | module | content |
//! |---|---|
//! | [`bits`] | bit streams of chunks |
//! | [`byte_reader`] | integers, varints and strings in whole bytes |
//! | [`checksum`] | CRC-32C |

pub mod bits;
pub mod byte_reader;
pub mod checksum;

//! XOR2 chunks: floats with start timestamps, byte for byte as Prometheus writes them.
//!
//! [`encode`] writes, [`decode`] reads. Neither holds a lock. Timestamps wrap like Go's integers.
//!
//! # Format
//! ```text
//! ┌───────────┬───────────┬──────────┬───────┬──────────┬──────────┬─────────┬─────┬─────┬───────┐
//! │ samples   │ ST header │ t0       │ v0    │ t0 - ST0 │ t1 - t0  │ v1      │ ST1 │ ... │ zeros │
//! │ (2 bytes, │ (1 byte)  │ (zig-zag │ (64   │ (zig-zag │ (varint) │ (value, │     │     │       │
//! │ BE)       │           │ varint)  │ bits) │ varint)  │          │ below)  │     │     │       │
//! └───────────┴───────────┴──────────┴───────┴──────────┴──────────┴─────────┴─────┴─────┴───────┘
//! ```
//!
//! `d` is the change of the time delta. `x` is the exclusive or with the newest earlier value that
//! is not a stale marker (0 if there is none). From sample 2 on, a sample begins with
//!
//! ```text
//! 0                     d = 0, x = 0
//! 10                    d = 0; then  0 + bits of x      in the previous window
//!                                    1 + a new window
//! 110   + 13 bits of d  two's complement; then a value
//! 1110  + 20 bits of d  two's complement; then a value
//! 11110 + 64 bits of d  then a value
//! 11111                 d = 0, a stale marker
//!
//! value   0             x = 0                           window   5 bits: leading zeros (max 31)
//!         10            bits of x in previous window             6 bits: width, 0 for 64
//!         110           a new window                             bits of x
//!         111           a stale marker
//! ```
//!
//! # Start timestamps
//! A start timestamp of 0 means unknown. The high bit of the ST header is set if the first sample
//! has one. The low seven bits are the index `c` of the first sample whose start timestamp differs
//! from the previous one, or 0 if there is none yet. Sample 127 always counts as different, because
//! seven bits cannot hold more.
//!
//! Sample `c` is followed by the timestamp of the previous sample less its own start timestamp.
//! Every later sample is followed by the change of that difference. Both are signed numbers of
//! `tsdb::chunk::varbit`.
//!
//! Source: `tsdb/chunkenc/xor2.go` of Prometheus.

pub mod decode;
pub mod encode;

#[cfg(test)]
mod tests;

/// Length of the header (number of samples and ST header), bytes.
const HEADER: usize = 3;

/// Bit of the ST header: the first sample has a start timestamp.
const FIRST_HAS_START: u8 = 0x80;

/// Maximum index of the first changed start timestamp in the ST header.
const LAST_START_CHANGE: u8 = 0x7f;

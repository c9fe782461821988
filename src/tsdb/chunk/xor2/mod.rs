//! XOR2 chunks: floats, and when a counter began, bit for bit as Prometheus's `tsdb/chunkenc/xor2.go` writes them.
//!
//! ```text
//! ┌───────────────────────┬─────────────────┬────────────┬────────────────┬────────────┬──────────┬───────────────┬────────┬──────┬─────────┐
//! │ samples (2 bytes, BE) │ starts (1 byte) │ t0         │ v0 (64 bits)   │ t0 - start │ t1 - t0  │ v1 (value, as │ start1 │ ...  │ padding │
//! │                       │                 │ (zig-zag)  │                │ (zig-zag)  │ (varint) │ below)        │        │      │ (zeros) │
//! └───────────────────────┴─────────────────┴────────────┴────────────────┴────────────┴──────────┴───────────────┴────────┴──────┴─────────┘
//! ```
//!
//! `d` is the difference between a sample's step in time and the step before it; `x` is the exclusive or with the newest value
//! before it that is no stale marker (0 if there is none). From sample 2 on a sample begins with
//!
//! ```text
//! 0                     d = 0, x = 0
//! 10                    d = 0; then  0 + bits of x      in the window of the one before
//!                                    1 + a new window
//! 110   + 13 bits of d  two's complement; then a value
//! 1110  + 20 bits of d  two's complement; then a value
//! 11110 + 64 bits of d  then a value
//! 11111                 d = 0, a stale marker
//!
//! value   0             x = 0                           window   5 bits: leading zeros of x (at most 31)
//!         10            bits of x in the window before           6 bits: width, 0 for 64
//!         110           a new window                             bits of x
//!         111           a stale marker
//! ```
//!
//! Start times: 0 where none is known. The high bit of the header's byte says whether the first sample has one; the low seven
//! bits are the number `c` of the first sample whose start differs from that before it, and 0 while there is none. Sample 127
//! counts as such in any case, since seven bits count no further. Sample `c` is followed by the time of the sample before it less its
//! start, every sample after `c` by the change of that difference, both as signed numbers of
//! `tsdb::chunk::varbit`.
//!
//! Times wrap as Go's integers do. [`encode`] writes, [`decode`] reads; neither holds a lock.

pub mod decode;
pub mod encode;

#[cfg(test)]
mod tests;

/// Length in bytes of the header: the number of samples and the byte about start times.
const HEADER: usize = 3;

/// In the header's third byte: the first sample has a start time.
const FIRST_HAS_START: u8 = 0x80;

/// The greatest number of a sample that fits beside [`FIRST_HAS_START`].
const LAST_START_CHANGE: u8 = 0x7f;

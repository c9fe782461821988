//! Chunks of native histograms in four encodings, byte for byte as Prometheus writes them.
//!
//! Encodings 2 and 3 have integer and float counts, encodings 5 and 6 the same with start
//! timestamps.
//!
//! | module | content |
//! |---|---|
//! | [`append`] | rules that decide whether a chunk takes a histogram |
//! | [`count_codec`] | codec of one number over the samples of a chunk |
//! | [`decode`] | iterator over a chunk |
//! | [`encode`] | open chunk |
//! | [`header`] | header in its two layouts |
//! | [`layout`] | schema, threshold and buckets shared by all samples |
//! | `spans` | union of the buckets of two histograms |
//! | `start_timestamps` | codec of start timestamps |
//! | [`value`] | integer and float histograms behind one trait |
//!
//! # Format
//! ```text
//! encodings 2 and 3:
//! ┌───────────────────────┬───────────────────┬────────┬──────────┬──────────┬─────┬─────────┐
//! │ samples (2 bytes, BE) │ reset (2 bits), 0 │ layout │ sample 0 │ sample 1 │ ... │ padding │
//! └───────────────────────┴───────────────────┴────────┴──────────┴──────────┴─────┴─────────┘
//! encodings 5 and 6:
//! ┌──────────┬─────────────┬───────────┬────────┬──────────┬─────┬──────────┬─────┬─────┬───────┐
//! │ reset    │ samples     │ ST header │ layout │ sample 0 │ ST0 │ sample 1 │ ST1 │ ... │ zeros │
//! │ (2 bits) │ (14 bits,BE)│ (1 byte)  │        │          │     │          │     │     │       │
//! └──────────┴─────────────┴───────────┴────────┴──────────┴─────┴──────────┴─────┴─────┴───────┘
//!
//! reset   00 unknown   01 no counter reset before the chunk   10 counter reset   11 gauges
//!
//! layout:
//! ┌───────────┬────────┬──────────┬─────────┬─────┬──────────┬─────┬────────┬────────┬─────┐
//! │ zero      │ schema │ positive │ length, │ ... │ negative │ ... │ custom │ bound, │ ... │
//! │ threshold │        │ spans    │ offset  │     │ spans    │     │ values │ below  │     │
//! └───────────┴────────┴──────────┴─────────┴─────┴──────────┴─────┴────────┴────────┴─────┘
//!                                                                  (custom buckets only)
//! zero threshold   0 (1 byte)                    0
//!                  n (1 byte)                    2^(n - 244), for 2^-243 to 2^10
//!                  255 (1 byte) + 64 bits        any other
//! bound            varbit of 1000 times it, + 1  0 to 33554.43 in steps of 0.001
//!                  0 (1 bit) + 64 bits           any other
//!
//! sample:
//! ┌──────┬───────┬────────────┬─────┬──────────────────────┬──────────────────────┐
//! │ time │ count │ zero count │ sum │ positive buckets ... │ negative buckets ... │
//! └──────┴───────┴────────────┴─────┴──────────────────────┴──────────────────────┘
//! ```
//!
//! Integers are varbits (`tsdb::chunk::varbit`). In the layout they are unsigned, except offsets
//! and the schema. In sample 0, the timestamp and the buckets (differences to the previous bucket)
//! are signed, integer counts and zero counts are unsigned, and the sum and float counts have 64
//! bits.
//!
//! From sample 1 on, a timestamp, an integer count and an integer bucket is a delta of deltas,
//! whose first delta is relative to 0. Sums and float counts are encoded like the values of XOR
//! chunks ([`crate::tsdb::chunk::xor`]), each with its own window. Start timestamps are encoded as
//! in XOR2 chunks ([`crate::tsdb::chunk::xor2`]), after the last bucket of a sample.
//!
//! A stale marker is identified by its sum. It has no buckets, and its count and zero count are 0;
//! if they are integers, their delta of deltas is 0. As the first sample, it follows an empty
//! layout.
//!
//! All histograms of a chunk share its layout. A histogram with additional buckets causes the whole
//! chunk to be recoded with empty buckets; one with fewer buckets gets empty ones. If neither is
//! possible, the chunk is cut: see [`append`].
//!
//! Source: `tsdb/chunkenc/histogram.go` and `float_histogram.go` of Prometheus.

pub mod append;
pub mod count_codec;
pub mod decode;
pub mod encode;
pub mod header;
pub mod layout;
mod spans;
mod start_timestamps;
pub mod value;

#[cfg(test)]
mod tests;

//! Chunks of native histograms, of four encodings, bit for bit as Prometheus's `tsdb/chunkenc` writes them: whole counts (2) or
//! counts that are floats (3), and both with start times (5, 6).
//!
//! ```text
//! 2, 3  ┌───────────────────────┬───────────────────┬────────┬──────────┬──────────┬─────┬─────────┐
//!       │ samples (2 bytes, BE) │ reset (2 bits), 0 │ layout │ sample 0 │ sample 1 │ ... │ padding │
//!       └───────────────────────┴───────────────────┴────────┴──────────┴──────────┴─────┴─────────┘
//! 5, 6  ┌────────────────┬──────────────────────┬─────────────────┬────────┬──────────┬─────────┬──────────┬─────────┬─────┬─────────┐
//!       │ reset (2 bits) │ samples (14 bits, BE)│ starts (1 byte) │ layout │ sample 0 │ start 0 │ sample 1 │ start 1 │ ... │ padding │
//!       └────────────────┴──────────────────────┴─────────────────┴────────┴──────────┴─────────┴──────────┴─────────┴─────┴─────────┘
//!
//! reset   00 not known   01 no counter reset before the chunk   10 a counter reset   11 gauges
//!
//! layout  ┌────────────────┬────────┬──────────┬────────────┬─────┬──────────┬─────┬────────────┬─────────────┬─────┐
//!         │ zero threshold │ schema │ positive │ length,    │ ... │ negative │ ... │ custom     │ bound, as   │ ... │
//!         │                │        │ spans    │ offset     │     │ spans    │     │ values     │ below       │     │
//!         └────────────────┴────────┴──────────┴────────────┴─────┴──────────┴─────┴────────────┴─────────────┴─────┘
//!                                                                                  (only of the schema of custom buckets)
//! zero threshold   0 (1 byte)                    0
//!                  n (1 byte)                    2^(n - 244), for 2^-243 to 2^10
//!                  255 (1 byte) + 64 bits        any other
//! bound            varbit of 1000 times it, + 1  0 to 33554.43 in steps of 0.001
//!                  0 (1 bit) + 64 bits           any other
//!
//! sample  ┌──────┬───────┬────────────┬─────┬──────────────────────┬──────────────────────┐
//!         │ time │ count │ zero count │ sum │ positive buckets ... │ negative buckets ... │
//!         └──────┴───────┴────────────┴─────┴──────────────────────┴──────────────────────┘
//! ```
//!
//! Whole numbers are varbits (`tsdb::chunk::varbit`); those of the layout are unsigned but for offsets and the schema. In sample 0 the
//! time is signed, whole counts and the zero count are unsigned, buckets (differences to the bucket before) are signed, the sum and counts
//! that are floats have 64 bits. From sample 1 on a time, a whole count and a bucket is the change of its step
//! (its first step is a change from 0); sums and float counts are as the values of XOR chunks ([`crate::tsdb::chunk::xor`]), each with a window of its own.
//!
//! A stale marker, known by its sum, has no buckets and a count and a zero count of 0; of whole ones the changes are 0. As the first sample
//! it stands behind an empty layout.
//!
//! Start times stand as in XOR2 chunks ([`crate::tsdb::chunk::xor2`]), behind a sample's last bucket.
//!
//! All histograms of a chunk have its layout. One with more buckets makes the whole chunk be written anew, with empty buckets where it had none; one
//! with fewer gets empty buckets. When that is not possible a new chunk begins: the rules stand in [`append`].
//!
//! [`decode`] reads, [`encode`] writes; neither holds a lock.

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

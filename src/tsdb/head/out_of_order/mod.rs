//! Out-of-order samples: those that come behind the newest one of their series, within the window that is set.
//!
//! ```text
//!   late point ──▶ open chunk of the series ──(32 points)──▶ chunks_head/, with the out-of-order bit ──▶ blocks from-out-of-order
//!        └───────▶ WBL, an m-map marker behind the points of a chunk that was written
//! ```
//!
//! | file           | what                                                             |
//! |----------------|------------------------------------------------------------------|
//! | [`window`]     | how late a sample may be, and which times late samples have      |
//! | [`settings`]    | that as a setting of the head                                    |
//! | [`wbl_batch`]        | what a request has for the WBL                                   |
//! | [`chunk`]      | the open chunk: points, sorted                                   |
//! | [`encode`]     | points as chunks of bytes                                        |
//! | [`mapped`]     | the chunks in `chunks_head/`: they overlap                       |
//! | `chunk_index`  | which of them may have a sample of a given time                  |
//! | `time_index`   | the same for each sample, of chunks that overlap too many others |
//! | [`state`]      | both, as a series has them                                       |
//! | [`store`]      | writes an open chunk, finds stored values                        |
//! | [`source`]     | the head in order, or out of order, for a block                  |
//! | [`replay`]     | `wbl/` and chunks of `chunks_head/` into the head                |
//!
//! How late samples are judged and logged stands with the appender (`append/late.rs`), how they are dropped with
//! [`crate::tsdb::head::truncation`].
//!
//! Invariant: what the WBL has of a series before a marker is in chunks. What stands behind it may be in chunks as well; then it is there twice
//! after a replay, and readers see it once. All of a series is guarded by its mutex; chunks are written under it.

pub mod chunk;
mod chunk_index;
pub mod encode;
pub mod mapped;
pub mod replay;
pub mod settings;
pub mod source;
pub mod state;
pub mod store;
mod time_index;
pub mod wbl_batch;
pub mod window;

#[cfg(test)]
mod tests;

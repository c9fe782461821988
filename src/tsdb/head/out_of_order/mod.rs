//! Out-of-order samples: older than the newest sample of their series, within the out-of-order
//! window.
//!
//! ```text
//!   OOO sample ──▶ open chunk ──(32 samples)──▶ chunks_head/ (out-of-order bit) ──▶ OOO blocks
//!        └───────▶ WBL, with an m-map marker after the samples of a written chunk
//! ```
//!
//! | module         | content                                                          |
//! |----------------|------------------------------------------------------------------|
//! | [`chunk`]      | open chunk: sorted samples                                       |
//! | `chunk_index`  | finds the chunks that may have a sample at a timestamp           |
//! | [`encode`]     | samples → encoded chunks                                         |
//! | [`mapped`]     | chunks in `chunks_head/`, which may overlap                      |
//! | [`state`]      | open and m-mapped chunks of a series                             |
//! | `time_index`   | index by sample, for chunks that overlap too many others         |
//! | [`window`]     | window length, and time range of OOO samples                     |
//!
//! This module has the data of one series. [`crate::tsdb::head::append`] accepts and logs the
//! samples, [`crate::tsdb::head::chunks::out_of_order`] writes full chunks,
//! [`crate::tsdb::head::read::compaction_source`] reads them for compaction,
//! [`crate::tsdb::head::truncation`] drops them, and [`crate::tsdb::head::replay::wbl`] restores
//! them.
//!
//! # Invariant
//! Samples of a series that precede a marker in the WBL are in chunks. Samples after it may be in
//! chunks too: then they exist twice after a replay, and readers see them once.
//!
//! # Locking
//! The mutex of the series guards its samples; chunks are written while it is held.

pub mod chunk;
pub(crate) mod chunk_index;
pub mod encode;
pub mod mapped;
pub mod state;
mod time_index;
pub mod window;

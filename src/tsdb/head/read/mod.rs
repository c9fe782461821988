//! Readers of the head: queries, lists, and sources for compaction.
//!
//! | module                | content                                                    |
//! |-----------------------|------------------------------------------------------------|
//! | `chunk_selector`      | chunks of a series, pinned and with their tombstones       |
//! | [`compaction_source`] | in-order and OOO sources of the head, for compaction       |
//! | [`family_list`]       | metadata of the series by metric family                    |
//! | `label_lists`         | label names and values for queries                         |
//! | [`reader`]            | queries                                                    |
//! | `series_view`         | chunks of a series at one instant                          |
//! | [`snapshot`]          | requests that a read sees                                  |
//! | [`symbols`]           | label strings, for the index of a block                    |
//!
//! The matching series are selected and sorted first. Each is captured when the iterator reaches
//! it, under its mutex, while its chunks are listed and the open chunk (about 1 KiB) is copied;
//! m-mapped chunks are pinned. Samples of commits that are not in the [`snapshot`] of the query
//! count as deleted ([`crate::tsdb::head::series::unsettled`]). A query thus sees every request
//! completely or not at all, and of every series a prefix, with all samples acknowledged before it
//! started. Label lists, exemplars and metadata are not part of this: they may show a series of a
//! request that is not visible yet.
//!
//! Chunks of out-of-order samples follow the in-order chunks and may overlap them: at equal
//! timestamps the out-of-order value wins.
//!
//! # Truncation
//! During a long query, the start of the head may move to a block and its chunks be dropped.
//! Neither waits for the other: [`HeadReader`] remembers the truncation time at its start. If that
//! has changed when it reaches a series, it gets the missing chunks from its [`BlockFallback`].
//! These blocks may have samples that the snapshot does not see, which are removed again.
//!
//! [`HeadReader`]: reader::HeadReader
//! [`BlockFallback`]: reader::BlockFallback

pub(crate) mod chunk_selector;
pub mod compaction_source;
pub mod family_list;
pub(crate) mod label_lists;
pub mod reader;
pub(crate) mod series_view;
pub mod snapshot;
pub mod symbols;

#[cfg(test)]
mod tests;

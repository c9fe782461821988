//! Blocks: immutable directories with the samples of a past time range.
//!
//! | file                | content                                                                |
//! |---------------------|------------------------------------------------------------------------|
//! | [`ulid`]            | names of blocks                                                        |
//! | [`meta`]            | block metadata in `meta.json`                                          |
//! | [`mark`]            | mark of blocks without samples in `meta.json`                          |
//! | [`writer`]          | writer of a block                                                      |
//! | [`open`]            | an open block and its mutable state                                    |
//! | [`read`]            | reads of series, chunks and labels                                     |
//! | `label_source`      | label names and values for queries                                     |
//! | `series_ref_list`   | compressed list of the series that a read selected                     |
//! | [`delete`]          | deletion of samples                                                    |
//! | [`hard_link`]       | block snapshots                                                        |
//! | [`verify`]          | verification, and its limits                                           |
//! | [`error`]           | errors of blocks                                                       |
//!
//! The index is [`crate::tsdb::index::block_index`], the chunks are
//! [`crate::tsdb::chunk::chunk_segments`], the tombstones are [`crate::tsdb::tombstones`].

pub mod delete;
pub mod error;
pub mod hard_link;
mod label_source;
pub mod mark;
pub mod meta;
pub mod open;
pub mod read;
mod series_ref_list;
#[cfg(test)]
mod tests;
pub mod ulid;
pub mod verify;
pub mod writer;

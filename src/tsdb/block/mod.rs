//! Blocks: the immutable folders of past hours.
//!
//! | file         | what                                                                         |
//! |--------------|------------------------------------------------------------------------------|
//! | [`ulid`]     | their names                                                                  |
//! | [`meta`]     | `meta.json`: what a block says of itself                                     |
//! | [`mark`]     | notes of compactions in it                                                   |
//! | [`chunk_segments`] | `chunks/000001` and on: the chunks                                           |
//! | [`writer`]   | writes a block                                                               |
//! | [`open`]     | an open block                                                                |
//! | [`read`]     | its series, chunks and labels                                                |
//! | `series_ref_list`     | the series that a read has picked, in little memory                          |
//! | [`delete`]   | deleting from it                                                             |
//! | [`hard_link`]     | a snapshot of it                                                             |
//! | [`verify`]   | the deep check, and what no check sees                                       |
//! | [`error`]    | what can go wrong                                                            |
//!
//! The index is [`crate::tsdb::index::block_index`], the tombstones are [`crate::tsdb::tombstones`].

pub mod chunk_segments;
pub mod delete;
pub mod error;
#[cfg(test)]
pub(crate) mod fixture;
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

//! Blocks: the immutable folders of past hours.
//!
//! | file         | what                                                                         |
//! |--------------|------------------------------------------------------------------------------|
//! | [`ulid`]     | their names                                                                  |
//! | [`meta`]     | `meta.json`: what a block says of itself                                     |
//! | [`mark`]     | notes of compactions in it                                                   |
//! | [`segments`] | `chunks/000001` and on: the chunks                                           |
//! | [`writer`]   | writes a block                                                               |
//! | [`open`]     | an open block                                                                |
//! | [`read`]     | its series, chunks and labels                                                |
//! | `picked`     | the series that a read has picked, in little memory                          |
//! | [`delete`]   | deleting from it                                                             |
//! | [`link`]     | a snapshot of it                                                             |
//! | [`verify`]   | the deep check, and what no check sees                                       |
//! | [`error`]    | what can go wrong                                                            |
//!
//! The index is [`crate::tsdb::index::block_index`], the tombstones are [`crate::tsdb::tombstones`].

pub mod delete;
pub mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod labels;
pub mod link;
pub mod mark;
pub mod meta;
pub mod open;
mod picked;
pub mod read;
pub mod segments;
#[cfg(test)]
mod tests;
pub mod ulid;
pub mod verify;
pub mod writer;

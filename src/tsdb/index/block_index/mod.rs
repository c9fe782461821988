//! Index file of a block: symbols, series with their chunks, and posting lists.
//!
//! | module | content |
//! |---|---|
//! | [`entry`] | entry of a series: label symbols and chunk metadata |
//! | [`error`] | errors and corruptions |
//! | `format` | layout of the file, header, table of contents, sections |
//! | `postings` | decoding of a posting list |
//! | `postings_offset_table` | lookup of the posting list of a label |
//! | [`reader`] | an open index file |
//! | `select` | selection of series by matchers |
//! | `symbols` | lookup of symbols |
//! | [`verify`] | complete check of an index |
//! | [`writer`] | creation of an index file |

pub mod entry;
pub mod error;
mod format;
mod postings;
mod postings_offset_table;
pub mod reader;
mod select;
mod symbols;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod writer;

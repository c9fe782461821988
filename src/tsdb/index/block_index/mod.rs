//! The index file of a block: its symbols, its series with their chunks, and which series have which label.
//!
//! | file           | what                                                                        |
//! |----------------|-----------------------------------------------------------------------------|
//! | `format`       | picture of the file, its constants, header, table of contents, sections     |
//! | `entry`        | the entry of a series: labels by symbol, chunks by time and place           |
//! | `symbols`      | looking symbols up                                                          |
//! | `postings_offset_table`  | the postings offset table: where the list of a label lies                   |
//! | `postings`     | a posting list                                                              |
//! | `reader`       | the file, opened for reading                                                |
//! | `select`       | which series satisfy a list of matchers                                     |
//! | `verify`       | a walk over all that can be checked, and what can't                         |
//! | `writer`       | the file, being written                                                     |
//! | `error`        | what can go wrong                                                           |

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

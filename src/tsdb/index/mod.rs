//! Inverted index from labels to series: in memory for the head, in a file for a block.
//!
//! | module | content |
//! |---|---|
//! | [`block_index`] | index file of a block |
//! | `condition` | translation of a matcher into a postings filter |
//! | [`mem_postings`] | index of the head, in memory |
//! | `postings` | operations on sorted lists of references |
//! | [`mod@series_ref_set`] | set of series references: a bitmap in blocks of 512 |

pub mod block_index;
mod condition;
pub mod mem_postings;
mod postings;
pub mod series_ref_set;

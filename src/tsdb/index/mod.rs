//! The inverted index: which series have which label. The head's is in memory, a block's in a file.

pub mod block_index;
mod condition;
pub mod mem_postings;
mod postings;
pub mod series_ref_set;

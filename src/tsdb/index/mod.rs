//! The inverted index: which series have which label. Here the head's; blocks will have theirs on disk.

pub mod mem_postings;
mod postings;

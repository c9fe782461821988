//! Blocks: the immutable folders of past hours. This version reads of them only [`meta`], to know which times are theirs.

pub mod meta;

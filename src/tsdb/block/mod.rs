//! Blocks: the immutable folders of past hours.
//!
//! | file         | what                                                                    |
//! |--------------|-------------------------------------------------------------------------|
//! | [`ulid`]     | their names                                                             |
//! | [`meta`]     | `meta.json`: what a block says of itself                                |

pub mod meta;
pub mod ulid;

//! Blocks: the immutable folders of past hours.
//!
//! | file         | what                                                                    |
//! |--------------|-------------------------------------------------------------------------|
//! | [`ulid`]     | their names                                                             |
//! | [`meta`]     | `meta.json`: what a block says of itself                                |
//! | [`segments`] | `chunks/000001` and on: the chunks                                      |

pub mod meta;
pub mod segments;
pub mod ulid;

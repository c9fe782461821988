//! Chunks of the head in `chunks_head/`.
//!
//! | module     | content                                  |
//! |------------|------------------------------------------|
//! | [`mapper`] | writes sealed chunks to `chunks_head/`   |

pub mod mapper;

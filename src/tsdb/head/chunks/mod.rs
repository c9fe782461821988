//! Chunks of the head in `chunks_head/`, and the rules for new chunks.
//!
//! | module               | content                                                    |
//! |----------------------|------------------------------------------------------------|
//! | [`lookup`]           | stored values of a series                                  |
//! | [`mapper`]           | writes sealed chunks to `chunks_head/`                     |
//! | [`out_of_order`]     | writes and attaches chunks of out-of-order samples         |
//! | [`settings`]         | cut policy and encodings of new chunks                     |
//! | [`store`]            | mapper, settings and truncation state of the head          |
//! | [`truncation_state`] | chunks that may be gone because blocks contain them        |

pub mod lookup;
pub mod mapper;
pub mod out_of_order;
pub mod settings;
pub mod store;
pub mod truncation_state;

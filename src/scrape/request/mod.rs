//! The request of a scrape and its response: headers, body, limits and memory.
//!
//! | module | contents |
//! |---|---|
//! | [`body`] | decompression of a body within its limit |
//! | [`budget`] | memory for the bodies of all scrapes |
//! | [`fetch`] | one exchange with a target within its timeout |

pub mod body;
pub mod budget;
pub mod fetch;

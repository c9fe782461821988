//! The request of a scrape and its response: headers, body, limits and memory.
//!
//! | module | contents |
//! |---|---|
//! | [`accept`] | header `Accept` |
//! | [`body`] | decompression of a body within its limit |
//! | [`budget`] | memory for the bodies of all scrapes |
//! | [`client_exchange`] | exchanges over the network |
//! | [`fetch`] | one exchange with a target within its timeout |

pub mod accept;
pub mod body;
pub mod budget;
pub mod client_exchange;
pub mod fetch;

//! Requests to an API server.
//!
//! | module | content |
//! |---|---|
//! | [`client`] | lists and watches |
//! | [`error`] | errors of requests |
//! | [`scope`] | objects of a request |

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod scope;

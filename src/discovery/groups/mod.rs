//! Groups of the running providers.
//!
//! | module | content |
//! |---|---|
//! | [`sink`] | sink of a provider for its groups |
//! | [`state`] | groups of all providers |

pub mod sink;
pub mod state;

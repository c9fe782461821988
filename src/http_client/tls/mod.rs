//! TLS of the client.
//!
//! | module | contents |
//! |---|---|
//! | [`error`] | errors of certificates, keys and CAs |
//! | `material` | contents of certificates and keys, compared to detect rotated files |
//! | `roots` | CAs of the system, or built-in ones |
//! | `settings` | rustls configuration |
//! | `verifier` | verification of servers |

pub mod error;
pub(super) mod material;
mod roots;
pub(super) mod settings;
mod verifier;

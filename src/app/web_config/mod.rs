//! The web configuration file of a server: load at the start, reload while it runs.
//!
//! # Reload
//! A watcher compares the contents of the file and of the files that it names twice a second. If
//! something changed, it builds everything that the files describe. Only if all of it is valid, new
//! handshakes and new requests use it; open connections continue. Otherwise the last valid
//! configuration stays in use. The same applies to a change that would open the server by mistake.
//!
//! | module | contents |
//! |---|---|
//! | [`access`] | rate limit, users and response headers of a server |
//! | [`fingerprint`] | comparison of files by contents |
//! | [`grpc`] | agreement with the flags of gRPC |
//! | [`live`] | parts of a running server that a file sets |
//! | [`metrics`] | metrics of reloads |
//! | [`reload_check`] | changes that a reload rejects |
//! | [`setup`] | everything that a file describes, valid and built |
//! | [`watcher`] | detection of changes, reload |

pub(crate) mod access;
pub(crate) mod fingerprint;
pub(crate) mod grpc;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod reload_check;
pub(crate) mod setup;
pub(crate) mod watcher;

#[cfg(test)]
mod tests;

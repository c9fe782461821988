//! TLS of the listener, with rustls and its provider `ring`.
//!
//! A [`TlsContext`] is built from the section `tls_server_config` of a web configuration file. A
//! reload replaces the context of the [`TlsServer`] for later handshakes; open connections keep
//! theirs.
//!
//! # Resumption
//! Sessions belong to their context, so a session of before a reload cannot be resumed after it. A
//! context that requests client certificates resumes no session: each handshake verifies the
//! certificate, and a session cannot outlive it.
//!
//! | file | contents |
//! |---|---|
//! | [`certificate`] | validity and names of an X.509 certificate |
//! | [`client_auth`] | policies for client certificates, allowed names |
//! | [`context`] | rustls's configuration from the section `tls_server_config` |
//! | [`error`] | errors of the section's contents |
//! | [`failure`] | failed handshakes: reasons, counters, log lines |
//! | [`hello`] | first byte of a connection: TLS or not |
//! | [`pem`] | certificates and keys in PEM, from text or file |
//! | [`server`] | the current context, handshakes |
//! | [`socket`] | listening socket, with or without TLS |
//! | [`stream`] | stream of a connection, whose first read is the handshake |
//!
//! [`TlsContext`]: context::TlsContext
//! [`TlsServer`]: server::TlsServer

pub(crate) mod certificate;
pub(crate) mod client_auth;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod failure;
mod hello;
mod pem;
pub(crate) mod server;
pub(crate) mod socket;
mod stream;

#[cfg(test)]
mod tests;

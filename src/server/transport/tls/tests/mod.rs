//! Tests of TLS with rustls's client, over streams in memory.
//!
//! | module | contents |
//! |---|---|
//! | `client` | TLS client, certificates |
//! | `contents` | invalid certificates, keys and CAs |
//! | `golden` | handshakes with recorded results of Prometheus |
//! | `handshakes` | handshakes, their failures and reloads |

mod client;
mod contents;
mod golden;
mod handshakes;

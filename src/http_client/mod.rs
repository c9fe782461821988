//! HTTP client of scrapes and of discoveries.
//!
//! Source: prometheus/common, `config/http_config.go`, and the rules of Go's `net/http` for
//! proxies, redirects and repeated requests.
//!
//! # Secrets
//! No error and no `Debug` output contains a password, a token or a key. In addition to
//! Prometheus's rules, `secrets` and `files` of `http_headers` are not sent to another host.
//!
//! | module | contents |
//! |---|---|
//! | [`body_error`] | errors of bodies |
//! | [`build_error`] | errors of creating a client |
//! | [`client`] | client: authentication, then exchanges |
//! | `connection` | HTTP/1.1 and HTTP/2 connections |
//! | [`credentials`] | header values with credentials |
//! | [`dial`] | TCP, unix sockets, proxies, TLS handshakes |
//! | [`error`] | errors of requests and tokens |
//! | [`files`] | files with secrets |
//! | `header_rules` | additional headers |
//! | [`jwt`] | signed assertions |
//! | [`message`] | requests and responses |
//! | `no_proxy` | hosts that are reached without a proxy |
//! | [`oauth2`] | OAuth2 tokens |
//! | `os_text` | texts of errors of the operating system |
//! | `plain_client` | exchanges with redirects, without authentication |
//! | `pool` | connections that are kept |
//! | [`proxy`] | selection of a proxy |
//! | `redirect` | rules of redirects |
//! | [`sent_secrets`] | secrets in texts of servers |
//! | [`tls`] | TLS settings |
//! | `transport` | connections of one set of TLS material |

pub mod body_error;
pub mod build_error;
pub mod client;
mod connection;
pub mod credentials;
pub mod dial;
pub mod error;
pub mod files;
mod header_rules;
pub mod jwt;
pub mod message;
mod no_proxy;
pub mod oauth2;
mod os_text;
mod plain_client;
mod pool;
pub mod proxy;
mod redirect;
pub mod sent_secrets;
pub mod tls;
mod transport;

/// Value of the header `User-Agent`.
pub const USER_AGENT: &str = concat!("narthex/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;

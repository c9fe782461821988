//! Settings of an HTTP client, which scrape jobs and HTTP-based discoveries contain.
//!
//! Source: Prometheus's `HTTPClientConfig`. The types can only represent valid combinations, such
//! as one kind of authentication. Relative paths are already resolved.
//!
//! # Differences
//! Settings with which no request can succeed are problems: an unsupported kind of proxy, an
//! invalid header, a maximum TLS version below the minimum one or below TLS 1.2. Keys `*_ref` need
//! a secret manager, which neither Prometheus nor narthex has. Every password of a URL is hidden.
//!
//! | module | contents |
//! |---|---|
//! | [`auth`] | basic authentication and the header `Authorization` |
//! | [`headers`] | additional request headers |
//! | [`oauth2`] | tokens of an OAuth2 server |
//! | [`places`] | positions of the settings |
//! | [`proxy`] | proxies |
//! | [`settings`] | all settings of a client |
//! | [`source`] | inline texts and texts in files |
//! | [`tls`] | TLS |

pub mod auth;
pub mod headers;
pub mod oauth2;
pub mod places;
pub mod proxy;
pub mod settings;
pub mod source;
pub mod tls;

#[cfg(test)]
mod tests;

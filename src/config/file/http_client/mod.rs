//! Settings of an HTTP client, which scrape jobs and HTTP-based discoveries contain.
//!
//! Source: Prometheus's `HTTPClientConfig`. The types can only represent valid combinations, such
//! as one kind of authentication. Relative paths are already resolved.
//!
//! | module | contents |
//! |---|---|
//! | [`auth`] | basic authentication and the header `Authorization` |
//! | [`headers`] | additional request headers |
//! | [`oauth2`] | tokens of an OAuth2 server |
//! | [`proxy`] | proxies |
//! | [`settings`] | all settings of a client |
//! | [`source`] | inline texts and texts in files |
//! | [`tls`] | TLS |

pub mod auth;
pub mod headers;
pub mod oauth2;
pub mod proxy;
pub mod settings;
pub mod source;
pub mod tls;

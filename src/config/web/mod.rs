//! Web configuration file: TLS, users, headers and the rate limit, in the syntax of Prometheus's
//! exporter-toolkit.
//!
//! | module | contents |
//! |---|---|
//! | [`contents`] | the parsed file |

pub(crate) mod contents;

//! Section `http_headers`.

use crate::model::secret::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Section `http_headers`: names as written in the file, and their values. Each name is a valid
/// one and not reserved. The values are added to those that the request has.
pub type RequestHeaders = BTreeMap<String, HeaderValues>;

/// Values of a request header: first `values`, then `secrets`, then the contents of `files`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderValues {
    /// Values that are shown.
    pub values: Vec<String>,
    /// Values that are not shown.
    pub secrets: Vec<Secret>,
    /// Files with a value each; relative paths are resolved.
    pub files: Vec<PathBuf>,
}

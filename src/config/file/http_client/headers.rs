//! Section `http_headers`.

use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::{Yaml, YamlMapping};
use crate::config::yaml::value::Value;
use crate::model::secret::{HIDDEN, Secret};
use http::HeaderName;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Headers that the client sets, or that change the connection. Lower case.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

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

pub(super) fn read(mapping: &mut Mapping<'_>) -> RequestHeaders {
    let Some(section) = mapping.mapping("http_headers") else { return RequestHeaders::new() };
    let mut headers = RequestHeaders::new();
    for (key, value) in section.entries() {
        let values = value.mapping().map(values).unwrap_or_default();
        if RESERVED.contains(&key.name.to_ascii_lowercase().as_str()) {
            key.problem("this header cannot be set");
        } else if HeaderName::from_bytes(key.name.as_bytes()).is_err() {
            key.problem("not a valid header name");
        } else {
            headers.insert(key.name.to_owned(), values);
        }
    }
    headers
}

fn values(mut mapping: Mapping<'_>) -> HeaderValues {
    let values = header_values(&mapping.list("values"));
    let secrets = header_values(&mapping.list("secrets"));
    let files = mapping.list("files").iter().filter_map(Value::path).collect();
    mapping.finish();
    HeaderValues { values, secrets: secrets.into_iter().map(Secret::new).collect(), files }
}

/// Reads values, and returns those that can be sent.
pub(super) fn header_values(list: &[Value<'_>]) -> Vec<String> {
    let mut values = Vec::new();
    for value in list {
        let Some(text) = value.string() else { continue };
        if text.bytes().all(|b| b == b'\t' || !b.is_ascii_control()) {
            values.push(text);
        } else {
            value.problem("contains a control character");
        }
    }
    values
}

pub(super) fn add_to(headers: &RequestHeaders, yaml: &mut YamlMapping) {
    let mut section = YamlMapping::default();
    for (name, header) in headers {
        let mut values = YamlMapping::default();
        values.set_unless_zero("values", header.values.clone());
        values.set_unless_zero("secrets", hidden(&header.secrets));
        let files = header.files.iter().map(|path| path.display().to_string());
        values.set_unless_zero("files", files.collect::<Yaml>());
        section.set(name, values);
    }
    yaml.set_unless_zero("http_headers", section);
}

/// Returns a list of hidden secrets.
pub(super) fn hidden(secrets: &[Secret]) -> Yaml {
    secrets.iter().map(|_| HIDDEN).collect()
}

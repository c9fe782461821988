//! URL of a target, printed as Go's `net/url` prints it.

use super::label_names::{ADDRESS, METRICS_PATH, PARAM_PREFIX, SCHEME};
use crate::model::labels::Labels;
use std::collections::BTreeMap;

/// Characters that need no escape in a host, besides letters, digits and [`UNRESERVED`].
const HOST: &str = "!$&'()*+,;=:[]<>\"";
/// Characters that need no escape in a path, besides letters, digits and [`UNRESERVED`].
const PATH: &str = "$&+,/:;=@";
const UNRESERVED: &str = "-_.~";

/// Returns the URL that the labels of a target describe. A label `__param_<name>` replaces the
/// first value of that parameter of the job.
pub(super) fn target_url(labels: &Labels, params: &BTreeMap<String, Vec<String>>) -> String {
    let label = |name| labels.get(name).unwrap_or_default();
    let mut url = String::new();
    let scheme = label(SCHEME);
    if !scheme.is_empty() {
        url.push_str(scheme);
        url.push(':');
    }
    url.push_str("//");
    escape(label(ADDRESS), HOST, &mut url);
    let path = label(METRICS_PATH);
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    // A path that is only an asterisk is not escaped.
    escape(path, if path == "*" { "*" } else { PATH }, &mut url);
    let mut separator = '?';
    for (name, values) in with_label_params(labels, params) {
        for value in values {
            url.push(separator);
            separator = '&';
            escape_query(name, &mut url);
            url.push('=');
            escape_query(value, &mut url);
        }
    }
    url
}

fn with_label_params<'a>(
    labels: &'a Labels,
    params: &'a BTreeMap<String, Vec<String>>,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let configured = params.iter();
    let mut merged: BTreeMap<&str, Vec<&str>> = configured
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix(PARAM_PREFIX) else { continue };
        let values = merged.entry(name).or_default();
        match values.first_mut() {
            Some(first) => *first = value,
            None => values.push(value),
        }
    }
    merged
}

fn escape(text: &str, unescaped: &str, out: &mut String) {
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || UNRESERVED.contains(c) || unescaped.contains(c) {
            out.push(c);
        } else {
            const HEX: [char; 16] =
                ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
            out.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn escape_query(text: &str, out: &mut String) {
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        escape(word, "", out);
    }
}

//! Section `http_server_config`: HTTP/2 and response headers.

use crate::config::web::contents::HttpConfig;
use crate::config::yaml::document::{Pairs, Section, invalid};
use crate::config::yaml::error::ConfigProblem;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// Headers that the section may set, and their allowed values. An empty list allows any value.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];
/// Maximum length of a header value, bytes.
const MAX_HEADER_VALUE: usize = 8 << 10;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    http2: Option<bool>,
    /// As in Prometheus, null is an empty value.
    headers: Option<Pairs<Option<Spanned<String>>>>,
}

pub(super) fn parse(section: &Section<'_>) -> Result<HttpConfig, ConfigProblem> {
    let raw: RawHttp = section.read()?.unwrap_or_default();
    let pairs = raw.headers.map_or_else(Vec::new, |headers| headers.0);
    let headers: Result<_, _> =
        pairs.into_iter().map(|(name, value)| header(&name, value)).collect();
    Ok(HttpConfig { http2: raw.http2.unwrap_or(true), headers: headers? })
}

fn header(
    name: &Spanned<String>,
    value: Option<Spanned<String>>,
) -> Result<(&'static str, String), ConfigProblem> {
    let Some((known, allowed)) = HEADERS.iter().find(|(known, _)| *known == name.value) else {
        let known = HEADERS.map(|(name, _)| name).join(", ");
        let message = format!(
            "http_server_config.headers cannot set {:?}, expected one of {known}",
            name.value
        );
        return Err(invalid(name, message));
    };
    let error = |reason: String| {
        let message = format!("http_server_config.headers.{known} {reason}");
        Err(invalid(value.as_ref().unwrap_or(name), message))
    };
    let text = value.as_ref().map_or("", |value| value.value.as_str());
    if !allowed.is_empty() && !allowed.contains(&text) {
        let expected = allowed.join(" or ");
        return error(format!("must be {expected}, not {text:?}"));
    }
    if text.len() > MAX_HEADER_VALUE {
        return error(format!("exceeds {MAX_HEADER_VALUE} bytes"));
    }
    if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return error("contains a control character".to_owned());
    }
    Ok((known, text.to_owned()))
}

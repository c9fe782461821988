//! Syntax of URLs and relative references: parts, escapes, dot segments.

use crate::model::secret::Secret;
use std::fmt::Write;

/// User information of a URL, without escapes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserInfo {
    /// May be empty.
    pub name: String,
    /// `None` if the URL has no colon behind the name.
    pub password: Option<Secret>,
}

/// Reason why a text is not a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUrlError {
    /// The text has an ASCII control character.
    #[error("URL contains a control character")]
    ControlCharacter,
    /// The text is relative or has an invalid scheme.
    #[error("URL has no scheme")]
    NoScheme,
    /// The text has no host.
    #[error("host is missing in URL")]
    NoHost,
    /// The user information has characters that need an escape.
    #[error("URL has invalid user information")]
    UserInfo,
    /// The host is not ASCII, or has characters that no host has.
    #[error("URL has an invalid host")]
    Host,
    /// The text behind the colon is not a port.
    #[error("URL has an invalid port")]
    Port,
    /// A percent sign without two hexadecimal digits.
    #[error("URL has an invalid escape")]
    Escape,
}

/// Host and what stands before and behind it.
pub(super) struct Authority {
    pub(super) user: Option<UserInfo>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// Parts of a URL or of a relative reference. The scheme is in lower case; fragments are dropped.
pub(super) struct Parts<'a> {
    pub(super) scheme: Option<String>,
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Splits a text at its delimiters.
pub(super) fn split(text: &str) -> Result<Parts<'_>, ParseUrlError> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(ParseUrlError::ControlCharacter);
    }
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let (text, query) = text.split_once('?').map_or((text, None), |(a, b)| (a, Some(b)));
    let (scheme, rest) = split_scheme(text);
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    Ok(Parts { scheme: scheme.map(str::to_ascii_lowercase), authority, path, query })
}

fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = text.split_once(':') else { return (None, text) };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_scheme { (Some(scheme), rest) } else { (None, text) }
}

/// Parses user information, host and port.
pub(super) fn authority(text: &str) -> Result<Authority, ParseUrlError> {
    let (user, address) = match text.rsplit_once('@') {
        Some((user, address)) => (Some(user_info(user)?), address),
        None => (None, text),
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or(ParseUrlError::Host)?;
            if !host.contains(':') {
                return Err(ParseUrlError::Host);
            }
            let port = match behind.strip_prefix(':') {
                Some(port) => Some(port),
                None if behind.is_empty() => None,
                None => return Err(ParseUrlError::Port),
            };
            // RFC 6874 escapes the percent sign before a zone.
            (host.replacen("%25", "%", 1), port)
        }
        None => {
            let (host, port) = match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            };
            (host.to_owned(), port)
        }
    };
    let is_of_host = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}[]/?#@".contains(&byte);
    if !host.bytes().all(is_of_host) {
        return Err(ParseUrlError::Host);
    }
    let port = match port {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // As in Go, a colon without a port is the default port.
            let number = (!digits.is_empty()).then(|| digits.parse());
            number.transpose().map_err(|_| ParseUrlError::Port)?
        }
        Some(_) => return Err(ParseUrlError::Port),
        None => None,
    };
    if host.is_empty() { Err(ParseUrlError::NoHost) } else { Ok(Authority { user, host, port }) }
}

fn user_info(text: &str) -> Result<UserInfo, ParseUrlError> {
    let is_of_user =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !text.bytes().all(is_of_user) {
        return Err(ParseUrlError::UserInfo);
    }
    let (name, password) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
    let password = password.map(unescape).transpose()?.map(Secret::new);
    Ok(UserInfo { name: unescape(name)?, password })
}

/// Replaces escapes. Bytes that are not UTF-8 are an error.
fn unescape(text: &str) -> Result<String, ParseUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => (high << 4 | low) as u8,
                _ => return Err(ParseUrlError::Escape),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| ParseUrlError::Escape)
}

/// Escapes what a path cannot contain, and checks the escapes that it has.
pub(super) fn escape_path(path: &str) -> Result<String, ParseUrlError> {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let mut is_digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(is_digit() && is_digit()) {
            return Err(ParseUrlError::Escape);
        }
    }
    Ok(escape(path, b" \"<>\\^`{|}"))
}

/// Escapes what a query cannot contain. As in Go, its escapes are not checked.
pub(super) fn escape_query(query: &str) -> String {
    escape(query, b" \"<>")
}

/// Escapes a user name.
pub(super) fn escape_user(name: &str) -> String {
    escape(name, b" \"#%/:<>?@[\\]^`{|}")
}

fn escape(text: &str, reserved: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_graphic() && !reserved.contains(&(c as u8)) {
            escaped.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// Removes the segments `.` and `..` of an absolute path.
pub(super) fn without_dots(path: &str) -> String {
    let Some(relative) = path.strip_prefix('/') else { return path.to_owned() };
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in relative.split('/') {
        is_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let end = if is_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

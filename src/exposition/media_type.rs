//! Media types of Content-Type headers, with the rules and error texts of Go's `mime` package.
//!
//! Source: RFC 1521, RFC 2045; `mime.ParseMediaType`.

/// Maximum number of parameters that are checked for contradictions.
const MAX_PARAMETERS: usize = 64;

/// Problem of a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// Nothing precedes the parameters.
    #[error("mime: no media type")]
    Missing,
    /// The type is followed by something else than a slash.
    #[error("mime: expected slash after first token")]
    NoSlash,
    /// The subtype is empty.
    #[error("mime: expected token after slash")]
    NoSubtype,
    /// The subtype is followed by something else than parameters.
    #[error("mime: unexpected content after media subtype")]
    Surplus,
    /// A parameter is malformed.
    #[error("mime: invalid media parameter")]
    InvalidParameter,
    /// A parameter occurs twice with different values.
    #[error("mime: duplicate parameter name")]
    DuplicateParameter,
}

/// Returns the media type of a header in lower case, without its parameters.
///
/// # Errors
/// [`MediaTypeError`] if the media type or a parameter is malformed.
pub(crate) fn parse_media_type(header: &str) -> Result<String, MediaTypeError> {
    let (base, parameters) = match header.find(';') {
        Some(at) => header.split_at(at),
        None => (header, ""),
    };
    let media_type = base.to_lowercase().trim().to_owned();
    check_media_type(&media_type)?;
    check_parameters(parameters)?;
    Ok(media_type)
}

fn check_media_type(media_type: &str) -> Result<(), MediaTypeError> {
    let (main, rest) = take_token(media_type);
    if main.is_empty() {
        return Err(MediaTypeError::Missing);
    }
    // A type without a subtype is valid.
    if rest.is_empty() {
        return Ok(());
    }
    let subtype = rest.strip_prefix('/').ok_or(MediaTypeError::NoSlash)?;
    match take_token(subtype) {
        ("", _) => Err(MediaTypeError::NoSubtype),
        (_, "") => Ok(()),
        _ => Err(MediaTypeError::Surplus),
    }
}

fn check_parameters(mut rest: &str) -> Result<(), MediaTypeError> {
    let mut seen: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(());
        }
        let Some(parameter) = take_parameter(rest) else {
            let is_trailing_semicolon = rest.trim() == ";";
            return if is_trailing_semicolon {
                Ok(())
            } else {
                Err(MediaTypeError::InvalidParameter)
            };
        };
        if seen.iter().any(|(name, value)| *name == parameter.name && *value != parameter.value) {
            return Err(MediaTypeError::DuplicateParameter);
        }
        if seen.len() == MAX_PARAMETERS {
            return Err(MediaTypeError::InvalidParameter);
        }
        seen.push((parameter.name, parameter.value));
        rest = parameter.rest;
    }
}

/// Parameter at the front of a text.
struct Parameter<'a> {
    /// Name in lower case.
    name: String,
    /// Value without quotes.
    value: String,
    rest: &'a str,
}

fn take_parameter(text: &str) -> Option<Parameter<'_>> {
    let (name, rest) = take_token(text.strip_prefix(';')?.trim_start());
    if name.is_empty() {
        return None;
    }
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, rest) = match value.strip_prefix('"') {
        Some(quoted) => take_quoted(quoted)?,
        None => match take_token(value) {
            // An empty value at the end of the header counts as malformed, too.
            ("", _) => return None,
            (token, rest) => (token.to_owned(), rest),
        },
    };
    Some(Parameter { name: name.to_ascii_lowercase(), value, rest })
}

/// Splits a quoted string after its opening quote. A backslash escapes only special characters.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\r' | '\n' => return None,
            '\\' => match characters.next_if(|(_, next)| is_special(*next)) {
                Some((_, special)) => value.push(special),
                None => value.push('\\'),
            },
            _ => value.push(character),
        }
    }
    None
}

/// Splits the longest token off the front.
fn take_token(text: &str) -> (&str, &str) {
    let is_token = |character: char| character.is_ascii_graphic() && !is_special(character);
    text.split_at(text.find(|character| !is_token(character)).unwrap_or(text.len()))
}

/// Returns `true` for characters that tokens do not have.
fn is_special(character: char) -> bool {
    "()<>@,;:\\\"/[]?=".contains(character)
}

#[cfg(test)]
mod tests {
    use super::{MediaTypeError, parse_media_type};

    #[test]
    fn media_types_are_parsed_like_in_go() {
        for (header, expected) in [
            ("text/plain", Ok("text/plain")),
            (" Text/PLAIN ; a=b", Ok("text/plain")),
            ("form-data", Ok("form-data")),
            ("a/b;", Ok("a/b")),
            ("a/b; ; ", Err(MediaTypeError::InvalidParameter)),
            ("a/b ;  ", Ok("a/b")),
            ("a/b;c=d;C=d", Ok("a/b")),
            ("a/b;c=d;c=e", Err(MediaTypeError::DuplicateParameter)),
            ("a/b;c=\"\"", Ok("a/b")),
            ("a/b;c=\"d;\\\"e\\x\" ; f=g", Ok("a/b")),
            ("a/b;c=\"d", Err(MediaTypeError::InvalidParameter)),
            ("a/b;c=\"d\n\"", Err(MediaTypeError::InvalidParameter)),
            ("a/b;c=", Err(MediaTypeError::InvalidParameter)),
            ("a/b;c", Err(MediaTypeError::InvalidParameter)),
            ("a/b;=c", Err(MediaTypeError::InvalidParameter)),
            ("a/b;c=d e", Err(MediaTypeError::InvalidParameter)),
            ("", Err(MediaTypeError::Missing)),
            (";a=b", Err(MediaTypeError::Missing)),
            ("/b", Err(MediaTypeError::Missing)),
            ("a b", Err(MediaTypeError::NoSlash)),
            ("a/", Err(MediaTypeError::NoSubtype)),
            ("a//", Err(MediaTypeError::NoSubtype)),
            ("a/b/c", Err(MediaTypeError::Surplus)),
            ("a/é", Err(MediaTypeError::NoSubtype)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(parse_media_type(header), expected, "{header:?}");
        }
    }
}

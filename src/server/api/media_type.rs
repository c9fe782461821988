//! Parser of `Content-Type` in requests.
//!
//! Source: RFC 9110, sections 5.6.6 (parameters), 8.3 and 8.4.

/// Media type with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MediaType {
    /// `type/subtype`, in lower case.
    pub(crate) essence: String,
    /// Names in lower case; values unchanged, without quotes.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Parses a `Content-Type`. Returns `None` if it is invalid.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (essence, mut rest) = match text.find(';') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let essence = trim(essence);
        let (kind, subkind) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subkind) {
            return None;
        }
        let mut parameters = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start_matches([' ', '\t']);
            if after.is_empty() || after.starts_with(';') {
                rest = after;
                continue;
            }
            let (name, value) = after.split_once('=')?;
            let (value, after) = take_value(value)?;
            if !is_token(name) {
                return None;
            }
            parameters.push((name.to_ascii_lowercase(), value));
            rest = after.trim_start_matches([' ', '\t']);
        }
        rest.is_empty().then(|| Self { essence: essence.to_ascii_lowercase(), parameters })
    }

    /// Returns the first value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Splits a parameter value, a token or a quoted string, off the front of `text`.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::MediaType;

    #[test]
    fn parameters_are_parsed_with_blanks_and_quotes() {
        for text in [
            "application/x-protobuf;proto=a.B",
            "application/x-protobuf; proto=a.B",
            "Application/X-Protobuf ;\tPROTO=\"a.B\" ; charset=utf-8",
            "application/x-protobuf;; proto=\"a\\.B\";",
        ] {
            let media_type = MediaType::parse(text).unwrap();
            assert_eq!(media_type.essence, "application/x-protobuf");
            assert_eq!(media_type.parameter("proto"), Some("a.B"), "{text}");
        }
        assert_eq!(MediaType::parse("a/b").unwrap().parameter("proto"), None);
    }

    #[test]
    fn invalid_media_type_is_rejected() {
        for text in [
            "",
            "a",
            "a/",
            "/b",
            "a b/c",
            "a/b;proto",
            "a/b;proto=",
            "a/b; pro to=x",
            "a/b;x=\"y",
            "a/b; x=y z",
        ] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }
}

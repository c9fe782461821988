//! Series as text, for responses, logs and the status API.

/// Maximum length of the text for one series, bytes.
pub(crate) const NAME_BYTES: usize = 300;

/// Formats labels as they were sent, valid or not, and truncates long ones.
pub(crate) fn describe<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("{");
    for (name, value) in labels {
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(truncate(name));
        text.push_str(&format!("={:?}", truncate(value)));
        if text.len() > NAME_BYTES {
            text.truncate(truncation_index(&text));
            text.push('…');
            return text;
        }
    }
    text.push('}');
    text
}

/// Returns the characters of `text` within [`NAME_BYTES`].
pub(crate) fn truncate(text: &str) -> &str {
    &text[..truncation_index(text)]
}

/// Returns the last character boundary within [`NAME_BYTES`].
fn truncation_index(text: &str) -> usize {
    text.floor_char_boundary(NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{NAME_BYTES, describe};

    #[test]
    fn long_series_name_is_truncated() {
        let long = "é".repeat(1 << 20);
        let text = describe([("a", long.as_str()), (long.as_str(), "b")].into_iter());
        assert!(text.len() <= NAME_BYTES + 4, "{}", text.len());
        assert!(text.starts_with("{a=\"é") && text.ends_with('…'));
    }
}

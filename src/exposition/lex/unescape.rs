//! Escapes of quoted strings and help texts. An unknown escape stays as it is.

/// Appends the text of a quoted string: `\"`, `\\` and `\n` are escapes.
pub(crate) fn push_unescaped(out: &mut String, text: &str) {
    push(out, text, |escaped| match escaped {
        b'"' => Some('"'),
        b'\\' => Some('\\'),
        b'n' => Some('\n'),
        _ => None,
    });
}

/// Appends a help text of Prometheus's format: `\\` and `\n` are escapes.
pub(crate) fn push_unescaped_help(out: &mut String, text: &str) {
    push(out, text, |escaped| match escaped {
        b'\\' => Some('\\'),
        b'n' => Some('\n'),
        _ => None,
    });
}

fn push(out: &mut String, mut text: &str, unescape: impl Fn(u8) -> Option<char>) {
    while let Some(at) = text.find('\\') {
        let (before, rest) = text.split_at(at);
        out.push_str(before);
        let escaped = rest.as_bytes().get(1).and_then(|byte| unescape(*byte));
        // Only ASCII characters are escapes, so both lengths are character boundaries.
        let length = match escaped {
            Some(character) => {
                out.push(character);
                2
            }
            None => {
                out.push('\\');
                1
            }
        };
        text = rest.get(length..).unwrap_or_default();
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::{push_unescaped, push_unescaped_help};

    #[test]
    fn known_escapes_are_replaced_once() {
        for (text, value, help) in [
            ("plain", "plain", "plain"),
            (r"a\nb", "a\nb", "a\nb"),
            (r"\\n", r"\n", r"\n"),
            (r"\\\n", "\\\n", "\\\n"),
            (r#"\""#, "\"", r#"\""#),
            (r"\t\é\", r"\t\é\", r"\t\é\"),
        ] {
            let (mut unescaped, mut unescaped_help) = (String::new(), String::new());
            push_unescaped(&mut unescaped, text);
            push_unescaped_help(&mut unescaped_help, text);
            assert_eq!((unescaped.as_str(), unescaped_help.as_str()), (value, help), "{text}");
        }
    }
}

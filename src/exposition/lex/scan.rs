//! Names, quoted strings and line ends.

use std::ops::Range;

/// Bits of [`CLASSES`].
const METRIC_NAME: u8 = 1;
const LABEL_NAME: u8 = 2;

/// Number of bytes of a metric name that are checked at once.
const NAME_CHUNK: usize = 16;

/// Classes of each byte.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' {
            classes[byte] = METRIC_NAME | LABEL_NAME;
        } else if byte as u8 == b':' {
            classes[byte] = METRIC_NAME;
        }
        byte += 1;
    }
    classes
}

/// Returns the byte at an offset, or `None` at the end of the body.
#[inline]
pub(crate) fn byte_at(body: &[u8], at: usize) -> Option<u8> {
    body.get(at).copied()
}

/// Returns the bytes of a range, or nothing if it is outside of the body.
#[inline]
pub(crate) fn slice(body: &[u8], range: Range<usize>) -> &[u8] {
    body.get(range).unwrap_or_default()
}

/// Returns the end of the metric name at an offset; the offset itself if there is none.
#[inline]
pub(crate) fn metric_name(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    if rest.first().is_none_or(u8::is_ascii_digit) {
        return at;
    }
    // Metric names are long. Whole chunks are checked without a branch per byte.
    let chunks = rest.chunks_exact(NAME_CHUNK).take_while(|chunk| is_within_metric_name(chunk));
    let checked = chunks.count() * NAME_CHUNK;
    name(body, at, checked, METRIC_NAME)
}

/// Returns `true` if all bytes can be part of a metric name.
#[inline]
fn is_within_metric_name(chunk: &[u8]) -> bool {
    chunk.iter().fold(true, |is_name, byte| {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        // The colon follows the nine.
        let is_digit_or_colon = byte.wrapping_sub(b'0') < 11;
        is_name & (is_letter | is_digit_or_colon | (*byte == b'_'))
    })
}

/// Returns the end of the label name at an offset; the offset itself if there is none.
#[inline]
pub(crate) fn label_name(body: &[u8], at: usize) -> usize {
    match body.get(at) {
        None | Some(b'0'..=b'9') => at,
        Some(_) => name(body, at, 0, LABEL_NAME),
    }
}

/// Returns the end of the name at an offset, of which some bytes are checked.
#[inline]
fn name(body: &[u8], at: usize, checked: usize, class: u8) -> usize {
    end_of(body, at + checked, |byte| CLASSES[usize::from(byte)] & class != 0)
}

/// Returns the offset of the first byte that is neither a space nor a tab.
#[inline]
pub(crate) fn blanks(body: &[u8], at: usize) -> usize {
    at + length_of(body.get(at..).unwrap_or_default(), |byte| matches!(byte, b' ' | b'\t'))
}

/// Returns the end of the bytes from an offset for which the condition holds.
#[inline]
pub(crate) fn end_of(body: &[u8], at: usize, condition: impl Fn(u8) -> bool) -> usize {
    at + length_of(body.get(at..).unwrap_or_default(), condition)
}

#[inline]
fn length_of(bytes: &[u8], condition: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !condition(*byte)).unwrap_or(bytes.len())
}

/// Returns the offset of the newline that ends a line, or the end of the body.
#[inline]
pub(crate) fn line_end(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

/// Newlines within quoted strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newlines {
    /// A newline is an ordinary character.
    Allowed,
    /// A newline ends the string, which is then incomplete.
    Forbidden,
}

/// Returns the range between the quotes of the string at an offset, or `None` if no complete string
/// starts there. The closing quote follows the range.
///
/// A backslash escapes any character except a newline. NUL bytes after a backslash are skipped, as
/// in Prometheus.
#[inline]
pub(crate) fn quoted(body: &[u8], at: usize, newlines: Newlines) -> Option<Range<usize>> {
    if byte_at(body, at) != Some(b'"') {
        return None;
    }
    let start = at + 1;
    let mut end = start;
    loop {
        let rest = body.get(end..)?;
        let special = match newlines {
            Newlines::Allowed => memchr::memchr2(b'"', b'\\', rest)?,
            Newlines::Forbidden => memchr::memchr3(b'"', b'\\', b'\n', rest)?,
        };
        end += special;
        match rest.get(special)? {
            b'"' => return Some(start..end),
            b'\\' => {
                let escaped = end_of(body, end + 1, |byte| byte == 0);
                if byte_at(body, escaped)? == b'\n' {
                    return None;
                }
                end = escaped + 1;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Newlines, blanks, label_name, line_end, metric_name, quoted};

    #[test]
    fn names_end_before_other_characters() {
        for (text, metric, label) in [
            ("a", 1, 1),
            ("_a9:b-c", 5, 3),
            (":a", 2, 0),
            ("9a", 0, 0),
            ("", 0, 0),
            ("é", 0, 0),
            ("Zz{", 2, 2),
        ] {
            assert_eq!(metric_name(text.as_bytes(), 0), metric, "{text}");
            assert_eq!(label_name(text.as_bytes(), 0), label, "{text}");
        }
        assert_eq!(metric_name(b"ab", 5), 5);
        for length in 1..70 {
            for end in ["", "{", " ", "-", "\u{e9}", "@", "[", "`", ";", "/"] {
                let text =
                    format!("{}{end}0123456789abcdef_", "aZ9_:".repeat(14).split_at(length).0);
                let expected = if end.is_empty() { length + 17 } else { length };
                assert_eq!(metric_name(text.as_bytes(), 0), expected, "{text}");
            }
        }
    }

    #[test]
    fn quoted_strings_end_at_an_unescaped_quote() {
        for (text, range) in [
            (r#""""#, Some(1..1)),
            (r#""ab"c"#, Some(1..3)),
            (r#""a\"b""#, Some(1..5)),
            (r#""a\\""#, Some(1..4)),
            (r#""a\\\""#, None),
            (r#""a"#, None),
            (r#""a\"#, None),
            ("a\"", None),
            ("\"a\\\n\"", None),
            ("\"a\0\"", Some(1..3)),
            ("\"a\\\0\"\"", Some(1..5)),
        ] {
            for newlines in [Newlines::Allowed, Newlines::Forbidden] {
                assert_eq!(quoted(text.as_bytes(), 0, newlines), range, "{text:?}");
            }
        }
        assert_eq!(quoted(b"\"a\nb\"", 0, Newlines::Allowed), Some(1..4));
        assert_eq!(quoted(b"\"a\nb\"", 0, Newlines::Forbidden), None);
    }

    #[test]
    fn lines_and_blanks_end_at_the_body() {
        assert_eq!(line_end(b"ab\nc", 0), 2);
        assert_eq!(line_end(b"ab\nc", 3), 4);
        assert_eq!(line_end(b"ab", 7), 7);
        assert_eq!(blanks(b" \t a", 0), 3);
        assert_eq!(blanks(b"  ", 0), 2);
    }
}

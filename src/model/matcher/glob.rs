//! Literal text with gaps of any characters between: `abc.*`, `.+abc`, `.*abc.*`, `a.*b.+c`, matched by comparing and
//! searching, without an automaton.
//!
//! Taking each text at its first place after the gap is right because a gap has no upper end: whatever follows can
//! only gain room.

/// Texts with gaps between them; a gap is a least number of characters. Matches whole values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// What a value begins with; may be empty.
    pub(super) first: String,
    /// The gaps and what follows each; only the last text may be empty. Never without an element.
    pub(super) rest: Vec<(usize, String)>,
}

impl Glob {
    pub(super) fn matches(&self, value: &str) -> bool {
        self.try_match(value).is_some()
    }

    fn try_match(&self, value: &str) -> Option<()> {
        let mut value = without_prefix(value, &self.first)?;
        let ((last_gap, last), middle) = self.rest.split_last()?;
        for (gap, text) in middle {
            value = skip_chars(value, *gap)?;
            value = &value[find(value, text)? + text.len()..];
        }
        skip_chars(without_suffix(value, last)?, *last_gap).map(|_| ())
    }

    /// Whether every value matches that is not empty.
    pub(super) fn names_every_value(&self) -> bool {
        self.first.is_empty() && matches!(self.rest.as_slice(), [(0 | 1, last)] if last.is_empty())
    }
}

// Comparing with an empty string, whose bytes have no place in memory, takes tens of nanoseconds on some processors: the
// C library reads there, masked, and the fault that this suppresses is not free. So these two ask first.

fn without_prefix<'a>(value: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() { Some(value) } else { value.strip_prefix(prefix) }
}

fn without_suffix<'a>(value: &'a str, suffix: &str) -> Option<&'a str> {
    if suffix.is_empty() { Some(value) } else { value.strip_suffix(suffix) }
}

/// Where `text`, which is not empty, first stands in `value`. Label values are short, and for those the set-up of the
/// standard search, which is linear in any case, would be most of the work.
fn find(value: &str, text: &str) -> Option<usize> {
    const SHORT: usize = 128;
    let (value_bytes, text_bytes) = (value.as_bytes(), text.as_bytes());
    if value.len() > SHORT {
        return value.find(text);
    }
    let first = text_bytes.first()?;
    let last_start = value.len().checked_sub(text.len())?;
    (0..=last_start)
        .find(|&at| value_bytes[at] == *first && value_bytes[at..].starts_with(text_bytes))
}

/// What follows the first `count` characters, or `None` where there are fewer.
fn skip_chars(text: &str, count: usize) -> Option<&str> {
    let mut chars = text.chars();
    match count.checked_sub(1) {
        None => Some(text),
        Some(nth) => chars.nth(nth).map(|_| chars.as_str()),
    }
}

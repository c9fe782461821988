//! Literals with gaps between them (`abc.*`, `.+abc`, `.*abc.*`, `a.*b.+c`), matched without an
//! automaton.
//!
//! Each literal is taken at its first occurrence after the gap. That is correct because a gap has
//! no maximum length: an earlier occurrence leaves more room for the rest.

/// Literals separated by gaps of a minimum number of characters. Matches whole values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// Literal at the start; may be empty.
    pub(super) first: String,
    /// Gaps and the literal after each. Only the last literal may be empty. Has at least one
    /// element.
    pub(super) rest: Vec<(usize, String)>,
}

impl Glob {
    pub(super) fn matches(&self, value: &str) -> bool {
        self.try_match(value).is_some()
    }

    fn try_match(&self, value: &str) -> Option<()> {
        let mut value = without_prefix(value, &self.first)?;
        let ((last_gap, last), middle) = self.rest.split_last()?;
        for (gap, literal) in middle {
            value = skip_chars(value, *gap)?;
            value = &value[find(value, literal)? + literal.len()..];
        }
        skip_chars(without_suffix(value, last)?, *last_gap).map(|_| ())
    }

    /// Returns `true` if every non-empty value matches.
    pub(super) fn matches_every_nonempty(&self) -> bool {
        self.first.is_empty() && matches!(self.rest.as_slice(), [(0 | 1, last)] if last.is_empty())
    }
}

// An empty string has no allocation, so a comparison with one takes tens of nanoseconds on some
// CPUs: the C library reads a masked invalid address, and suppressing that fault is slow. So these
// functions check for empty strings first.

fn without_prefix<'a>(value: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() { Some(value) } else { value.strip_prefix(prefix) }
}

fn without_suffix<'a>(value: &'a str, suffix: &str) -> Option<&'a str> {
    if suffix.is_empty() { Some(value) } else { value.strip_suffix(suffix) }
}

/// Returns the offset of the first occurrence of `literal`, which is not empty, in `value`.
///
/// Label values are short, so the setup of the standard (linear) search would dominate.
fn find(value: &str, literal: &str) -> Option<usize> {
    const SHORT: usize = 128;
    let (value_bytes, literal_bytes) = (value.as_bytes(), literal.as_bytes());
    if value.len() > SHORT {
        return value.find(literal);
    }
    let first = literal_bytes.first()?;
    let last_start = value.len().checked_sub(literal.len())?;
    (0..=last_start)
        .find(|&at| value_bytes[at] == *first && value_bytes[at..].starts_with(literal_bytes))
}

/// Returns the string after the first `count` characters, or `None` if there are fewer.
fn skip_chars(literal: &str, count: usize) -> Option<&str> {
    let mut chars = literal.chars();
    match count.checked_sub(1) {
        None => Some(literal),
        Some(nth) => chars.nth(nth).map(|_| chars.as_str()),
    }
}

//! Label sets in braces.
//!
//! ```text
//! { "metric.name" , name = "value" , "quoted.name" = "value" , }
//! ```
//!
//! A quoted string without a value is the metric name; it can stand anywhere in the braces. Label
//! sets are walked twice: every line is validated, but only unknown series and exemplars need the
//! labels.

use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::lex::scan::{Newlines, blanks, byte_at, label_name, quoted, slice};
use crate::exposition::lex::unescape::push_unescaped;
use crate::exposition::parse_error::TextProblem;
use std::ops::Range;

/// Rules in which the formats differ.
pub(crate) trait LabelSyntax {
    /// Whether blanks are allowed between the pieces.
    const BLANKS: bool;
    /// Whether labels must be separated by commas.
    const COMMAS: bool;
    /// Whether the braces may contain the metric name.
    const METRIC_NAME: bool;
    /// Newlines in quoted names.
    const NAME_NEWLINES: Newlines;
    /// Newlines in values.
    const VALUE_NEWLINES: Newlines;
}

/// Piece of a label set. Ranges are without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Quoted metric name.
    MetricName(Range<usize>),
    /// Label.
    Label {
        /// Name, without quotes.
        name: Range<usize>,
        /// Value, without quotes.
        value: Range<usize>,
    },
}

/// Problem at an offset of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Description of the problem.
    pub(crate) problem: TextProblem,
    /// Offset of the first unexpected byte.
    pub(crate) at: usize,
}

impl Fault {
    pub(crate) fn new(problem: TextProblem, at: usize) -> Self {
        Self { problem, at }
    }
}

/// Body of which it is known whether it is UTF-8 as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    /// Bytes of the body.
    pub(crate) bytes: &'a [u8],
    /// Whether all bytes are UTF-8, so that parts need no check.
    pub(crate) is_utf8: bool,
}

impl<'a> Body<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, is_utf8: std::str::from_utf8(bytes).is_ok() }
    }

    /// Checks that a part between quotes or blanks is UTF-8.
    #[inline]
    pub(crate) fn check_utf8(self, part: &Range<usize>, name: &'static str) -> Result<(), Fault> {
        // The borders of a part are ASCII characters, so they do not cut a character.
        if self.is_utf8 || std::str::from_utf8(slice(self.bytes, part.clone())).is_ok() {
            return Ok(());
        }
        Err(Fault::new(TextProblem::InvalidUtf8 { part: name }, part.start))
    }

    /// Returns a checked part.
    pub(crate) fn text(self, part: Range<usize>) -> &'a str {
        std::str::from_utf8(slice(self.bytes, part)).unwrap_or_default()
    }
}

/// Validates the label set that starts after an opening brace, and visits its items. Returns the
/// offset after the closing brace.
#[inline]
pub(crate) fn walk<S: LabelSyntax>(
    body: Body<'_>,
    start: usize,
    mut visit: impl FnMut(Item) -> Result<(), TextProblem>,
) -> Result<usize, Fault> {
    let bytes = body.bytes;
    let skip = |at| if S::BLANKS { blanks(bytes, at) } else { at };
    let mut at = skip(start);
    loop {
        let piece = at;
        let (name, after_name, is_quoted) = match byte_at(bytes, at) {
            Some(b'}') => return Ok(at + 1),
            Some(b'"') => {
                let name = quoted(bytes, at, S::NAME_NEWLINES)
                    .ok_or(Fault::new(TextProblem::ExpectedLabelName, at))?;
                body.check_utf8(&name, "name")?;
                (name.clone(), skip(name.end + 1), true)
            }
            _ => {
                let end = label_name(bytes, at);
                if end == at {
                    return Err(Fault::new(TextProblem::ExpectedLabelName, at));
                }
                (at..end, skip(end), false)
            }
        };
        let next = byte_at(bytes, after_name);
        if is_quoted && matches!(next, Some(b',' | b'}')) {
            if !S::METRIC_NAME {
                return Err(Fault::new(TextProblem::ExpectedLabelName, piece));
            }
            visit(Item::MetricName(name)).map_err(|problem| Fault::new(problem, piece))?;
            if next == Some(b'}') {
                return Ok(after_name + 1);
            }
            at = skip(after_name + 1);
            continue;
        }
        if next != Some(b'=') {
            return Err(Fault::new(TextProblem::ExpectedEqual, after_name));
        }
        let value_at = skip(after_name + 1);
        let value = quoted(bytes, value_at, S::VALUE_NEWLINES)
            .ok_or(Fault::new(TextProblem::ExpectedLabelValue, value_at))?;
        body.check_utf8(&value, "label value")?;
        at = skip(value.end + 1);
        visit(Item::Label { name, value }).map_err(|problem| Fault::new(problem, piece))?;
        match byte_at(bytes, at) {
            Some(b',') => at = skip(at + 1),
            Some(b'}') => {}
            _ if S::COMMAS => return Err(Fault::new(TextProblem::ExpectedComma, at)),
            _ => {}
        }
    }
}

/// Adds the labels of a validated label set. `push_value` appends a raw value to the text; it gets
/// the name, too.
pub(crate) fn push_labels<S: LabelSyntax>(
    body: Body<'_>,
    start: usize,
    labels: &mut LabelBuffer,
    push_value: impl Fn(&mut String, &str, &str),
) {
    let walked = walk::<S>(body, start, |item| {
        if let Item::Label { name, value } = item {
            let (name, value) = (body.text(name), body.text(value));
            labels
                .push_with(|text| push_unescaped(text, name), |text| push_value(text, name, value));
        }
        Ok(())
    });
    debug_assert!(walked.is_ok(), "the label set was validated");
}

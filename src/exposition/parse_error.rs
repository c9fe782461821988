//! Errors of malformed bodies: the problem, its place, and an excerpt.

use crate::exposition::protobuf_problem::ProtobufProblem;
use crate::model::metadata::MetricType;

/// Maximum length of an excerpt and of quoted parts of a body, bytes.
const MAX_EXCERPT: usize = 80;
/// Number of bytes of an excerpt that follow the place of the error.
const EXCERPT_AFTER: usize = 16;

/// Error of a malformed body.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// The body is malformed text.
    #[error("{problem} at line {line}, column {column} near {excerpt:?}")]
    Text {
        /// Description of the problem, without the place.
        problem: TextProblem,
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in bytes.
        column: usize,
        /// Part of the line around the place, with replacement characters for invalid UTF-8.
        excerpt: String,
    },
    /// The body is malformed protobuf.
    #[error("{problem} at byte {offset}{}", in_family(family))]
    Protobuf {
        /// Description of the problem, without the place.
        problem: ProtobufProblem,
        /// Offset in the decompressed body, bytes.
        offset: usize,
        /// Name of the metric family, shortened; empty if it is unknown.
        family: String,
    },
}

/// Problem of a text body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    /// The line is neither metadata nor a comment nor a sample.
    #[error("expected a metric name or a comment")]
    ExpectedLine,
    /// A metadata line has no valid family name.
    #[error("expected a metric name after {keyword}")]
    ExpectedFamily {
        /// `HELP`, `TYPE` or `UNIT`.
        keyword: &'static str,
    },
    /// A metadata line ends after the family name.
    #[error("expected text in {keyword}")]
    ExpectedText {
        /// `HELP`, `TYPE` or `UNIT`.
        keyword: &'static str,
    },
    /// The format does not have this type.
    #[error("invalid metric type {name:?}")]
    InvalidType {
        /// Type in the body, shortened.
        name: String,
    },
    /// The unit is not the end of the family name.
    #[error("unit {unit:?} is not a suffix of metric {family:?}")]
    UnitNotSuffix {
        /// Unit in the body, shortened.
        unit: String,
        /// Family name, shortened.
        family: String,
    },
    /// Text is not UTF-8.
    #[error("invalid UTF-8 in {part}")]
    InvalidUtf8 {
        /// Part of the line.
        part: &'static str,
    },
    /// Braces contain something else than a label.
    #[error("expected a label name")]
    ExpectedLabelName,
    /// A label name has no value.
    #[error("expected '=' after the label name")]
    ExpectedEqual,
    /// A label value is not a complete quoted string.
    #[error("expected a quoted label value")]
    ExpectedLabelValue,
    /// A label is followed by something else than a comma or a brace.
    #[error("expected ',' or '}}' after the label value")]
    ExpectedComma,
    /// A sample has two names.
    #[error("metric name already set")]
    SecondName,
    /// A sample has no name.
    #[error("metric name not set")]
    MissingName,
    /// A value is missing.
    #[error("expected a value after {part}")]
    ExpectedValue {
        /// Part of the line before the value.
        part: &'static str,
    },
    /// A number uses a notation that the formats do not have.
    #[error("unsupported character in float")]
    FloatCharacter,
    /// A value is not a number.
    #[error("invalid float")]
    InvalidFloat,
    /// A number does not fit into a float.
    #[error("float out of range")]
    FloatRange,
    /// A timestamp is not a number of the format.
    #[error("invalid timestamp")]
    InvalidTimestamp,
    /// A value is followed by something else than a timestamp or the end of the line.
    #[error("expected a timestamp or the end of the line")]
    ExpectedTimestamp,
    /// The line does not end where it must.
    #[error("expected the end of the line after {part}")]
    ExpectedLineEnd {
        /// Part of the line before the surplus.
        part: &'static str,
    },
    /// An OpenMetrics body ends without its end marker.
    #[error("data does not end with # EOF")]
    MissingEof,
    /// An OpenMetrics body continues after its end marker.
    #[error("unexpected data after # EOF")]
    DataAfterEof,
}

/// Returns the end of an error text, which names the family.
fn in_family(family: &str) -> String {
    if family.is_empty() { String::new() } else { format!(" in metric family {family:?}") }
}

impl ParseError {
    /// Returns the error at an offset of a protobuf body.
    pub(crate) fn in_protobuf(problem: ProtobufProblem, offset: usize, family: &str) -> Self {
        Self::Protobuf { problem, offset, family: shorten(family.as_bytes()) }
    }

    /// Returns the error at an offset of a text body.
    pub(crate) fn in_text(problem: TextProblem, body: &[u8], offset: usize) -> Self {
        let offset = offset.min(body.len());
        let (before, after) = body.split_at(offset);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line_end = after.iter().position(|byte| *byte == b'\n').map_or(after.len(), |at| at);
        let end = offset + line_end.min(EXCERPT_AFTER);
        let start = line_start.max(end.saturating_sub(MAX_EXCERPT));
        Self::Text {
            problem,
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + offset - line_start,
            excerpt: String::from_utf8_lossy(body.get(start..end).unwrap_or_default()).into_owned(),
        }
    }
}

/// Returns a part of a body for an error, shortened and with replacement characters.
pub(crate) fn shorten(part: &[u8]) -> String {
    let shown = part.get(..MAX_EXCERPT).unwrap_or(part);
    String::from_utf8_lossy(shown).into_owned()
}

/// Returns the type of a name in text bodies, or `None` for an unknown name.
pub(crate) fn common_type(name: &[u8]) -> Option<MetricType> {
    match name {
        b"counter" => Some(MetricType::Counter),
        b"gauge" => Some(MetricType::Gauge),
        b"histogram" => Some(MetricType::Histogram),
        b"summary" => Some(MetricType::Summary),
        _ => None,
    }
}

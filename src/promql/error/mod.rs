//! Errors of expressions, in Prometheus's words: `1:5: parse error: unexpected end of input`.
//!
//! Prometheus collects several errors and shows the first one, so parsing ends at the first error.
//!
//! Source: Prometheus's `promql/parser` (`lex.go`, `parse.go`, `generated_parser.y`).
//!
//! | module | contents |
//! |---|---|
//! | [`lexical`] | errors of single tokens |
//! | [`types`] | errors of types, and of arguments that depend on them |
//! | [`unexpected`] | tokens where the grammar has no place for them |

pub mod lexical;
pub mod types;
pub mod unexpected;

use crate::model::go_format::Quoted;
use crate::model::matcher::error::MatcherError;
use crate::promql::ast::operator::AggregateOp;
use crate::promql::error::lexical::LexicalError;
use crate::promql::error::types::TypeError;
use crate::promql::error::unexpected::Context;
use std::fmt;

/// Error of an expression or selector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{position}: parse error: {problem}")]
pub struct ParseError {
    /// Place of the error.
    pub position: Position,
    /// Description without the place.
    pub problem: Problem,
}

impl ParseError {
    /// Returns the error at an offset in bytes.
    pub(crate) fn at(text: &[u8], offset: u32, problem: Problem) -> Self {
        Self { position: Position::of(text, offset), problem }
    }
}

/// Position in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The expression is empty.
    Unknown,
    /// Line and column, both from 1. Columns are bytes.
    At {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
}

impl Position {
    /// Returns the position of an offset in bytes.
    #[must_use]
    pub fn of(text: &[u8], offset: u32) -> Self {
        if text.is_empty() {
            return Self::Unknown;
        }
        let before = text.get(..offset as usize).unwrap_or(text);
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        Self::At { line, column: 1 + before.len() - line_start }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown position"),
            Self::At { line, column } => write!(f, "{line}:{column}"),
        }
    }
}

/// Description of an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// A token is invalid.
    #[error(transparent)]
    Lexical(#[from] LexicalError),
    /// A token is where the grammar has no place for it.
    #[error("unexpected {token}{context}")]
    Unexpected {
        /// Description of the token.
        token: String,
        /// What was expected, and in which part of the grammar.
        context: Context,
    },
    /// There are only blanks and comments.
    #[error("no expression found in input")]
    NoExpression,
    /// A number is malformed or too large.
    #[error("error parsing number: strconv.ParseFloat: parsing {}: {reason}", Quoted(.text.as_bytes()))]
    Number {
        /// The number.
        text: String,
        /// Reason.
        reason: NumberError,
    },
    /// A duration is malformed or too long.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// A range or step is not positive.
    #[error("duration must be greater than 0")]
    NotPositive,
    /// A duration is divided by 0.
    #[error("division by zero")]
    DivisionByZero,
    /// A duration is divided by 0 for the remainder.
    #[error("modulo by zero")]
    ModuloByZero,
    /// A regular expression is invalid.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// A label of `by`, `on` and the like is empty or not UTF-8.
    #[error("invalid label name for grouping: {}", Quoted(.name))]
    GroupingLabel {
        /// The name.
        name: Box<[u8]>,
    },
    /// A function does not exist.
    #[error("unknown function with name {name:?}")]
    UnknownFunction {
        /// The name: letters, digits and underscores.
        name: String,
    },
    /// A function is experimental and not enabled.
    #[error("function {name:?} is not enabled")]
    FunctionNotEnabled {
        /// The name.
        name: &'static str,
    },
    /// An aggregation is experimental and not enabled.
    #[error(
        "{}() is experimental and must be enabled with \
         --enable-feature=promql-experimental-functions", .0.name()
    )]
    AggregationNotEnabled(AggregateOp),
    /// `fill` and the like are not enabled.
    #[error("binop fill modifiers are experimental and not enabled")]
    FillNotEnabled,
    /// A modifier of ranges is not enabled or has no place here.
    #[error("{name} modifier {reason}")]
    Extension {
        /// `anchored` or `smoothed`.
        name: &'static str,
        /// Reason.
        reason: ExtensionError,
    },
    /// Both modifiers of ranges are present.
    #[error("anchored and smoothed modifiers cannot be used together")]
    AnchoredAndSmoothed,
    /// The last argument of a call is empty.
    #[error("trailing commas not allowed in function call args")]
    TrailingComma,
    /// An aggregation has no arguments.
    #[error("no arguments for aggregate expression provided")]
    NoAggregationArguments,
    /// An aggregation has the wrong number of arguments.
    #[error(
        "wrong number of arguments for aggregate expression provided, expected {expected}, got \
         {found}"
    )]
    AggregationArguments {
        /// Number that it must have.
        expected: usize,
        /// Number that it has.
        found: usize,
    },
    /// A range follows something other than a selector.
    #[error("ranges only allowed for vector selectors")]
    RangeOfOtherExpression,
    /// A range follows `offset`.
    #[error("no offset modifiers allowed before range")]
    OffsetBeforeRange,
    /// A range follows `@`.
    #[error("no @ modifiers allowed before range")]
    AtBeforeRange,
    /// `offset` occurs twice.
    #[error("offset may not be set multiple times")]
    OffsetTwice,
    /// `@` occurs twice.
    #[error("@ <timestamp> may not be set multiple times")]
    AtTwice,
    /// A modifier follows something other than a selector or subquery.
    #[error(
        "{modifier} modifier must be preceded by an instant vector selector or range vector \
         selector or a subquery"
    )]
    ModifierOfOtherExpression {
        /// `offset` or `@`.
        modifier: &'static str,
    },
    /// The time of `@` cannot be represented.
    #[error("timestamp out of bounds for @ modifier: {seconds}")]
    AtOutOfBounds {
        /// The time with six decimals.
        seconds: String,
    },
    /// A type is wrong.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// The expression exceeds a limit of narthex.
    #[error("expression exceeds the limit of {limit} {unit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Unit of the limit.
        unit: &'static str,
    },
}

/// Error of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not a number.
    #[error("invalid syntax")]
    Syntax,
    /// Larger than the largest float.
    #[error("value out of range")]
    Range,
}

/// Error of a duration literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Units are not in descending order, or a number is too large.
    #[error("not a valid duration string: {text:?}")]
    Invalid {
        /// The duration: letters and digits.
        text: String,
    },
    /// A unit does not exist.
    #[error("unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The duration.
        text: String,
    },
    /// Longer than 292 years.
    #[error("duration out of range")]
    OutOfRange,
}

/// Error of `anchored` or `smoothed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The feature is off.
    #[error("is experimental and not enabled")]
    NotEnabled,
    /// The modifier follows a subquery.
    #[error("is not supported for subqueries")]
    Subquery,
    /// The modifier follows something other than a selector.
    #[error("not implemented")]
    OtherExpression,
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn position_counts_lines_and_bytes_from_one() {
        let position = |text: &str, offset| Position::of(text.as_bytes(), offset).to_string();
        assert_eq!(position("", 0), "unknown position");
        assert_eq!(position("up{", 0), "1:1");
        assert_eq!(position("up{", 3), "1:4");
        assert_eq!(position("é\n\nup", 5), "3:2");
        assert_eq!(position("a\nb", 2), "2:1");
    }
}

//! Tokens, and their descriptions in messages.

use crate::model::go_format::Quoted;
use crate::promql::ast::operator::{AggregateOp, BinaryOp};
use crate::promql::ast::position::Span;

/// Maximum length of a token that a message shows whole, bytes.
const MAX_SHOWN_BYTES: usize = 10;
/// Length of the part of a longer token that a message shows, characters.
const SHOWN_CHARS: usize = 10;

/// Token with its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) struct Token {
    pub(in crate::promql) kind: TokenKind,
    pub(in crate::promql) span: Span,
}

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) enum TokenKind {
    /// End of the text.
    End,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    /// `=`.
    Assign,
    /// `=~`.
    RegexMatch,
    /// `!~`.
    RegexMismatch,
    /// `@`.
    At,
    Operator(BinaryOp),
    Aggregation(AggregateOp),
    Keyword(Keyword),
    /// Word that is a function of times.
    TimeFunction(TimeFunction),
    Identifier,
    /// Identifier with a colon.
    MetricIdentifier,
    Number,
    Duration,
    String,
}

/// Word with a meaning in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

impl Keyword {
    const ALL: [(&'static str, Self); 13] = [
        ("anchored", Self::Anchored),
        ("bool", Self::Bool),
        ("by", Self::By),
        ("fill", Self::Fill),
        ("fill_left", Self::FillLeft),
        ("fill_right", Self::FillRight),
        ("group_left", Self::GroupLeft),
        ("group_right", Self::GroupRight),
        ("ignoring", Self::Ignoring),
        ("offset", Self::Offset),
        ("on", Self::On),
        ("smoothed", Self::Smoothed),
        ("without", Self::Without),
    ];

    /// Returns `true` for `fill` and the like, which are keywords in front of a parenthesis only.
    pub(in crate::promql) fn is_fill(self) -> bool {
        matches!(self, Self::Fill | Self::FillLeft | Self::FillRight)
    }
}

/// Word that is a function of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) enum TimeFunction {
    End,
    MaxOf,
    MinOf,
    Range,
    Start,
    Step,
}

impl TimeFunction {
    const ALL: [(&'static str, Self); 6] = [
        ("end", Self::End),
        ("max_of", Self::MaxOf),
        ("min_of", Self::MinOf),
        ("range", Self::Range),
        ("start", Self::Start),
        ("step", Self::Step),
    ];

    /// Returns the function with this name, in any case.
    pub(super) fn from_word(word: &[u8]) -> Option<Self> {
        let is_named = |(name, _): &&(&str, Self)| word.eq_ignore_ascii_case(name.as_bytes());
        Self::ALL.iter().find(is_named).map(|(_, function)| *function)
    }
}

/// Returns the kind of a word, whose case does not matter.
pub(super) fn word_kind(word: &[u8]) -> TokenKind {
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if let Some((_, keyword)) = Keyword::ALL.iter().find(|(name, _)| is(name)) {
        TokenKind::Keyword(*keyword)
    } else if let Some(op) = AggregateOp::ALL.into_iter().find(|op| is(op.name())) {
        TokenKind::Aggregation(op)
    } else if let Some(op) = BinaryOp::WORDS.into_iter().find(|op| is(op.symbol())) {
        TokenKind::Operator(op)
    } else if let Some(function) = TimeFunction::from_word(word) {
        TokenKind::TimeFunction(function)
    } else if is("inf") || is("nan") {
        TokenKind::Number
    } else if word.contains(&b':') {
        TokenKind::MetricIdentifier
    } else {
        TokenKind::Identifier
    }
}

impl TokenKind {
    /// Returns the description of such a token with a text.
    pub(in crate::promql) fn describe(self, text: &[u8]) -> String {
        let lossy = String::from_utf8_lossy(text);
        match self {
            Self::End => "end of input".to_owned(),
            Self::Identifier => format!("identifier {}", Quoted(text)),
            Self::MetricIdentifier => format!("metric identifier {}", Quoted(text)),
            Self::Number => format!("number {}", shortened(text)),
            Self::Duration => format!("duration {}", shortened(text)),
            Self::String => format!("string {}", shortened(text)),
            Self::Keyword(_) => format!("<{lossy}>"),
            Self::Aggregation(_) => format!("<aggr:{lossy}>"),
            Self::Operator(_) | Self::At | Self::RegexMatch | Self::RegexMismatch => {
                format!("<op:{lossy}>")
            }
            Self::TimeFunction(_)
            | Self::Comma
            | Self::Colon
            | Self::LeftParen
            | Self::RightParen
            | Self::LeftBrace
            | Self::RightBrace
            | Self::LeftBracket
            | Self::RightBracket
            | Self::Assign => shortened(text),
        }
    }

    /// Returns `true` if the token can be the first of an expression.
    pub(in crate::promql) fn starts_expression(self) -> bool {
        match self {
            Self::LeftParen | Self::LeftBrace | Self::Number | Self::Duration | Self::String => {
                true
            }
            Self::Operator(BinaryOp::Add | BinaryOp::Sub) => true,
            _ => self.is_metric_name(),
        }
    }

    /// Returns `true` if the token is a metric name where an operand is expected.
    pub(in crate::promql) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregation(_)
            | Self::TimeFunction(_) => true,
            Self::Operator(op) => op.is_set_operator(),
            Self::Keyword(keyword) => match keyword {
                Keyword::Anchored
                | Keyword::By
                | Keyword::Fill
                | Keyword::FillLeft
                | Keyword::FillRight
                | Keyword::Offset
                | Keyword::Smoothed
                | Keyword::Without => true,
                Keyword::Bool
                | Keyword::GroupLeft
                | Keyword::GroupRight
                | Keyword::Ignoring
                | Keyword::On => false,
            },
            _ => false,
        }
    }
}

/// Quotes a text, cut off if it is long.
fn shortened(text: &[u8]) -> String {
    if text.len() <= MAX_SHOWN_BYTES {
        return Quoted(text).to_string();
    }
    let lossy = String::from_utf8_lossy(text);
    let shown = lossy.char_indices().nth(SHOWN_CHARS).map_or(&*lossy, |(end, _)| &lossy[..end]);
    format!("{}...", Quoted(shown.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::TokenKind;
    use crate::promql::ast::operator::BinaryOp;

    #[test]
    fn long_token_is_cut_after_ten_characters() {
        let describe = |text: &str| TokenKind::String.describe(text.as_bytes());
        assert_eq!(describe("'12345678'"), "string \"'12345678'\"");
        assert_eq!(describe("'123456789'"), "string \"'123456789\"...");
        assert_eq!(describe("'äöüäöüäöü'"), "string \"'äöüäöüäöü\"...");
        assert_eq!(describe("'äöüäö'"), "string \"'äöüäö'\"...");
        assert_eq!(TokenKind::Operator(BinaryOp::And).describe(b"AND"), "<op:AND>");
    }
}

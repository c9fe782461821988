//! Errors of selectors and expressions, in Prometheus's words: `1:4: parse error: unexpected end of
//! input inside braces`.
//!
//! Source: `ParseErr` in Prometheus's `promql/parser/parse.go`.

use std::fmt;

/// Error of a selector or an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    /// Invalid syntax.
    #[error("{position}: parse error: {problem}")]
    Syntax {
        /// Position of the first byte of the unexpected token.
        position: Position,
        /// Description of the problem, without the position.
        problem: String,
    },
    /// The selector of a `match[]` matches every series.
    #[error("match[] must contain at least one non-empty matcher")]
    Everything,
}

/// Position in a selector or an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The text is empty.
    Unknown,
    /// Line and column, both from 1. Columns are bytes.
    At { line: usize, column: usize },
}

impl Position {
    /// Returns the position of an offset in bytes.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        if text.is_empty() {
            return Self::Unknown;
        }
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::At { line: 1 + before.matches('\n').count(), column: 1 + before.len() - line_start }
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

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn position_counts_lines_and_bytes_from_one() {
        let position = |text, offset| Position::of(text, offset).to_string();
        assert_eq!(position("", 0), "unknown position");
        assert_eq!(position("up{", 0), "1:1");
        assert_eq!(position("up{", 3), "1:4");
        assert_eq!(position("é\n\nup", 5), "3:2");
        assert_eq!(position("a\nb", 2), "2:1");
    }
}

//! Errors of parsing a matcher.

/// Error of creating a matcher, in Go's words where Go has the error. Both variants are errors of
/// the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The expression is not valid RE2 syntax.
    #[error("error parsing regexp: {reason}: `{fragment}`")]
    Syntax {
        /// Part of the expression that has the error; the same as in Go.
        fragment: String,
        /// Syntax error.
        reason: SyntaxError,
    },
    /// The expression would use too much memory or time.
    #[error("regular expression too large: more than {limit} {what}")]
    TooLarge {
        /// Unit of the limit.
        what: &'static str,
        /// Maximum that is exceeded.
        limit: usize,
    },
}

impl MatcherError {
    /// Returns the error of an expression that is not UTF-8. Go names it from the invalid byte on.
    #[must_use]
    pub fn invalid_utf8(pattern: &[u8]) -> Self {
        let valid = pattern.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        let fragment = String::from_utf8_lossy(&pattern[valid..]).into_owned();
        Self::Syntax { fragment, reason: SyntaxError::InvalidUtf8 }
    }
}

/// Syntax error in a regular expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A group is not closed.
    #[error("missing closing )")]
    MissingParen,
    /// A `)` has no group.
    #[error("unexpected )")]
    UnexpectedParen,
    /// A `[` is not closed.
    #[error("missing closing ]")]
    MissingBracket,
    /// A range is reversed, or the name of a class is unknown.
    #[error("invalid character class range")]
    CharRange,
    /// A backslash precedes a character that has no escape.
    #[error("invalid escape sequence")]
    Escape,
    /// The expression ends with a backslash.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// A group name is empty or has characters other than letters, digits and `_`.
    #[error("invalid named capture")]
    CaptureName,
    /// `(?` precedes unknown syntax: look-around, unknown flags, ….
    #[error("invalid or unsupported Perl syntax")]
    GroupFlags,
    /// A repetition operator has no argument.
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    /// A repetition operator follows another one.
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    /// A count, or the product of nested counts, exceeds 1000, or a range is reversed.
    #[error("invalid repeat count")]
    RepeatSize,
    /// Too many groups are nested.
    #[error("expression nests too deeply")]
    NestingDepth,
    /// The expression is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
}

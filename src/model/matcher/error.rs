//! Why an expression is refused.

/// Why there is no matcher. Both cases are the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// Not a regular expression in RE2 syntax.
    #[error("invalid regular expression: {reason} at byte {offset}")]
    Syntax {
        /// Where in the expression, in bytes.
        offset: usize,
        /// What is wrong there.
        reason: SyntaxError,
    },
    /// A regular expression that would cost too much memory or time.
    #[error("regular expression too large: more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much of it is allowed.
        limit: usize,
    },
}

/// What is wrong in a regular expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A group without its end.
    #[error("missing closing )")]
    MissingParen,
    /// A `)` without a group.
    #[error("unexpected )")]
    UnexpectedParen,
    /// A `[` without `]`.
    #[error("missing closing ]")]
    MissingBracket,
    /// A range from high to low, or a class of a name that does not exist.
    #[error("invalid character class range")]
    CharRange,
    /// A backslash before something that it gives no meaning to.
    #[error("invalid escape sequence")]
    Escape,
    /// A backslash at the end.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// A group's name that is empty or not of letters, digits and `_`.
    #[error("invalid named capture")]
    CaptureName,
    /// `(?` before something unknown: look-around, unknown flags, …
    #[error("invalid or unsupported Perl syntax")]
    GroupFlags,
    /// `*`, `+`, `?` or `{n}` with nothing before it.
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    /// One repetition operator right after another.
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    /// A count above 1000, also as the product of nested counts, or a range from high to low.
    #[error("invalid repeat count")]
    RepeatSize,
}

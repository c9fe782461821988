//! Cursor over the characters of an expression.

use crate::model::matcher::error::{MatcherError, SyntaxError};

/// Position in an expression.
#[derive(Clone)]
pub(super) struct Input<'a> {
    pattern: &'a str,
    pos: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(pattern: &'a str) -> Self {
        Self { pattern, pos: 0 }
    }

    /// Returns the unread part.
    pub(super) fn rest(&self) -> &'a str {
        self.pattern.get(self.pos..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Skips `bytes` bytes, which end at a character boundary.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.pos += bytes;
    }

    /// Skips `token` if it is next. Returns `true` if it was.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.pos += token.len();
        }
        is_next
    }

    /// Reads a decimal number without leading zeros; saturates at [`u32::MAX`].
    pub(super) fn number(&mut self) -> Option<u32> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = &rest[..digits];
        if digits == 0 || (digits > 1 && number.starts_with('0')) {
            return None;
        }
        self.pos += digits;
        Some(number.parse().unwrap_or(u32::MAX))
    }

    /// Returns the error of the part from this position to another one.
    pub(super) fn error_to(&self, end: &Self, reason: SyntaxError) -> MatcherError {
        let fragment = self.pattern.get(self.pos..end.pos).unwrap_or_default().to_owned();
        MatcherError::Syntax { fragment, reason }
    }

    /// Returns the error of the part from this position to the end.
    pub(super) fn error_of_rest(&self, reason: SyntaxError) -> MatcherError {
        MatcherError::Syntax { fragment: self.rest().to_owned(), reason }
    }

    /// Returns the error of the whole expression.
    pub(super) fn error_of_whole(&self, reason: SyntaxError) -> MatcherError {
        MatcherError::Syntax { fragment: self.pattern.to_owned(), reason }
    }
}

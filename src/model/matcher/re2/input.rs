//! The text of an expression and how far it is read.

use crate::model::matcher::error::{MatcherError, SyntaxError};

/// A place in an expression.
#[derive(Clone)]
pub(super) struct Input<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    /// What is not yet read.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Passes over `bytes` bytes, which end between two characters.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.pos += bytes;
    }

    /// Passes over `token` if it comes next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.pos += token.len();
        }
        found
    }

    /// A decimal number without leading zeros; one that is too large becomes [`u32::MAX`].
    pub(super) fn number(&mut self) -> Option<u32> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let text = &rest[..digits];
        if digits == 0 || (digits > 1 && text.starts_with('0')) {
            return None;
        }
        self.pos += digits;
        Some(text.parse().unwrap_or(u32::MAX))
    }

    /// An error at this place.
    pub(super) fn error(&self, reason: SyntaxError) -> MatcherError {
        MatcherError::Syntax { offset: self.pos, reason }
    }
}

//! Token stream with one token of look-ahead.
//!
//! Prometheus's parser reads the next token only where it must, so an error of a complete part
//! comes before that of the next token. The parts of this parser peek at the same places.

use crate::promql::ast::position::Span;
use crate::promql::error::unexpected::Context;
use crate::promql::error::{ParseError, Problem};
use crate::promql::lexer::Lexer;
use crate::promql::lexer::token::{Token, TokenKind};

/// Tokens of a text.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Token>,
    /// End of the last token that was taken.
    last_end: u32,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { lexer: Lexer::new(text), peeked: None, last_end: 0 }
    }

    /// Returns the kind of the next token.
    pub(super) fn peek(&mut self) -> Result<TokenKind, ParseError> {
        Ok(self.peek_token()?.kind)
    }

    fn peek_token(&mut self) -> Result<Token, ParseError> {
        if let Some(token) = self.peeked {
            return Ok(token);
        }
        let token = self.lexer.next_token()?;
        self.peeked = Some(token);
        Ok(token)
    }

    /// Returns the offset of the next token.
    pub(super) fn peek_start(&mut self) -> Result<u32, ParseError> {
        Ok(self.peek_token()?.span.start)
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<Token, ParseError> {
        let token = self.peek_token()?;
        self.peeked = None;
        self.last_end = token.span.end;
        Ok(token)
    }

    /// Takes the next token if it is of this kind. Returns `true` if it was.
    pub(super) fn eat(&mut self, kind: TokenKind) -> Result<bool, ParseError> {
        let is_next = self.peek()? == kind;
        if is_next {
            self.take()?;
        }
        Ok(is_next)
    }

    /// Takes the next token, which must be of this kind.
    pub(super) fn expect(
        &mut self,
        kind: TokenKind,
        context: Context,
    ) -> Result<Token, ParseError> {
        if self.peek()? == kind { self.take() } else { self.unexpected(context) }
    }

    /// Returns the error of the next token.
    pub(super) fn unexpected<T>(&mut self, context: Context) -> Result<T, ParseError> {
        let token = self.peek_token()?;
        let description = token.kind.describe(self.text_of(token.span));
        let problem = Problem::Unexpected { token: description, context };
        Err(self.error(token.span, problem))
    }

    /// Returns an error at the start of a part of the text.
    pub(super) fn error(&self, span: Span, problem: impl Into<Problem>) -> ParseError {
        ParseError::at(self.lexer.text(), span.start, problem.into())
    }

    /// Returns an error behind the last token that was taken.
    pub(super) fn error_here(&self, problem: Problem) -> ParseError {
        ParseError::at(self.lexer.text(), self.last_end, problem)
    }

    /// Returns a part of the text.
    pub(super) fn text_of(&self, span: Span) -> &'a [u8] {
        &self.lexer.text()[span.start as usize..span.end as usize]
    }

    /// Returns the text of a word or number, which is ASCII.
    pub(super) fn word(&self, token: Token) -> &'a str {
        std::str::from_utf8(self.text_of(token.span)).unwrap_or_default()
    }

    /// Returns the position from `start` to the end of the last token that was taken.
    pub(super) fn span_from(&self, start: u32) -> Span {
        Span { start, end: self.last_end }
    }
}

//! Label names in parentheses, behind `by`, `on`, `group_left` and the like.

use super::tokens::Tokens;
use crate::model::label_name::NameValidationScheme;
use crate::promql::ast::operator::BinaryOp;
use crate::promql::error::unexpected::Context;
use crate::promql::error::{ParseError, Problem};
use crate::promql::lexer::string::unquote;
use crate::promql::lexer::token::{Keyword, TokenKind};

/// Parses label names in parentheses.
pub(super) fn labels(tokens: &mut Tokens<'_>) -> Result<Box<[Box<str>]>, ParseError> {
    tokens.expect(TokenKind::LeftParen, Context::GroupingStart)?;
    let mut labels = Vec::new();
    loop {
        if tokens.eat(TokenKind::RightParen)? {
            return Ok(labels.into());
        }
        labels.push(label(tokens)?);
        if tokens.eat(TokenKind::RightParen)? {
            return Ok(labels.into());
        }
        tokens.expect(TokenKind::Comma, Context::GroupingEnd)?;
    }
}

fn label(tokens: &mut Tokens<'_>) -> Result<Box<str>, ParseError> {
    let kind = tokens.peek()?;
    if !is_label(kind) {
        return tokens.unexpected(Context::GroupingLabel);
    }
    let token = tokens.take()?;
    if kind != TokenKind::String {
        return Ok(tokens.word(token).into());
    }
    let name = unquote(tokens.text_of(token.span));
    match name.as_str() {
        Some(name) if NameValidationScheme::Utf8.is_valid_label_name(name) => Ok(name.into()),
        _ => Err(tokens.error(token.span, Problem::GroupingLabel { name: name.as_bytes().into() })),
    }
}

/// Returns `true` if the token can be a label name. Most keywords can.
fn is_label(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Identifier
        | TokenKind::MetricIdentifier
        | TokenKind::String
        | TokenKind::Aggregation(_)
        | TokenKind::TimeFunction(_) => true,
        TokenKind::Keyword(keyword) => keyword != Keyword::Without,
        TokenKind::Operator(op) => BinaryOp::WORDS.contains(&op),
        _ => false,
    }
}

//! Modifiers of binary operators: `bool`, `on`, `ignoring`, `group_left`, `group_right`, `fill`.

use super::tokens::Tokens;
use super::{grouping, literal};
use crate::promql::ast::expr::{Cardinality, VectorMatching};
use crate::promql::ast::operator::{BinaryOp, Sign};
use crate::promql::error::ParseError;
use crate::promql::error::unexpected::Context;
use crate::promql::lexer::token::{Keyword, TokenKind};

/// Modifiers of a binary operator.
#[derive(Debug)]
pub(super) struct Modifiers {
    pub(super) returns_bool: bool,
    pub(super) matching: Box<VectorMatching>,
}

/// Parses the modifiers behind an operator. `context` is the one of the expression.
pub(super) fn modifiers(
    tokens: &mut Tokens<'_>,
    context: Context,
) -> Result<Modifiers, ParseError> {
    let returns_bool = tokens.eat(TokenKind::Keyword(Keyword::Bool))?;
    let mut matching = Box::<VectorMatching>::default();
    matching.is_on = tokens.eat(TokenKind::Keyword(Keyword::On))?;
    if matching.is_on || tokens.eat(TokenKind::Keyword(Keyword::Ignoring))? {
        matching.labels = grouping::labels(tokens)?;
        group(tokens, &mut matching)?;
    }
    fill(tokens, &mut matching, context)?;
    Ok(Modifiers { returns_bool, matching })
}

/// Parses `group_left` or `group_right` with optional labels.
fn group(tokens: &mut Tokens<'_>, matching: &mut VectorMatching) -> Result<(), ParseError> {
    matching.cardinality = match tokens.peek()? {
        TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
        TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
        _ => return Ok(()),
    };
    tokens.take()?;
    let next = tokens.peek()?;
    if next == TokenKind::LeftParen || !next.starts_expression() {
        matching.include = grouping::labels(tokens)?;
    }
    Ok(())
}

/// Parses `fill(0)`, or `fill_left(0)` and `fill_right(0)` in any order.
fn fill(
    tokens: &mut Tokens<'_>,
    matching: &mut VectorMatching,
    context: Context,
) -> Result<(), ParseError> {
    let mut is_allowed = [true; 3];
    loop {
        let TokenKind::Keyword(keyword) = tokens.peek()? else { return Ok(()) };
        let (at, value) = match keyword {
            Keyword::Fill => (0, &mut matching.fill_left),
            Keyword::FillLeft => (1, &mut matching.fill_left),
            Keyword::FillRight => (2, &mut matching.fill_right),
            _ => return Ok(()),
        };
        if !is_allowed[at] {
            return Ok(());
        }
        tokens.take()?;
        *value = Some(fill_value(tokens, context)?);
        if at == 0 {
            matching.fill_right = matching.fill_left;
            return Ok(());
        }
        is_allowed[0] = false;
        is_allowed[at] = false;
    }
}

fn fill_value(tokens: &mut Tokens<'_>, context: Context) -> Result<f64, ParseError> {
    tokens.expect(TokenKind::LeftParen, context)?;
    let sign = match tokens.peek()? {
        TokenKind::Operator(BinaryOp::Sub) => Some(Sign::Minus),
        TokenKind::Operator(BinaryOp::Add) => Some(Sign::Plus),
        _ => None,
    };
    if sign.is_some() {
        tokens.take()?;
    }
    if !matches!(tokens.peek()?, TokenKind::Number | TokenKind::Duration) {
        return tokens.unexpected(context);
    }
    let token = tokens.take()?;
    let value = literal::number(tokens, token)?.value;
    tokens.expect(TokenKind::RightParen, context)?;
    Ok(sign.map_or(value, |sign| sign.apply(value)))
}

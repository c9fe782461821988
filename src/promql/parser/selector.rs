//! Selectors of series: a name, matchers in braces, or both.

use super::tokens::Tokens;
use crate::model::labels::METRIC_NAME;
use crate::model::matcher::MatchType;
use crate::promql::ast::duration::DurationValue;
use crate::promql::ast::operator::BinaryOp;
use crate::promql::ast::position::Span;
use crate::promql::ast::selector::{LabelMatcher, VectorSelector};
use crate::promql::ast::string::StringValue;
use crate::promql::error::unexpected::Context;
use crate::promql::error::{ParseError, Problem};
use crate::promql::lexer::string::unquote;
use crate::promql::lexer::token::{Token, TokenKind};

/// Parses the rest of a selector behind its name.
pub(super) fn named(
    tokens: &mut Tokens<'_>,
    name: Token,
) -> Result<(VectorSelector, Span), ParseError> {
    let word = tokens.word(name);
    let mut matchers =
        if tokens.peek()? == TokenKind::LeftBrace { braces(tokens)? } else { Vec::new() };
    matchers.push(LabelMatcher::for_metric_name(word));
    Ok((selector(word, matchers), tokens.span_from(name.span.start)))
}

/// Parses a selector without a name in front, whose opening brace is next.
pub(super) fn unnamed(tokens: &mut Tokens<'_>) -> Result<(VectorSelector, Span), ParseError> {
    let start = tokens.peek_start()?;
    let matchers = braces(tokens)?;
    Ok((selector("", matchers), tokens.span_from(start)))
}

fn selector(name: &str, matchers: Vec<LabelMatcher>) -> VectorSelector {
    VectorSelector {
        name: name.into(),
        matchers,
        offset: DurationValue::default(),
        at: None,
        extension: None,
    }
}

/// Parses matchers in braces.
fn braces(tokens: &mut Tokens<'_>) -> Result<Vec<LabelMatcher>, ParseError> {
    tokens.expect(TokenKind::LeftBrace, Context::Other)?;
    let mut matchers = Vec::new();
    loop {
        if tokens.eat(TokenKind::RightBrace)? {
            return Ok(matchers);
        }
        matchers.push(matcher(tokens)?);
        if tokens.eat(TokenKind::RightBrace)? {
            return Ok(matchers);
        }
        tokens.expect(TokenKind::Comma, Context::MatcherEnd)?;
    }
}

/// Parses `label="value"`, or a metric name in quotes.
fn matcher(tokens: &mut Tokens<'_>) -> Result<LabelMatcher, ParseError> {
    let is_quoted = match tokens.peek()? {
        TokenKind::Identifier => false,
        TokenKind::String => true,
        _ => return tokens.unexpected(Context::Matcher),
    };
    let label = tokens.take()?;
    let text = tokens.text_of(label.span);
    let name = if is_quoted { unquote(text) } else { StringValue::from(text) };
    let (kind, name, value) = match match_type(tokens.peek()?) {
        Some(kind) => {
            tokens.take()?;
            let value = tokens.expect(TokenKind::String, Context::MatcherValue)?;
            (kind, name, unquote(tokens.text_of(value.span)))
        }
        None if is_quoted => (MatchType::Equal, StringValue::from(METRIC_NAME), name),
        None => return tokens.unexpected(Context::MatcherOperator),
    };
    let matcher = LabelMatcher::new(kind, name, value);
    matcher.map_err(|error| tokens.error(label.span, Problem::Matcher(error)))
}

fn match_type(operator: TokenKind) -> Option<MatchType> {
    Some(match operator {
        TokenKind::Assign => MatchType::Equal,
        TokenKind::Operator(BinaryOp::NotEqual) => MatchType::NotEqual,
        TokenKind::RegexMatch => MatchType::Regex,
        TokenKind::RegexMismatch => MatchType::NotRegex,
        _ => return None,
    })
}

//! What follows an operand: ranges and subqueries in brackets, `offset`, `@`, `anchored` and
//! `smoothed`.

use super::tokens::Tokens;
use super::{duration, limits, literal};
use crate::model::go_format::Decimal;
use crate::promql::ast::duration::DurationValue;
use crate::promql::ast::expr::{Expr, MatrixSelector, Subquery};
use crate::promql::ast::operator::{BinaryOp, Sign};
use crate::promql::ast::position::NodeId;
use crate::promql::ast::selector::{AtModifier, RangeExtension, VectorSelector};
use crate::promql::ast::tree::{Ast, Node};
use crate::promql::ast::value_type::ValueType;
use crate::promql::error::unexpected::Context;
use crate::promql::error::{ExtensionError, ParseError, Problem};
use crate::promql::features::Features;
use crate::promql::lexer::token::{Keyword, TimeFunction, TokenKind};

/// Parses all modifiers behind an operand. Returns the operand, or the range or subquery of it.
pub(super) fn modifiers(
    tokens: &mut Tokens<'_>,
    ast: &mut Ast,
    features: Features,
    mut operand: NodeId,
) -> Result<NodeId, ParseError> {
    loop {
        match tokens.peek()? {
            TokenKind::LeftBracket => operand = brackets(tokens, ast, operand)?,
            TokenKind::At => at(tokens, ast, operand)?,
            TokenKind::Keyword(Keyword::Offset) => offset(tokens, ast, operand)?,
            TokenKind::Keyword(Keyword::Anchored) => {
                extend(tokens, ast, features, operand, RangeExtension::Anchored)?;
            }
            TokenKind::Keyword(Keyword::Smoothed) => {
                extend(tokens, ast, features, operand, RangeExtension::Smoothed)?;
            }
            _ => return Ok(operand),
        }
    }
}

/// Parses a range or the range and step of a subquery.
fn brackets(tokens: &mut Tokens<'_>, ast: &mut Ast, operand: NodeId) -> Result<NodeId, ParseError> {
    let bracket = tokens.take()?.span;
    let range = duration::positive(tokens, ast, Context::Range)?;
    let (value_type, expr) = match tokens.peek()? {
        TokenKind::RightBracket => {
            tokens.take()?;
            let problem = range_problem(ast, operand);
            if let Some(problem) = problem {
                return Err(tokens.error(bracket, problem));
            }
            (ValueType::RangeVector, Expr::Matrix(MatrixSelector { selector: operand, range }))
        }
        TokenKind::Colon => {
            tokens.take()?;
            (
                ValueType::RangeVector,
                Expr::Subquery(Box::new(subquery(tokens, ast, operand, range)?)),
            )
        }
        _ => return tokens.unexpected(Context::RangeEnd),
    };
    limits::check_nodes(tokens, ast)?;
    let span = tokens.span_from(ast[operand].span.start);
    Ok(ast.push(Node { span, value_type, expr }))
}

/// Returns why a range must not follow an operand.
fn range_problem(ast: &Ast, operand: NodeId) -> Option<Problem> {
    let Expr::Vector(selector) = &ast[operand].expr else {
        return Some(Problem::RangeOfOtherExpression);
    };
    if !selector.offset.is_zero() {
        return Some(Problem::OffsetBeforeRange);
    }
    selector.at.map(|_| Problem::AtBeforeRange)
}

/// Parses the step of a subquery and the closing bracket.
fn subquery(
    tokens: &mut Tokens<'_>,
    ast: &mut Ast,
    expr: NodeId,
    range: DurationValue,
) -> Result<Subquery, ParseError> {
    let mut step = DurationValue::default();
    if tokens.peek()? != TokenKind::RightBracket {
        step = duration::positive(tokens, ast, Context::Step)?;
    }
    tokens.expect(TokenKind::RightBracket, Context::StepEnd)?;
    Ok(Subquery { expr, range, step, offset: DurationValue::default(), at: None })
}

/// Time modifiers of a selector or subquery.
struct TimeModifiers<'a> {
    offset: &'a mut DurationValue,
    at: &'a mut Option<AtModifier>,
}

/// Returns the modifiers of a selector, range or subquery.
fn time_modifiers(ast: &mut Ast, operand: NodeId) -> Option<TimeModifiers<'_>> {
    let id = match &ast[operand].expr {
        Expr::Matrix(matrix) => matrix.selector,
        _ => operand,
    };
    match &mut ast[id].expr {
        Expr::Vector(selector) => {
            let VectorSelector { offset, at, .. } = &mut **selector;
            Some(TimeModifiers { offset, at })
        }
        Expr::Subquery(subquery) => {
            let Subquery { offset, at, .. } = &mut **subquery;
            Some(TimeModifiers { offset, at })
        }
        _ => None,
    }
}

fn offset(tokens: &mut Tokens<'_>, ast: &mut Ast, operand: NodeId) -> Result<(), ParseError> {
    tokens.take()?;
    let value = duration::offset(tokens, ast)?;
    let problem = match time_modifiers(ast, operand) {
        None => Problem::ModifierOfOtherExpression { modifier: "offset" },
        Some(modifiers) if !modifiers.offset.is_zero() => Problem::OffsetTwice,
        Some(modifiers) => {
            *modifiers.offset = value;
            extend_span(tokens, ast, operand);
            return Ok(());
        }
    };
    Err(tokens.error(ast[operand].span, problem))
}

fn at(tokens: &mut Tokens<'_>, ast: &mut Ast, operand: NodeId) -> Result<(), ParseError> {
    tokens.take()?;
    let value = at_value(tokens)?.map_err(|problem| tokens.error(ast[operand].span, problem))?;
    let problem = match time_modifiers(ast, operand) {
        None => Problem::ModifierOfOtherExpression { modifier: "@" },
        Some(modifiers) if modifiers.at.is_some() => Problem::AtTwice,
        Some(modifiers) => {
            *modifiers.at = Some(value);
            extend_span(tokens, ast, operand);
            return Ok(());
        }
    };
    Err(tokens.error(ast[operand].span, problem))
}

/// Makes the position of an operand reach to the last token.
fn extend_span(tokens: &Tokens<'_>, ast: &mut Ast, operand: NodeId) {
    let start = ast[operand].span.start;
    ast[operand].span = tokens.span_from(start);
}

/// Parses the time of `@`. The inner error is the one of a time that is out of bounds.
fn at_value(tokens: &mut Tokens<'_>) -> Result<Result<AtModifier, Problem>, ParseError> {
    let sign = match tokens.peek()? {
        TokenKind::TimeFunction(TimeFunction::Start) => {
            return at_function(tokens, AtModifier::Start).map(Ok);
        }
        TokenKind::TimeFunction(TimeFunction::End) => {
            return at_function(tokens, AtModifier::End).map(Ok);
        }
        TokenKind::Operator(BinaryOp::Add) => Some(Sign::Plus),
        TokenKind::Operator(BinaryOp::Sub) => Some(Sign::Minus),
        _ => None,
    };
    if sign.is_some() {
        tokens.take()?;
    }
    if !matches!(tokens.peek()?, TokenKind::Number | TokenKind::Duration) {
        return tokens.unexpected(Context::At);
    }
    let token = tokens.take()?;
    let number = literal::number(tokens, token)?.value;
    let seconds = sign.map_or(number, |sign| sign.apply(number));
    Ok(timestamp(seconds).map(AtModifier::Timestamp))
}

fn at_function(tokens: &mut Tokens<'_>, value: AtModifier) -> Result<AtModifier, ParseError> {
    tokens.take()?;
    tokens.expect(TokenKind::LeftParen, Context::At)?;
    tokens.expect(TokenKind::RightParen, Context::At)?;
    Ok(value)
}

/// Returns milliseconds. As in Prometheus, whose conversion of floats is that of the processor,
/// milliseconds out of range become the smallest ones.
fn timestamp(seconds: f64) -> Result<i64, Problem> {
    const LIMIT: f64 = i64::MAX as f64;
    if seconds.is_nan() || seconds.abs() >= LIMIT {
        let seconds = if seconds.is_finite() {
            format!("{seconds:.6}")
        } else {
            Decimal(seconds).to_string()
        };
        return Err(Problem::AtOutOfBounds { seconds });
    }
    let millis = (seconds * 1000.0).round();
    Ok(if millis.abs() >= LIMIT { i64::MIN } else { millis as i64 })
}

fn extend(
    tokens: &mut Tokens<'_>,
    ast: &mut Ast,
    features: Features,
    operand: NodeId,
    extension: RangeExtension,
) -> Result<(), ParseError> {
    tokens.take()?;
    let reason = |reason| Problem::Extension { name: extension.name(), reason };
    let id = match &ast[operand].expr {
        Expr::Matrix(matrix) => matrix.selector,
        _ => operand,
    };
    let problem = match &mut ast[id].expr {
        _ if !features.extended_range_selectors => reason(ExtensionError::NotEnabled),
        Expr::Vector(selector) if selector.extension.is_none_or(|other| other == extension) => {
            selector.extension = Some(extension);
            return Ok(());
        }
        Expr::Vector(_) => Problem::AnchoredAndSmoothed,
        Expr::Subquery(_) => reason(ExtensionError::Subquery),
        _ => reason(ExtensionError::OtherExpression),
    };
    Err(tokens.error(ast[operand].span, problem))
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn timestamp_is_rounded_and_bounded() {
        assert_eq!(timestamp(1.2345), Ok(1235));
        assert_eq!(timestamp(-0.0005), Ok(-1));
        assert_eq!(timestamp(1e17), Ok(i64::MIN));
        let message = |seconds| timestamp(seconds).map_err(|problem| problem.to_string());
        let prefix = "timestamp out of bounds for @ modifier: ";
        assert_eq!(message(-1e19), Err(format!("{prefix}-10000000000000000000.000000")));
        assert_eq!(message(f64::INFINITY), Err(format!("{prefix}+Inf")));
        assert_eq!(message(f64::NAN), Err(format!("{prefix}NaN")));
    }
}

//! Values of duration expressions, once the step and the range of a query are known.
//!
//! Source: Prometheus's `promql/durations.go`.

use crate::promql::ast::duration::{DurationExpr, DurationOp, DurationValue, Nanoseconds};
use crate::promql::ast::expr::{Expr, Subquery};
use crate::promql::ast::position::DurationId;
use crate::promql::ast::position::Span;
use crate::promql::ast::tree::Ast;

/// Maximum length of a duration, seconds: 2^63 ns.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// Times of a query that duration expressions refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTimes {
    /// Time between two steps; 0 for an instant query.
    pub step: Nanoseconds,
    /// Time between start and end.
    pub range: Nanoseconds,
}

/// Error of the value of a duration expression, as `start:end: reason` with offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {reason}", span.start, span.end)]
pub struct DurationValueError {
    /// Position of the expression.
    pub span: Span,
    /// Reason.
    pub reason: DurationValueProblem,
}

/// Reason why the value of a duration expression is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationValueProblem {
    /// The value is not a finite number.
    #[error("duration is NaN or infinite")]
    NotFinite,
    /// The value of a range or step is not positive.
    #[error("duration must be greater than 0")]
    NotPositive,
    /// The value is longer than 292 years.
    #[error("duration is out of range")]
    OutOfRange,
    /// A part of the expression is divided by 0.
    #[error("division by zero")]
    DivisionByZero,
    /// A part of the expression is divided by 0 for the remainder.
    #[error("modulo by zero")]
    ModuloByZero,
}

/// Replaces all duration expressions by their values.
///
/// # Errors
/// [`DurationValueError`] of the first invalid value, parents before their children.
pub fn resolve_durations(ast: &mut Ast, times: QueryTimes) -> Result<(), DurationValueError> {
    let values = evaluate(ast, times);
    let mut pending = vec![ast.root()];
    while let Some(id) = pending.pop() {
        pending.extend(ast[id].expr.children().into_iter().rev());
        for (duration, may_be_negative) in durations_mut(&mut ast[id].expr) {
            if let DurationValue::Computed(id) = *duration {
                *duration = DurationValue::Fixed(check(values[id.index()]?, may_be_negative)?);
            }
        }
    }
    Ok(())
}

/// Value of a duration expression.
#[derive(Clone, Copy, Debug)]
struct Value {
    seconds: f64,
    span: Span,
}

/// Returns the durations of a node in the order in which they are resolved, and whether each may be
/// negative.
fn durations_mut(expr: &mut Expr) -> Vec<(&mut DurationValue, bool)> {
    match expr {
        Expr::Vector(selector) => vec![(&mut selector.offset, true)],
        Expr::Matrix(matrix) => vec![(&mut matrix.range, false)],
        Expr::Subquery(subquery) => {
            let Subquery { offset, step, range, .. } = &mut **subquery;
            vec![(offset, true), (step, false), (range, false)]
        }
        _ => Vec::new(),
    }
}

fn check(value: Value, may_be_negative: bool) -> Result<Nanoseconds, DurationValueError> {
    let Value { seconds, span } = value;
    let reason = if !seconds.is_finite() {
        DurationValueProblem::NotFinite
    } else if seconds <= 0.0 && !may_be_negative {
        DurationValueProblem::NotPositive
    } else if seconds.abs() > MAX_SECONDS {
        DurationValueProblem::OutOfRange
    } else {
        return Ok(Nanoseconds::from_millis((seconds * 1000.0) as i64));
    };
    Err(DurationValueError { span, reason })
}

/// Returns the values of all nodes of duration expressions.
fn evaluate(ast: &Ast, times: QueryTimes) -> Vec<Result<Value, DurationValueError>> {
    let mut values: Vec<Result<Value, DurationValueError>> = Vec::new();
    for node in ast.durations() {
        let value_of = |id: DurationId| values[id.index()].map(|value| value.seconds);
        let seconds = match node.expr {
            DurationExpr::Number { seconds, .. } => Ok(seconds),
            DurationExpr::Step => Ok(times.step.as_seconds()),
            DurationExpr::Range => Ok(times.range.as_seconds()),
            DurationExpr::Unary(sign, operand) => value_of(operand).map(|value| sign.apply(value)),
            DurationExpr::Binary(op, lhs, rhs) => value_of(lhs).and_then(|lhs| {
                let reason = |reason| DurationValueError { span: node.span, reason };
                apply(op, lhs, value_of(rhs)?).map_err(reason)
            }),
        };
        values.push(seconds.map(|seconds| Value { seconds, span: node.span }));
    }
    values
}

fn apply(op: DurationOp, lhs: f64, rhs: f64) -> Result<f64, DurationValueProblem> {
    Ok(match op {
        DurationOp::Add => lhs + rhs,
        DurationOp::Sub => lhs - rhs,
        DurationOp::Mul => lhs * rhs,
        DurationOp::Div if rhs == 0.0 => return Err(DurationValueProblem::DivisionByZero),
        DurationOp::Div => lhs / rhs,
        DurationOp::Mod if rhs == 0.0 => return Err(DurationValueProblem::ModuloByZero),
        DurationOp::Mod => lhs % rhs,
        DurationOp::Pow => lhs.powf(rhs),
        // Unlike in Rust, NaN wins.
        DurationOp::MinOf | DurationOp::MaxOf if lhs.is_nan() || rhs.is_nan() => f64::NAN,
        DurationOp::MinOf => lhs.min(rhs),
        DurationOp::MaxOf => lhs.max(rhs),
    })
}

#[cfg(test)]
mod tests {
    use super::{QueryTimes, resolve_durations};
    use crate::promql::ast::duration::Nanoseconds;
    use crate::promql::features::Features;
    use crate::promql::parser::parse_expression;

    /// Resolves an expression of a query with a step of 1 min over 1 h.
    fn resolve(text: &str) -> String {
        let mut ast = parse_expression(text.as_bytes(), Features::ALL).expect("an expression");
        let times = QueryTimes {
            step: Nanoseconds::from_millis(60_000),
            range: Nanoseconds::from_millis(3_600_000),
        };
        match resolve_durations(&mut ast, times) {
            Ok(()) => ast.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn duration_expressions_are_replaced_by_values() {
        for (text, expected) in [
            ("a[step() * 5]", "a[5m]"),
            ("a[5m] offset -step()", "a[5m] offset -1m"),
            ("a offset (range() % 7m + 1.0005)", "a offset 4m1s"),
            ("a[min_of(step(), 5m):max_of(step(), 2 ^ 8)]", "a[1m:4m16s]"),
        ] {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_value_is_named_with_its_position() {
        for (text, expected) in [
            ("a[step() - 1m]", "2:13: duration must be greater than 0"),
            ("a[5m] offset (1m / (step() - 60))", "14:31: division by zero"),
            ("a[5m % (0)]", "2:9: modulo by zero"),
            ("a offset (9 ^ 999)", "10:17: duration is NaN or infinite"),
            ("a offset (9 ^ 99)", "10:16: duration is out of range"),
            ("rate(a[-(5m)])[1h:5m-5m]", "18:23: duration must be greater than 0"),
        ] {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }
}

//! Texts of durations.

use crate::model::go_format::Decimal;
use crate::promql::ast::duration::{DurationExpr, DurationOp, DurationValue, Nanoseconds};
use crate::promql::ast::operator::Sign;
use crate::promql::ast::position::DurationId;
use crate::promql::ast::tree::Ast;
use std::fmt::Write as _;

/// Appends a duration.
pub(super) fn push_value(out: &mut String, ast: &Ast, value: DurationValue) {
    match value {
        DurationValue::Fixed(duration) => {
            let _ = write!(out, "{duration}");
        }
        DurationValue::Computed(id) => push_expr(out, ast, id),
    }
}

/// Appends a number of seconds, with units if it was written so.
pub(super) fn push_number(out: &mut String, seconds: f64, has_units: bool) {
    if !has_units {
        let _ = write!(out, "{}", Decimal(seconds));
        return;
    }
    if seconds < 0.0 {
        out.push('-');
    }
    let _ = write!(out, "{}", Nanoseconds((seconds.abs() * 1e9) as i64));
}

/// Part of a text.
enum Piece {
    Text(&'static str),
    Node(DurationId),
}

fn push_expr(out: &mut String, ast: &Ast, id: DurationId) {
    let mut pending = vec![Piece::Node(id)];
    while let Some(piece) = pending.pop() {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Node(id) => push_node(out, ast, id, &mut pending),
        }
    }
}

/// Appends the start of a node, and adds the rest to `pending` in reverse order.
fn push_node(out: &mut String, ast: &Ast, id: DurationId, pending: &mut Vec<Piece>) {
    let node = &ast[id];
    if node.is_wrapped {
        out.push('(');
        pending.push(Piece::Text(")"));
    }
    match node.expr {
        DurationExpr::Number { seconds, has_units } => push_number(out, seconds, has_units),
        DurationExpr::Step => out.push_str("step()"),
        DurationExpr::Range => out.push_str("range()"),
        DurationExpr::Unary(sign, operand) => {
            if sign == Sign::Minus {
                out.push('-');
            }
            pending.push(Piece::Node(operand));
        }
        DurationExpr::Binary(op, lhs, rhs) => {
            let is_function = matches!(op, DurationOp::MinOf | DurationOp::MaxOf);
            let (separator, end) = if is_function {
                out.push_str(op.symbol());
                out.push('(');
                ([Piece::Text(", "), Piece::Text(""), Piece::Text("")], ")")
            } else {
                ([Piece::Text(" "), Piece::Text(op.symbol()), Piece::Text(" ")], "")
            };
            pending.extend([Piece::Text(end), Piece::Node(rhs)]);
            pending.extend(separator.into_iter().rev());
            pending.push(Piece::Node(lhs));
        }
    }
}

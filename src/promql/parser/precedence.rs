//! Precedence of operators, from `or` (1) to `^` (6).

use crate::promql::ast::operator::BinaryOp;

/// Precedence of a sign, that of `*`: `-a ^ b` is `-(a ^ b)`, and `-a * b` is `(-a) * b`.
pub(super) const SIGN: u8 = 5;

/// Returns the precedence of an operator.
pub(super) fn of(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => SIGN,
        BinaryOp::Pow => 6,
    }
}

/// Returns the lowest precedence of the operations that end in front of an operator. All operators
/// associate to the left except `^`.
pub(super) fn min_to_reduce(next: BinaryOp) -> u8 {
    of(next) + u8::from(next == BinaryOp::Pow)
}

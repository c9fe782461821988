//! PromQL expressions: arbitrary bytes are rejected at a position within them, or their tree has a
//! text that is an expression with the same text.

use narthex::promql::ast::duration::{DurationExpr, DurationOp, DurationValue, Nanoseconds};
use narthex::promql::ast::expr::Expr;
use narthex::promql::ast::position::DurationId;
use narthex::promql::ast::selector::AtModifier;
use narthex::promql::ast::tree::{Ast, Node};
use narthex::promql::error::Position;
use narthex::promql::features::Features;
use narthex::promql::parser::{parse_expression, parse_selector};
use narthex::promql::print::json::json;
use narthex::promql::print::pretty::pretty;

/// Maximum length of a formatted expression, bytes.
const MAX_FORMATTED: usize = 1 << 20;
/// Milliseconds below which a timestamp with three decimals has no rounding error.
const EXACT_MILLIS: u64 = 1 << 50;

/// Panics if a parser or printer contradicts itself.
pub(crate) fn check(data: &[u8]) {
    drop(parse_selector(data));
    let ast = match parse_expression(data, Features::ALL) {
        Ok(ast) => ast,
        Err(error) => return check_position(data, error.position),
    };
    check_spans(data, &ast);
    let text = ast.to_string();
    check_json(&json(&ast));
    let Ok(formatted) = pretty(&ast, MAX_FORMATTED) else { return };
    if !ast.iter().all(|(_, node)| has_exact_text(&ast, node)) {
        return;
    }
    for text_of_tree in [&text, &formatted] {
        let again = parse_expression(text_of_tree.as_bytes(), Features::ALL);
        let again = again.unwrap_or_else(|error| panic!("{text_of_tree}: {error}"));
        assert_eq!(again.to_string(), text);
    }
}

fn check_position(data: &[u8], position: Position) {
    match position {
        Position::Unknown => assert!(data.is_empty()),
        Position::At { line, column } => {
            let lines: Vec<&[u8]> = data.split(|&b| b == b'\n').collect();
            assert!(column >= 1 && column <= lines[line - 1].len() + 1, "{position}");
        }
    }
}

/// The reader of JSON has a limit of depth, which a tree may exceed.
fn check_json(text: &str) {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        assert!(error.to_string().starts_with("recursion limit"), "{error}");
    }
}

fn check_spans(data: &[u8], ast: &Ast) {
    for (id, node) in ast.iter() {
        assert!(node.span.start < node.span.end && node.span.end as usize <= data.len());
        for child in node.expr.children() {
            assert!(child.index() < id.index(), "a child behind its parent");
            assert!(node.span.start <= ast[child].span.start);
            assert!(ast[child].span.end <= node.span.end);
        }
    }
}

/// Returns `false` for nodes that Prometheus's text does not keep: an empty selector, parts of
/// milliseconds, timestamps of more digits than floats have, and operations behind `offset` without
/// parentheses.
fn has_exact_text(ast: &Ast, node: &Node) -> bool {
    match &node.expr {
        Expr::Vector(selector) => {
            !selector.matchers.is_empty()
                && has_exact_offset(ast, selector.offset)
                && has_exact_time(selector.at)
        }
        Expr::Matrix(matrix) => is_whole(matrix.range),
        Expr::Subquery(subquery) => {
            [subquery.range, subquery.step].into_iter().all(is_whole)
                && has_exact_offset(ast, subquery.offset)
                && has_exact_time(subquery.at)
        }
        _ => true,
    }
}

/// Returns `true` if an operator behind the offset does not become a part of it.
fn has_exact_offset(ast: &Ast, offset: DurationValue) -> bool {
    let DurationValue::Computed(id) = offset else { return is_whole(offset) };
    let is_function = |id: DurationId| match ast[id].expr {
        DurationExpr::Step | DurationExpr::Range => true,
        DurationExpr::Binary(op, ..) => matches!(op, DurationOp::MinOf | DurationOp::MaxOf),
        _ => false,
    };
    let node = &ast[id];
    !node.is_wrapped
        && match node.expr {
            DurationExpr::Unary(_, operand) => ast[operand].is_wrapped || is_function(operand),
            _ => is_function(id),
        }
}

fn is_whole(duration: DurationValue) -> bool {
    match duration {
        DurationValue::Fixed(Nanoseconds(nanos)) => nanos % 1_000_000 == 0,
        DurationValue::Computed(_) => true,
    }
}

fn has_exact_time(at: Option<AtModifier>) -> bool {
    !matches!(at, Some(AtModifier::Timestamp(millis)) if millis.unsigned_abs() >= EXACT_MILLIS)
}

//! JSON of a tree, as `/api/v1/parse_query` has it: keys in alphabetical order.
//!
//! Source: Prometheus's `web/api/v1/translate_ast.go`, and Go's `encoding/json` for strings and
//! numbers.

use super::selector;
use crate::model::go_format::Decimal;
use crate::promql::ast::duration::{DurationExpr, DurationValue, Nanoseconds};
use crate::promql::ast::expr::{
    Aggregate, Binary, Call, Expr, MatrixSelector, Subquery, VectorMatching,
};
use crate::promql::ast::position::DurationId;
use crate::promql::ast::position::NodeId;
use crate::promql::ast::selector::{AtModifier, RangeExtension, VectorSelector};
use crate::promql::ast::tree::Ast;
use crate::promql::ast::value_type::ValueType;
use std::fmt::Write as _;

/// Returns the JSON of a tree.
#[must_use]
pub fn json(ast: &Ast) -> String {
    let mut out = String::new();
    let mut pending = vec![Piece::Node(ast.root())];
    while let Some(piece) = pending.pop() {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Node(id) => pending.extend(pieces(ast, id).into_iter().rev()),
        }
    }
    out
}

/// Part of the JSON.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Node(NodeId),
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

fn pieces(ast: &Ast, id: NodeId) -> Vec<Piece> {
    match &ast[id].expr {
        Expr::Number(number) => {
            let value = Decimal(number.value);
            vec![Piece::Text(format!(r#"{{"type":"numberLiteral","val":"{value}"}}"#))]
        }
        Expr::String(value) => {
            let mut text = String::from(r#"{"type":"stringLiteral","val":"#);
            push_string(&mut text, value.as_bytes());
            text.push('}');
            vec![Piece::Text(text)]
        }
        Expr::Vector(vector) => vec![Piece::Text(vector_selector(ast, vector, None))],
        Expr::Matrix(MatrixSelector { selector, range }) => match &ast[*selector].expr {
            Expr::Vector(vector) => vec![Piece::Text(vector_selector(ast, vector, Some(*range)))],
            _ => Vec::new(),
        },
        Expr::Subquery(subquery) => subquery_pieces(ast, subquery),
        Expr::Call(call) => call_pieces(call),
        Expr::Aggregate(aggregate) => aggregate_pieces(aggregate),
        Expr::Binary(binary) => binary_pieces(binary),
        Expr::Unary(sign, operand) => vec![
            Piece::from(r#"{"expr":"#),
            Piece::Node(*operand),
            Piece::Text(format!(r#","op":"{}","type":"unaryExpr"}}"#, sign.symbol())),
        ],
        Expr::Paren(inner) => vec![
            Piece::from(r#"{"expr":"#),
            Piece::Node(*inner),
            Piece::from(r#","type":"parenExpr"}"#),
        ],
    }
}

/// Returns the JSON of a selector, with a range for a range vector.
fn vector_selector(ast: &Ast, vector: &VectorSelector, range: Option<DurationValue>) -> String {
    let is_anchored = vector.extension == Some(RangeExtension::Anchored);
    let is_smoothed = vector.extension == Some(RangeExtension::Smoothed);
    let mut out = format!(r#"{{"anchored":{is_anchored},"matchers":["#);
    for (at, matcher) in vector.matchers.iter().enumerate() {
        out.push_str(if at == 0 { r#"{"name":"# } else { r#",{"name":"# });
        push_string(&mut out, matcher.name());
        let _ = write!(out, r#","type":"{}","value":"#, selector::operator(matcher.kind()));
        push_string(&mut out, matcher.value());
        out.push('}');
    }
    out.push_str(r#"],"name":"#);
    push_string(&mut out, vector.name.as_bytes());
    push_duration(&mut out, ast, "offset", vector.offset);
    if let Some(range) = range {
        push_duration(&mut out, ast, "range", range);
    }
    let _ = write!(out, r#","smoothed":{is_smoothed}"#);
    push_at_start(&mut out, vector.at);
    push_at_timestamp(&mut out, vector.at);
    let name = if range.is_some() { "matrixSelector" } else { "vectorSelector" };
    let _ = write!(out, r#","type":"{name}"}}"#);
    out
}

fn subquery_pieces(ast: &Ast, subquery: &Subquery) -> Vec<Piece> {
    let mut out = String::new();
    push_duration(&mut out, ast, "offset", subquery.offset);
    push_duration(&mut out, ast, "range", subquery.range);
    push_at_start(&mut out, subquery.at);
    push_duration(&mut out, ast, "step", subquery.step);
    push_at_timestamp(&mut out, subquery.at);
    out.push_str(r#","type":"subquery"}"#);
    vec![Piece::from(r#"{"expr":"#), Piece::Node(subquery.expr), Piece::Text(out)]
}

fn call_pieces(call: &Call) -> Vec<Piece> {
    let signature = call.function.signature();
    let mut pieces = vec![Piece::from(r#"{"args":["#)];
    for (at, arg) in call.args.iter().enumerate() {
        if at > 0 {
            pieces.push(Piece::from(","));
        }
        pieces.push(Piece::Node(*arg));
    }
    let quoted = |value_type: &ValueType| format!("\"{}\"", value_type.api_name());
    let types: Vec<String> = signature.args.iter().map(quoted).collect();
    let returns = signature.returns.api_name();
    pieces.push(Piece::Text(format!(
        r#"],"func":{{"argTypes":[{}],"name":"{}","returnType":"{returns}","variadic":{}}}"#,
        types.join(","),
        signature.name,
        signature.variadic
    )));
    pieces.push(Piece::from(r#","type":"call"}"#));
    pieces
}

fn aggregate_pieces(aggregate: &Aggregate) -> Vec<Piece> {
    let mut grouping = String::from(r#","grouping":"#);
    push_strings(&mut grouping, &aggregate.grouping);
    let _ = write!(grouping, r#","op":"{}","param":"#, aggregate.op.name());
    let parameter = aggregate.parameter.map_or(Piece::from("null"), Piece::Node);
    let end = format!(r#","type":"aggregation","without":{}}}"#, aggregate.is_without);
    vec![
        Piece::from(r#"{"expr":"#),
        Piece::Node(aggregate.expr),
        Piece::Text(grouping),
        parameter,
        Piece::Text(end),
    ]
}

fn binary_pieces(binary: &Binary) -> Vec<Piece> {
    let mut matching = String::from(r#","matching":"#);
    match &binary.matching {
        Some(found) => push_matching(&mut matching, found),
        None => matching.push_str("null"),
    }
    matching.push_str(r#","op":"#);
    push_string(&mut matching, binary.op.symbol().as_bytes());
    matching.push_str(r#","rhs":"#);
    vec![
        Piece::Text(format!(r#"{{"bool":{},"lhs":"#, binary.returns_bool)),
        Piece::Node(binary.lhs),
        Piece::Text(matching),
        Piece::Node(binary.rhs),
        Piece::from(r#","type":"binaryExpr"}"#),
    ]
}

fn push_matching(out: &mut String, matching: &VectorMatching) {
    let _ = write!(out, r#"{{"card":"{}","fillValues":{{"lhs":"#, matching.cardinality.name());
    push_fill(out, matching.fill_left);
    out.push_str(r#","rhs":"#);
    push_fill(out, matching.fill_right);
    out.push_str(r#"},"include":"#);
    push_strings(out, &matching.include);
    out.push_str(r#","labels":"#);
    push_strings(out, &matching.labels);
    let _ = write!(out, r#","on":{}}}"#, matching.is_on);
}

/// Appends a number. Prometheus fails if it is not finite; here it is a string then.
fn push_fill(out: &mut String, value: Option<f64>) {
    let Some(value) = value else { return out.push_str("null") };
    let size = value.abs();
    let _ = if !value.is_finite() {
        write!(out, "\"{}\"", Decimal(value))
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(out, "{value}")
    } else {
        let text = format!("{value:e}");
        write!(out, "{}", if size < 1.0 { text } else { text.replace('e', "e+") })
    };
}

/// Appends a duration in milliseconds, and its expression if it has one.
fn push_duration(out: &mut String, ast: &Ast, name: &str, value: DurationValue) {
    let (fixed, computed) = match value {
        DurationValue::Fixed(fixed) => (fixed, None),
        DurationValue::Computed(id) => (Nanoseconds::ZERO, Some(id)),
    };
    let _ = write!(out, r#","{name}":{},"{name}Expr":"#, fixed.as_millis());
    match computed {
        Some(id) => push_duration_expr(out, ast, id),
        None => out.push_str("null"),
    }
}

/// Part of the JSON of a duration expression.
enum DurationPiece {
    Text(String),
    Node(Option<DurationId>),
}

fn push_duration_expr(out: &mut String, ast: &Ast, root: DurationId) {
    let mut pending = vec![DurationPiece::Node(Some(root))];
    while let Some(piece) = pending.pop() {
        let id = match piece {
            DurationPiece::Node(Some(id)) => id,
            DurationPiece::Node(None) => {
                out.push_str("null");
                continue;
            }
            DurationPiece::Text(text) => {
                out.push_str(&text);
                continue;
            }
        };
        let node = &ast[id];
        let (op, lhs, rhs) = match node.expr {
            DurationExpr::Number { seconds, has_units } => {
                let value = Decimal(seconds);
                let _ = write!(
                    out,
                    r#"{{"duration":{has_units},"type":"numberLiteral","val":"{value}"}}"#
                );
                continue;
            }
            DurationExpr::Step => ("step", None, None),
            DurationExpr::Range => ("range", None, None),
            DurationExpr::Unary(sign, operand) => (sign.symbol(), None, Some(operand)),
            DurationExpr::Binary(op, lhs, rhs) => (op.symbol(), Some(lhs), Some(rhs)),
        };
        out.push_str(r#"{"lhs":"#);
        let end = format!(r#","type":"durationExpr","wrapped":{}}}"#, node.is_wrapped);
        pending.extend([
            DurationPiece::Text(end),
            DurationPiece::Node(rhs),
            DurationPiece::Text(format!(r#","op":"{op}","rhs":"#)),
            DurationPiece::Node(lhs),
        ]);
    }
}

fn push_at_start(out: &mut String, at: Option<AtModifier>) {
    out.push_str(match at {
        Some(AtModifier::Start) => r#","startOrEnd":"start""#,
        Some(AtModifier::End) => r#","startOrEnd":"end""#,
        Some(AtModifier::Timestamp(_)) | None => r#","startOrEnd":null"#,
    });
}

fn push_at_timestamp(out: &mut String, at: Option<AtModifier>) {
    out.push_str(r#","timestamp":"#);
    let _ = match at {
        Some(AtModifier::Timestamp(millis)) => write!(out, "{millis}"),
        _ => write!(out, "null"),
    };
}

fn push_strings(out: &mut String, values: &[Box<str>]) {
    out.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_string(out, value.as_bytes());
    }
    out.push(']');
}

/// Appends a string. Bytes that are not UTF-8 become U+FFFD; characters with a meaning in HTML have
/// escapes.
fn push_string(out: &mut String, value: &[u8]) {
    out.push('"');
    for c in String::from_utf8_lossy(value).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

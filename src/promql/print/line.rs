//! Text in one line: what a parser reads as the same tree.
//!
//! Source: Prometheus's `promql/parser/printer.go`.

use super::{duration, push_labels, selector};
use crate::model::go_format::{General, Quoted};
use crate::promql::ast::expr::{
    Aggregate, Binary, Cardinality, Expr, MatrixSelector, Subquery, VectorMatching,
};
use crate::promql::ast::position::NodeId;
use crate::promql::ast::tree::Ast;
use std::fmt;
use std::fmt::Write as _;

/// Part of a text.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(String),
    Node(NodeId),
}

impl fmt::Display for Ast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        push_node(&mut text, self, self.root());
        f.write_str(&text)
    }
}

/// Appends the text of a node.
pub(super) fn push_node(out: &mut String, ast: &Ast, id: NodeId) {
    let mut pending = vec![Piece::Node(id)];
    while let Some(piece) = pending.pop() {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Node(id) => pending.extend(pieces(ast, id).into_iter().rev()),
        }
    }
}

/// Returns the length of the text of every node, bytes.
pub(super) fn lengths(ast: &Ast) -> Vec<usize> {
    let mut lengths: Vec<usize> = Vec::new();
    for (id, _) in ast.iter() {
        let length = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Node(child) => lengths.get(child.index()).copied().unwrap_or(0),
        };
        let total = pieces(ast, id).iter().map(length).sum();
        lengths.push(total);
    }
    lengths
}

/// Returns the parts of the text of a node.
fn pieces(ast: &Ast, id: NodeId) -> Vec<Piece> {
    let mut text = String::new();
    match &ast[id].expr {
        Expr::Number(number) => duration::push_number(&mut text, number.value, number.is_duration),
        Expr::String(value) => {
            let _ = write!(text, "{}", Quoted(value.as_bytes()));
        }
        Expr::Vector(vector) => {
            selector::push_matchers(&mut text, vector);
            selector::push_at(&mut text, vector.at);
            selector::push_extension(&mut text, vector);
            selector::push_offset(&mut text, ast, vector.offset);
        }
        Expr::Matrix(matrix) => push_matrix(&mut text, ast, *matrix),
        Expr::Subquery(subquery) => {
            push_subquery_suffix(&mut text, ast, subquery);
            return vec![Piece::Node(subquery.expr), Piece::Text(text)];
        }
        Expr::Unary(sign, operand) => {
            return vec![Piece::Text(sign.symbol().to_owned()), Piece::Node(*operand)];
        }
        Expr::Paren(inner) => return enclosed("(".to_owned(), &[*inner]),
        Expr::Call(call) => {
            return enclosed(format!("{}(", call.function.signature().name), &call.args);
        }
        Expr::Aggregate(aggregate) => {
            push_aggregation_name(&mut text, aggregate);
            text.push('(');
            let args: Vec<NodeId> =
                aggregate.parameter.into_iter().chain([aggregate.expr]).collect();
            return enclosed(text, &args);
        }
        Expr::Binary(binary) => {
            text.push(' ');
            push_operator(&mut text, binary);
            text.push(' ');
            return vec![Piece::Node(binary.lhs), Piece::Text(text), Piece::Node(binary.rhs)];
        }
    }
    vec![Piece::Text(text)]
}

/// Returns `start`, the nodes separated by commas, and a closing parenthesis.
fn enclosed(start: String, nodes: &[NodeId]) -> Vec<Piece> {
    let mut pieces = vec![Piece::Text(start)];
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            pieces.push(Piece::Text(", ".to_owned()));
        }
        pieces.push(Piece::Node(*node));
    }
    pieces.push(Piece::Text(")".to_owned()));
    pieces
}

fn push_matrix(out: &mut String, ast: &Ast, matrix: MatrixSelector) {
    let Expr::Vector(vector) = &ast[matrix.selector].expr else { return };
    selector::push_matchers(out, vector);
    out.push('[');
    duration::push_value(out, ast, matrix.range);
    out.push(']');
    selector::push_extension(out, vector);
    selector::push_at(out, vector.at);
    selector::push_offset(out, ast, vector.offset);
}

/// Appends range, step and modifiers of a subquery.
pub(super) fn push_subquery_suffix(out: &mut String, ast: &Ast, subquery: &Subquery) {
    out.push('[');
    duration::push_value(out, ast, subquery.range);
    out.push(':');
    if !subquery.step.is_zero() {
        duration::push_value(out, ast, subquery.step);
    }
    out.push(']');
    selector::push_at(out, subquery.at);
    selector::push_offset(out, ast, subquery.offset);
}

/// Appends the name of an aggregation and its labels.
pub(super) fn push_aggregation_name(out: &mut String, aggregate: &Aggregate) {
    out.push_str(aggregate.op.name());
    if aggregate.is_without || !aggregate.grouping.is_empty() {
        out.push_str(if aggregate.is_without { " without " } else { " by " });
        push_labels(out, &aggregate.grouping);
        out.push(' ');
    }
}

/// Appends an operator and its modifiers.
pub(super) fn push_operator(out: &mut String, binary: &Binary) {
    out.push_str(binary.op.symbol());
    if binary.returns_bool {
        out.push_str(" bool");
    }
    if let Some(matching) = &binary.matching {
        push_matching(out, matching);
    }
}

fn push_matching(out: &mut String, matching: &VectorMatching) {
    let is_grouped = matching.cardinality.is_grouped();
    if !matching.labels.is_empty() || matching.is_on || is_grouped {
        out.push_str(if matching.is_on { " on " } else { " ignoring " });
        push_labels(out, &matching.labels);
    }
    if is_grouped {
        let is_left = matching.cardinality == Cardinality::ManyToOne;
        out.push_str(if is_left { " group_left " } else { " group_right " });
        push_labels(out, &matching.include);
    }
    let mut fill = |name: &str, value: f64| {
        let _ = write!(out, " {name} ({})", General(value));
    };
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => fill("fill", left),
        (left, right) => {
            if let Some(left) = left {
                fill("fill_left", left);
            }
            if let Some(right) = right {
                fill("fill_right", right);
            }
        }
    }
}

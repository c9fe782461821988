//! Text with line breaks and indentation, for `/api/v1/format_query`.
//!
//! A node whose line is longer than 100 bytes is split: its children are on lines of their own,
//! indented by one level more. Indentation makes the text grow with the square of the depth, so its
//! length is bounded.
//!
//! Source: Prometheus's `promql/parser/prettier.go`.

use super::line;
use crate::promql::ast::expr::Expr;
use crate::promql::ast::position::NodeId;
use crate::promql::ast::tree::Ast;

/// Maximum length of a line that is not split, bytes.
const MAX_LINE: usize = 100;
/// Indentation of one level.
const INDENT: &str = "  ";

/// Error of a text that is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("formatted expression exceeds {max_len} bytes")]
pub struct FormatTooLong {
    /// Maximum length, bytes.
    pub max_len: usize,
}

/// Returns the formatted text of a tree.
///
/// # Errors
/// [`FormatTooLong`] if the text is longer than `max_len` bytes.
pub fn pretty(ast: &Ast, max_len: usize) -> Result<String, FormatTooLong> {
    let lengths = line::lengths(ast);
    let mut out = String::new();
    let mut is_trimmed = false;
    let mut pending = vec![Piece::Node(ast.root(), 0)];
    while let Some(piece) = pending.pop() {
        match piece {
            Piece::Node(id, level) => {
                let is_split = lengths.get(id.index()).is_some_and(|len| *len > MAX_LINE);
                pending.extend(pieces(ast, id, level, is_split).into_iter().rev());
            }
            Piece::Indent(_) if is_trimmed => {}
            Piece::Indent(level) => out.push_str(&INDENT.repeat(level)),
            Piece::Trim => is_trimmed = true,
            Piece::Text(text) => {
                out.push_str(&text);
                is_trimmed = false;
            }
            Piece::Line(id) => {
                line::push_node(&mut out, ast, id);
                is_trimmed = false;
            }
        }
        if out.len() > max_len {
            return Err(FormatTooLong { max_len });
        }
    }
    Ok(out)
}

/// Part of a text.
#[derive(Clone, Debug)]
enum Piece {
    /// A node at a level.
    Node(NodeId, usize),
    /// A node in one line.
    Line(NodeId),
    Text(String),
    Indent(usize),
    /// No indentation in front of the next text.
    Trim,
}

/// Returns the parts of a node. `is_split` tells whether its line is too long.
fn pieces(ast: &Ast, id: NodeId, level: usize, is_split: bool) -> Vec<Piece> {
    let mut text = String::new();
    match &ast[id].expr {
        Expr::Unary(sign, operand) => vec![
            Piece::Indent(level),
            Piece::Text(sign.symbol().to_owned()),
            Piece::Trim,
            Piece::Node(*operand, level),
        ],
        Expr::Subquery(_) if !is_split => vec![Piece::Line(id)],
        Expr::Subquery(subquery) => {
            line::push_subquery_suffix(&mut text, ast, subquery);
            vec![Piece::Node(subquery.expr, level), Piece::Text(text)]
        }
        Expr::Binary(binary) if is_split => {
            line::push_operator(&mut text, binary);
            vec![
                Piece::Node(binary.lhs, level + 1),
                Piece::Text("\n".to_owned()),
                Piece::Indent(level),
                Piece::Text(text + "\n"),
                Piece::Node(binary.rhs, level + 1),
            ]
        }
        Expr::Paren(inner) if is_split => enclosed(String::new(), &[*inner], level),
        Expr::Call(call) if is_split => {
            enclosed(call.function.signature().name.to_owned(), &call.args, level)
        }
        Expr::Aggregate(aggregate) if is_split => {
            line::push_aggregation_name(&mut text, aggregate);
            let args: Vec<NodeId> =
                aggregate.parameter.into_iter().chain([aggregate.expr]).collect();
            enclosed(text, &args, level)
        }
        _ => vec![Piece::Indent(level), Piece::Line(id)],
    }
}

/// Returns the parts of a name and of nodes in parentheses, each on a line of its own.
fn enclosed(name: String, nodes: &[NodeId], level: usize) -> Vec<Piece> {
    let mut pieces = vec![Piece::Indent(level), Piece::Text(name + "(")];
    for (at, node) in nodes.iter().enumerate() {
        let separator = if at == 0 { "\n" } else { ",\n" };
        pieces.extend([Piece::Text(separator.to_owned()), Piece::Node(*node, level + 1)]);
    }
    let end = [Piece::Text("\n".to_owned()), Piece::Indent(level), Piece::Text(")".to_owned())];
    pieces.extend(end);
    pieces
}

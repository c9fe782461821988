//! Limits that keep the memory for an expression small.

use super::tokens::Tokens;
use crate::promql::ast::tree::Ast;
use crate::promql::error::{ParseError, Problem};

/// Maximum length of an expression, bytes.
const MAX_BYTES: usize = 1 << 20;
/// Maximum number of nodes of a tree.
const MAX_NODES: usize = 100_000;
/// Maximum number of parts that are open at the same time: parentheses, calls, operators.
const MAX_DEPTH: usize = 50_000;

/// Checks the length of an expression.
pub(super) fn check_length(text: &[u8]) -> Result<(), ParseError> {
    check(text.len(), MAX_BYTES, "bytes").map_err(|problem| ParseError::at(text, 0, problem))
}

/// Checks that a tree may have another node.
pub(super) fn check_nodes(tokens: &Tokens<'_>, ast: &Ast) -> Result<(), ParseError> {
    check(ast.num_nodes() + 1, MAX_NODES, "nodes").map_err(|problem| tokens.error_here(problem))
}

/// Checks that another part may be open in addition to `depth`.
pub(super) fn check_depth(tokens: &Tokens<'_>, depth: usize) -> Result<(), ParseError> {
    check(depth + 1, MAX_DEPTH, "nested parts").map_err(|problem| tokens.error_here(problem))
}

fn check(count: usize, limit: usize, unit: &'static str) -> Result<(), Problem> {
    if count > limit { Err(Problem::TooLarge { limit, unit }) } else { Ok(()) }
}

//! Syntax tree of an expression.
//!
//! # Layout
//! The nodes of an [`Ast`](tree::Ast) are in one vector, and refer to each other by index
//! ([`NodeId`](position::NodeId)). Children precede their parents, and the root is the last node.
//! So a pass over all nodes, from the leaves to the root or back, is a loop, needs no recursion,
//! and may keep its results in a vector of the same length: constant values, whether a node is the
//! same at every step, and the like. Trees of any depth are dropped and compared without recursion.
//!
//! Nodes of duration expressions are in a second vector of the same order
//! ([`DurationId`](position::DurationId)).
//!
//! # Positions
//! Every node has its position in the text ([`Span`](position::Span)), which messages name as line
//! and column.
//!
//! | module | contents |
//! |---|---|
//! | [`duration`] | durations and duration expressions |
//! | [`expr`] | kinds of nodes |
//! | [`function`] | functions and their types |
//! | [`operator`] | operators and aggregations |
//! | [`position`] | indices of nodes, positions in the text |
//! | [`resolve`] | values of duration expressions |
//! | [`selector`] | selectors of series |
//! | [`string`] | values of strings |
//! | [`tree`] | the tree and its nodes |
//! | [`value_type`] | types of values |

pub mod duration;
pub mod expr;
pub mod function;
pub mod operator;
pub mod position;
#[cfg(any(test, feature = "testing"))]
pub mod resolve;
pub mod selector;
pub mod string;
pub mod tree;
pub mod value_type;

//! The tree and its nodes.

use super::duration::DurationNode;
use super::expr::Expr;
use super::position::{DurationId, NodeId, Span};
use super::selector::VectorSelector;
use super::value_type::ValueType;
use std::ops::{Index, IndexMut};

/// Syntax tree of an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    nodes: Vec<Node>,
    durations: Vec<DurationNode>,
}

/// Node of a syntax tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Position in the text.
    pub span: Span,
    /// Type of the value.
    pub value_type: ValueType,
    /// Kind of node and its children.
    pub expr: Expr,
}

impl Ast {
    /// Returns a tree without nodes, to which a parser adds some.
    pub(crate) fn empty() -> Self {
        Self { nodes: Vec::new(), durations: Vec::new() }
    }

    /// Adds a node whose children are in the tree.
    pub(crate) fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId::new(self.nodes.len() - 1)
    }

    /// Adds a node of a duration expression whose children are in the tree.
    pub(crate) fn push_duration(&mut self, node: DurationNode) -> DurationId {
        self.durations.push(node);
        DurationId::new(self.durations.len() - 1)
    }

    /// Returns the node of a duration expression.
    pub(crate) fn duration_mut(&mut self, id: DurationId) -> &mut DurationNode {
        &mut self.durations[id.index()]
    }

    /// Returns the root.
    #[must_use]
    pub fn root(&self) -> NodeId {
        NodeId::new(self.nodes.len().saturating_sub(1))
    }

    /// Returns the number of nodes, including those of duration expressions.
    #[must_use]
    pub fn num_nodes(&self) -> usize {
        self.nodes.len() + self.durations.len()
    }

    /// Returns all nodes, children before their parents.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(at, node)| (NodeId::new(at), node))
    }

    /// Returns the nodes of all duration expressions, children before their parents.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn durations(&self) -> &[DurationNode] {
        &self.durations
    }

    /// Returns the selectors of the expression.
    pub fn selectors(&self) -> impl Iterator<Item = &VectorSelector> {
        self.nodes.iter().filter_map(|node| match &node.expr {
            Expr::Vector(selector) => Some(&**selector),
            _ => None,
        })
    }
}

impl Index<NodeId> for Ast {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }
}

impl IndexMut<NodeId> for Ast {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }
}

impl Index<DurationId> for Ast {
    type Output = DurationNode;

    fn index(&self, id: DurationId) -> &DurationNode {
        &self.durations[id.index()]
    }
}

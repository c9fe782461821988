//! Nodes of a YAML document, with positions.

use crate::config::yaml::error::Position;

/// Node of a document. Its depth is limited by the composer, so recursion over it is safe.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Position of the value, or of the alias that refers to it.
    pub(super) position: Position,
    pub(super) kind: NodeKind,
}

/// Contents of a node.
#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// Scalar as written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether the scalar has no quotes, so that it may be null, a boolean or a number.
    pub(super) is_plain: bool,
}

/// Key and value of a mapping. No two entries of a mapping have equal keys.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_position: Position,
    pub(super) value: Node,
}

impl Node {
    /// Returns a null without text.
    pub(super) fn null(position: Position) -> Self {
        let scalar = Scalar { text: String::new(), is_plain: true };
        Self { position, kind: NodeKind::Scalar(scalar) }
    }

    /// Moves the node and everything below it to one position.
    pub(super) fn move_to(&mut self, position: Position) {
        self.position = position;
        match &mut self.kind {
            NodeKind::Scalar(_) => {}
            NodeKind::Sequence(items) => items.iter_mut().for_each(|item| item.move_to(position)),
            NodeKind::Mapping(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_position = position;
                entry.value.move_to(position);
            }),
        }
    }
}

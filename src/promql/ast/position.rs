//! Indices of nodes, and positions in the text.

/// Index of a node in its [`Ast`](super::tree::Ast).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    pub(super) fn new(index: usize) -> Self {
        Self(index as u32)
    }

    /// Returns the index in results of a pass over all nodes.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a node of a duration expression in its [`Ast`](super::tree::Ast).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DurationId(u32);

impl DurationId {
    pub(super) fn new(index: usize) -> Self {
        Self(index as u32)
    }

    /// Returns the index in results of a pass over all nodes of duration expressions.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Range of bytes in the text of an expression; `end` is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the range from the start of this one to the end of another.
    #[must_use]
    pub fn to(self, end: Self) -> Self {
        Self { start: self.start, end: end.end }
    }
}

//! Exemplars: single observations that point at a trace.

use crate::model::labels::Labels;

/// One observation of a series, with labels of its own.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The observed value, kept bit for bit.
    pub v: f64,
    /// The exemplar's own labels (a trace id and the like), or `None` where it has none.
    pub labels: Option<Labels>,
}

/// Equality is that of the value's bits.
impl PartialEq for Exemplar {
    fn eq(&self, other: &Self) -> bool {
        self.t == other.t && self.v.to_bits() == other.v.to_bits() && self.labels == other.labels
    }
}

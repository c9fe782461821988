//! Exemplars: single observations with labels of their own, usually a trace id.

use crate::model::labels::Labels;

/// Observation of a series, with its own labels.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// Timestamp, ms since the Unix epoch.
    pub t: i64,
    /// Observed value; all bits are preserved.
    pub v: f64,
    /// Labels of the exemplar, such as a trace id; `None` if it has none.
    pub labels: Option<Labels>,
}

/// Values are equal if their bits are.
impl PartialEq for Exemplar {
    fn eq(&self, other: &Self) -> bool {
        self.t == other.t && self.v.to_bits() == other.v.to_bits() && self.labels == other.labels
    }
}

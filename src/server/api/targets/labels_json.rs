//! Label sets in JSON: an object with a key per label, sorted by name.

use crate::model::labels::Labels;
use serde::{Serialize, Serializer};

/// Label set that is serialized as an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum LabelsJson<'a> {
    Labels(&'a Labels),
    /// Names and values, sorted by name.
    Pairs(&'a [(String, String)]),
}

impl Serialize for LabelsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Labels(labels) => serializer.collect_map(labels.iter()),
            Self::Pairs(pairs) => {
                serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

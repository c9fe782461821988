//! Groups of targets.

use std::collections::BTreeMap;

/// Label names and values. A value may be empty, which means an absent label.
pub type LabelSet = BTreeMap<String, String>;

/// Label with the address of a target.
pub const ADDRESS_LABEL: &str = "__address__";

/// Targets with common labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Identifier of the group within its provider. A later group with the same source replaces
    /// this one; one without targets removes it.
    pub source: String,
    /// Labels of all targets. A label of a target takes precedence over them.
    pub labels: LabelSet,
    /// Labels of each target, among them `__address__`.
    pub targets: Vec<LabelSet>,
}

impl TargetGroup {
    /// Returns a group that removes the group with this source.
    #[must_use]
    pub fn removed(source: String) -> Self {
        Self { source, ..Self::default() }
    }
}

/// Returns the labels of a target that has only an address.
#[must_use]
pub fn address_labels(address: String) -> LabelSet {
    LabelSet::from([(ADDRESS_LABEL.to_owned(), address)])
}

//! Entries of `static_configs`.

use std::collections::BTreeMap;

/// Targets with common labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticGroup {
    /// Values of `__address__`.
    pub targets: Vec<String>,
    /// Labels of all targets.
    pub labels: BTreeMap<String, String>,
}

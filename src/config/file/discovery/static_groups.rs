//! Entries of `static_configs`.

use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use std::collections::BTreeMap;

/// Targets with common labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticGroup {
    /// Values of `__address__`.
    pub targets: Vec<String>,
    /// Labels of all targets.
    pub labels: BTreeMap<String, String>,
}

/// Reads an entry. Addresses are checked unless relabeling rules may change them.
pub(super) fn parse(mut entry: Mapping<'_>, may_relabel: bool) -> StaticGroup {
    let targets = entry.list("targets");
    if !may_relabel {
        targets.iter().for_each(check_address);
    }
    let labels = entry.get("labels").map(|value| labels(&value));
    entry.finish();
    StaticGroup {
        targets: targets.iter().filter_map(Value::string).collect(),
        labels: labels.unwrap_or_default(),
    }
}

/// Reports a URL in place of an address, a frequent mistake.
fn check_address(target: &Value<'_>) {
    if let Some(address) = target.string().filter(|address| address.contains('/')) {
        target.problem(format_args!(
            "{address:?} is not an address; write host:port, and set scheme and metrics_path of \
             the job"
        ));
    }
}

/// Reads labels; null values are empty.
pub(crate) fn labels(value: &Value<'_>) -> BTreeMap<String, String> {
    let Some(mapping) = value.mapping() else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for (name, value) in mapping.entries() {
        if name.name.is_empty() {
            name.problem("\"\" is not a valid label name");
        }
        if let Some(value) = value.string() {
            labels.insert(name.name.to_owned(), value);
        }
    }
    labels
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(group: &StaticGroup) -> YamlMapping {
    let mut entry = YamlMapping::default();
    entry.set("targets", group.targets.clone());
    entry.set_unless_zero("labels", YamlMapping::from_texts(&group.labels));
    entry
}

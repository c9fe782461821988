//! Labels of metadata.

use crate::discovery::kinds::kubernetes::objects::meta::ObjectMeta;
use crate::discovery::kinds::kubernetes::objects::pod::PodMeta;
use crate::discovery::label_name::sanitized;
use crate::discovery::target_group::LabelSet;
use std::collections::BTreeMap;

/// Beginning of all labels.
const PREFIX: &str = "__meta_kubernetes_";

/// Labels and annotations of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata<'a> {
    name: &'a str,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a ObjectMeta> for Metadata<'a> {
    fn from(ObjectMeta { name, labels, annotations, .. }: &'a ObjectMeta) -> Self {
        Self { name, labels, annotations }
    }
}

impl<'a> From<&'a PodMeta> for Metadata<'a> {
    fn from(PodMeta { name, labels, annotations, .. }: &'a PodMeta) -> Self {
        Self { name, labels, annotations }
    }
}

/// Sets the label `__meta_kubernetes_<name>`. An empty value removes it.
pub(super) fn set(labels: &mut LabelSet, name: &str, value: &str) {
    let name = format!("{PREFIX}{name}");
    if value.is_empty() {
        labels.remove(&name);
    } else {
        labels.insert(name, value.to_owned());
    }
}

/// Sets the label `__meta_kubernetes_<name>` to a boolean.
pub(super) fn set_flag(labels: &mut LabelSet, name: &str, value: bool) {
    set(labels, name, if value { "true" } else { "false" });
}

/// Sets the labels of the name, the labels and the annotations of an object. `kind` is the part of
/// their names after the prefix.
pub(super) fn set_metadata(labels: &mut LabelSet, kind: &str, metadata: Metadata<'_>) {
    set(labels, &format!("{kind}_name"), metadata.name);
    set_pairs(labels, kind, metadata);
}

/// Sets the labels of the labels and the annotations of an object.
pub(super) fn set_pairs(labels: &mut LabelSet, kind: &str, metadata: Metadata<'_>) {
    for (part, pairs) in [("label", metadata.labels), ("annotation", metadata.annotations)] {
        for (name, value) in pairs {
            let name = sanitized(name);
            set(labels, &format!("{kind}_{part}_{name}"), value);
            set(labels, &format!("{kind}_{part}present_{name}"), "true");
        }
    }
}

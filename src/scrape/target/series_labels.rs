//! Labels of the target on its series.

use super::label_names::EXPORTED_PREFIX;
use crate::model::label_editor::LabelEditor;
use crate::model::labels::{Labels, METRIC_NAME};

/// Adds the labels of a target to those of an exposed series.
///
/// With `honor_labels`, an exposed label wins, even an empty one. Otherwise it gets the prefix
/// `exported_`, again until the name is free, shortest names first. An exposed label that is empty
/// is no conflict.
pub fn add_target_labels(labels: &mut LabelEditor, target: &Labels, honor_labels: bool) {
    if honor_labels {
        for (name, value) in target.iter() {
            if !labels.has(name) {
                labels.set(name, value);
            }
        }
        return;
    }
    let mut conflicts: Vec<(&str, String)> = Vec::new();
    for (name, value) in target.iter() {
        let exposed = labels.get(name);
        if !exposed.is_empty() {
            conflicts.push((name, exposed.to_owned()));
        }
        labels.set(name, value);
    }
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut free = format!("{EXPORTED_PREFIX}{name}");
        while !labels.get(&free).is_empty() {
            free.insert_str(0, EXPORTED_PREFIX);
        }
        labels.set(&free, &value);
    }
}

/// Makes `labels` those of a series of the scraper itself, such as `up`.
///
/// As in Prometheus, each label of the target removes an earlier one with its name and the prefix
/// `exported_`: a target with `exported_job` and `job` has series with `job` only.
pub fn report_labels(labels: &mut LabelEditor, metric_name: &str, target: &Labels) {
    labels.clear();
    labels.push(METRIC_NAME, metric_name);
    for (name, value) in target.iter() {
        let exported = format!("{EXPORTED_PREFIX}{name}");
        labels.remove(&exported);
        labels.set(name, value);
    }
}

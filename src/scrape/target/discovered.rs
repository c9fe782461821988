//! Labels of a target before relabeling.

use super::defaults::TargetDefaults;
use super::label_names::{
    ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, CONVERT_CLASSIC_HISTOGRAMS, JOB, METRICS_PATH, PARAM_PREFIX,
    SCHEME, SCRAPE_INTERVAL, SCRAPE_NATIVE_HISTOGRAMS, SCRAPE_TIMEOUT,
};
use crate::config::units::format_prometheus_duration;
use crate::model::label_editor::LabelEditor;
use std::collections::BTreeMap;

/// Makes `labels` those of a target before relabeling: its own ones, those of its group, and the
/// defaults of the job, in this order of precedence.
///
/// A label of the target hides the one of the group even if it is empty. A default applies to a
/// label that is absent or empty. Prometheus's order of the labels is random; this one is sorted,
/// so `labelmap` with several results for one name is deterministic.
pub fn discovered_labels(
    defaults: &TargetDefaults,
    group: &BTreeMap<String, String>,
    target: &BTreeMap<String, String>,
    labels: &mut LabelEditor,
) {
    labels.clear();
    let from_group = group.iter().filter(|(name, _)| !target.contains_key(*name));
    for (name, value) in target.iter().chain(from_group).filter(|(_, value)| !value.is_empty()) {
        labels.push(name, value);
    }
    let switch = |is_on: bool| if is_on { "true" } else { "false" };
    let (interval, timeout) = (
        format_prometheus_duration(defaults.interval),
        format_prometheus_duration(defaults.timeout),
    );
    for (name, value) in [
        (JOB, defaults.job.as_str()),
        (SCRAPE_INTERVAL, interval.as_str()),
        (SCRAPE_TIMEOUT, timeout.as_str()),
        (METRICS_PATH, defaults.metrics_path.as_str()),
        (SCHEME, defaults.scheme.as_str()),
        (CONVERT_CLASSIC_HISTOGRAMS, switch(defaults.convert_classic_histograms)),
        (ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, switch(defaults.always_scrape_classic_histograms)),
        (SCRAPE_NATIVE_HISTOGRAMS, switch(defaults.scrape_native_histograms)),
    ] {
        add_default(labels, name, value);
    }
    for (name, values) in &defaults.params {
        if let Some(first) = values.first() {
            add_default(labels, &format!("{PARAM_PREFIX}{name}"), first);
        }
    }
    labels.sort_initial();
}

fn add_default(labels: &mut LabelEditor, name: &str, value: &str) {
    if !value.is_empty() && !labels.has(name) {
        labels.push(name, value);
    }
}

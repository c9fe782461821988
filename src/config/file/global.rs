//! Section `global`: external labels, whose values may contain environment variables.

use crate::config::expand::{Variables, expand};
use crate::config::yaml::document::{Section, invalid};
use crate::config::yaml::error::ConfigProblem;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, HashMap};

/// Keys of Prometheus's section `global` that narthex does not support.
const UNSUPPORTED: [&str; 20] = [
    "scrape_interval",
    "scrape_timeout",
    "scrape_protocols",
    "scrape_native_histograms",
    "evaluation_interval",
    "rule_query_offset",
    "query_log_file",
    "scrape_failure_log_file",
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "extra_scrape_metrics",
];

/// Contents of the section `global`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GlobalSection {
    /// `external_labels` with expanded variables; a value may be empty.
    pub external_labels: BTreeMap<String, String>,
    /// Environment variables in the external labels that are unset or empty.
    pub empty_variables: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGlobal {
    /// As in Prometheus, null is an empty value.
    external_labels: Option<HashMap<Spanned<String>, Option<String>>>,
}

pub(super) fn parse(
    section: &Section<'_>,
    variables: Variables<'_>,
) -> Result<GlobalSection, ConfigProblem> {
    let keys = section.keys()?;
    if let Some(key) = keys.into_iter().find(|key| UNSUPPORTED.contains(&key.name.as_str())) {
        let message =
            format!("global.{} is not supported by this version of narthex; remove it", key.name);
        return Err(ConfigProblem::new(key.position, &message));
    }
    let raw: RawGlobal = section.read()?.unwrap_or_default();
    let mut labels: Vec<_> = raw.external_labels.unwrap_or_default().into_iter().collect();
    labels.sort_unstable_by(|(a, _), (b, _)| a.value.cmp(&b.value));
    let mut global = GlobalSection::default();
    for (name, value) in labels {
        if name.value.is_empty() {
            let message = "global.external_labels is invalid: \"\" is not a valid label name";
            return Err(invalid(&name, message.to_owned()));
        }
        let expanded = expand(&value.unwrap_or_default(), variables);
        global.empty_variables.extend(expanded.unset_variables);
        global.external_labels.insert(name.value, expanded.text);
    }
    Ok(global)
}

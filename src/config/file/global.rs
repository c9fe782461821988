//! Section `global`: external labels, whose values may contain environment variables, and defaults
//! of the jobs.

use crate::config::expand::expand;
use crate::config::file::context::Context;
use crate::config::file::discovery::static_groups;
use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::value::Value;
use crate::model::label_name::NameValidationScheme;
use std::collections::BTreeMap;

/// Keys of scraping. Without scraping, they are not supported.
const SCRAPE_KEYS: [&str; 17] = [
    "scrape_interval",
    "scrape_timeout",
    "scrape_protocols",
    "scrape_native_histograms",
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
    /// Defaults of all jobs.
    pub scrape: GlobalScrape,
}

pub(super) fn parse(section: &Value<'_>, context: &Context<'_>) -> GlobalSection {
    let Some(mut keys) = section.mapping() else { return GlobalSection::default() };
    let mut global = GlobalSection::default();
    if context.options.scraping {
        global.scrape = GlobalScrape::read(&mut keys);
    }
    external_labels(&mut keys, global.scrape.validation, context, &mut global);
    without_effect(&mut keys);
    keys.finish_except(|key| {
        let is_unsupported = SCRAPE_KEYS.contains(&key.name);
        if is_unsupported {
            key.unsupported("is not supported by this version of narthex; remove it");
        }
        is_unsupported
    });
    global
}

fn external_labels(
    keys: &mut Mapping<'_>,
    validation: NameValidationScheme,
    context: &Context<'_>,
    global: &mut GlobalSection,
) {
    let Some(labels) = keys.mapping("external_labels") else { return };
    for (name, _) in labels.entries() {
        if !validation.is_valid_label_name(name.name) {
            name.problem(format_args!("{:?} is not a valid label name", name.name));
        }
    }
    for (name, value) in static_groups::labels(labels.value()) {
        let expanded = expand(&value, context.variables);
        global.empty_variables.extend(expanded.unset_variables);
        global.external_labels.insert(name, expanded.text);
    }
}

/// Checks keys of rules and of the query log, and warns of them.
fn without_effect(keys: &mut Mapping<'_>) {
    for key in ["evaluation_interval", "rule_query_offset"] {
        if let Some(value) = keys.get(key)
            && value.duration().is_some()
        {
            value.warning("has no effect: narthex does not evaluate rules");
        }
    }
    if let Some(value) = keys.get("query_log_file")
        && value.string().is_some_and(|path| !path.is_empty())
    {
        value.warning("has no effect: narthex does not log queries");
    }
}

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
    let mut global = GlobalSection {
        scrape: GlobalScrape::with(context.options.features),
        ..GlobalSection::default()
    };
    let Some(mut keys) = section.mapping() else { return global };
    global.scrape = GlobalScrape::read(&mut keys, global.scrape);
    external_labels(&mut keys, global.scrape.validation, context, &mut global);
    without_effect(&mut keys);
    keys.finish();
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

//! Relabeling rules in YAML.

use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use crate::model::label_name::NameValidationScheme;
use crate::model::relabel::action::RelabelAction;
use crate::model::relabel::rule::{
    DEFAULT_REPLACEMENT, DEFAULT_SEPARATOR, RelabelRule, RelabelRuleConfig,
};

/// Maximum number of rules of a list.
const MAX_RULES: usize = 10_000;

/// Reads `relabel_configs` or `metric_relabel_configs`.
pub(super) fn rules(list: &[Value<'_>], scheme: NameValidationScheme) -> Vec<RelabelRule> {
    if let Some(rule) = list.get(MAX_RULES) {
        rule.problem(format_args!("a list may have at most {MAX_RULES} rules"));
        return Vec::new();
    }
    list.iter().filter_map(|value| rule(value, scheme)).collect()
}

fn rule(value: &Value<'_>, scheme: NameValidationScheme) -> Option<RelabelRule> {
    if value.is_null() {
        value.problem("must be a mapping, not null");
    }
    let mut keys = value.mapping()?;
    let rule = config(&mut keys).and_then(|config| {
        RelabelRule::new(config, scheme)
            .map_err(|error| match keys.get(error.key()) {
                Some(key) => key.problem(&error),
                // The mistake is that the key is missing.
                None => keys.value().problem(&error),
            })
            .ok()
    });
    keys.finish();
    rule
}

/// Reads the keys; `None` if one has a problem.
fn config(keys: &mut Mapping<'_>) -> Option<RelabelRuleConfig> {
    let action = keys.get("action").map(|value| {
        let name = value.string()?;
        name.parse::<RelabelAction>().map_err(|error| value.problem(error)).ok()
    });
    let modulus = keys.get("modulus").map(|value| value.unsigned());
    let target_label = keys.get("target_label").map(|value| value.string());
    let source_labels = keys.get("source_labels").filter(|value| !value.is_null());
    let source_labels = source_labels.map(|value| value.strings());
    let regex = keys.get("regex").filter(|value| !value.is_null()).map(|value| value.string());
    // Null is the empty text, not the default.
    let separator = keys.get("separator").map(|value| value.string());
    let replacement = keys.get("replacement").map(|value| value.string());
    let action = transpose(action)?.unwrap_or_default();
    let rejects_source = matches!(action, RelabelAction::LabelDrop | RelabelAction::LabelKeep);
    // A default that is written out equals a missing key, so that a reload restarts no job for it.
    Some(RelabelRuleConfig {
        source_labels: source_labels.filter(|labels| rejects_source || !labels.is_empty()),
        separator: transpose(separator)?.filter(|text| text != DEFAULT_SEPARATOR),
        regex: transpose(regex)?,
        modulus: transpose(modulus)?.unwrap_or_default(),
        target_label: transpose(target_label)?.unwrap_or_default(),
        replacement: transpose(replacement)?.filter(|text| text != DEFAULT_REPLACEMENT),
        action,
    })
}

/// Returns `None` for a key with a problem, `Some(None)` for a missing one.
fn transpose<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(value) => Some(value),
    }
}

/// Returns the rules of the effective configuration.
pub(super) fn effective(rules: &[RelabelRule]) -> Vec<YamlMapping> {
    let rule = |rule: &RelabelRule| {
        let config = rule.config();
        let mut mapping = YamlMapping::default();
        mapping.set_unless_zero("source_labels", rule.source_labels().to_vec());
        mapping.set("separator", rule.separator());
        if let Some(regex) = &config.regex {
            mapping.set("regex", regex.as_str());
        }
        mapping.set_unless_zero("modulus", rule.modulus());
        mapping.set_unless_zero("target_label", rule.target_label());
        mapping.set("replacement", rule.replacement());
        mapping.set("action", rule.action().name());
        mapping
    };
    rules.iter().map(rule).collect()
}

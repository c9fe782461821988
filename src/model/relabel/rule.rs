//! Relabeling rules: validation of the keys, and their compiled form.

use super::action::RelabelAction;
use super::error::RelabelRuleError;
use super::groups::{GroupRegex, MAX_GROUPS};
use super::template::{ParsedTemplate, Template};
use crate::model::label_name::NameValidationScheme;
use std::sync::Arc;

/// Default of the key `separator`.
pub const DEFAULT_SEPARATOR: &str = ";";
/// Default of the key `regex`.
pub const DEFAULT_REGEX: &str = "(.*)";
/// Default of the key `replacement`.
pub const DEFAULT_REPLACEMENT: &str = "$1";

/// Keys of a rule as they are configured. `None` means that the key is absent or null, which
/// differs from its default for actions that do not allow the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelabelRuleConfig {
    /// Labels whose values are joined to the source.
    pub source_labels: Option<Vec<String>>,
    /// Text between the values of the source labels.
    pub separator: Option<String>,
    /// Expression that must match the whole source, or the whole name of a label.
    pub regex: Option<String>,
    /// Divisor of `hashmod`; 0 = absent.
    pub modulus: u64,
    /// Label that is set or compared; a template for `replace`. Empty = absent.
    pub target_label: String,
    /// Template of the new value, or of the new name.
    pub replacement: Option<String>,
    /// Action of the rule.
    pub action: RelabelAction,
}

/// Validated, compiled rule. Clones share it.
#[derive(Debug, Clone)]
pub struct RelabelRule(Arc<Rule>);

#[derive(Debug)]
struct Rule {
    config: RelabelRuleConfig,
    scheme: NameValidationScheme,
    operation: Operation,
}

/// Action of a rule, with the settings that the action uses.
#[derive(Debug)]
pub(super) enum Operation {
    Replace { regex: GroupRegex, target: Template, replacement: Template },
    Keep(GroupRegex),
    Drop(GroupRegex),
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap { regex: GroupRegex, replacement: Template },
    LabelDrop(GroupRegex),
    LabelKeep(GroupRegex),
    Lowercase,
    Uppercase,
}

impl RelabelRule {
    /// Validates and compiles a rule.
    ///
    /// # Errors
    /// [`RelabelRuleError`] for a rule that Prometheus rejects, or whose expression is too large.
    pub fn new(
        config: RelabelRuleConfig,
        scheme: NameValidationScheme,
    ) -> Result<Self, RelabelRuleError> {
        validate(&config, scheme)?;
        let operation = compile(&config)?;
        Ok(Self(Arc::new(Rule { config, scheme, operation })))
    }

    /// Returns the keys as they were configured.
    #[must_use]
    pub fn config(&self) -> &RelabelRuleConfig {
        &self.0.config
    }

    /// Returns the action.
    #[must_use]
    pub fn action(&self) -> RelabelAction {
        self.0.config.action
    }

    /// Returns the source labels in the order in which their values are joined.
    #[must_use]
    pub fn source_labels(&self) -> &[String] {
        self.0.config.source_labels.as_deref().unwrap_or_default()
    }

    /// Returns the separator or its default.
    #[must_use]
    pub fn separator(&self) -> &str {
        self.0.config.separator.as_deref().unwrap_or(DEFAULT_SEPARATOR)
    }

    /// Returns the regular expression or its default.
    #[must_use]
    pub fn regex(&self) -> &str {
        self.0.config.regex.as_deref().unwrap_or(DEFAULT_REGEX)
    }

    /// Returns the replacement or its default.
    #[must_use]
    pub fn replacement(&self) -> &str {
        self.0.config.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT)
    }

    /// Returns the target label; empty for actions without one.
    #[must_use]
    pub fn target_label(&self) -> &str {
        &self.0.config.target_label
    }

    /// Returns the modulus; 0 if it is not set.
    #[must_use]
    pub fn modulus(&self) -> u64 {
        self.0.config.modulus
    }

    /// Returns the scheme that the names of target labels follow.
    #[must_use]
    pub fn scheme(&self) -> NameValidationScheme {
        self.0.scheme
    }

    pub(super) fn operation(&self) -> &Operation {
        &self.0.operation
    }
}

/// Rules are equal if their keys and schemes are.
impl PartialEq for RelabelRule {
    fn eq(&self, other: &Self) -> bool {
        self.0.config == other.0.config && self.0.scheme == other.0.scheme
    }
}

impl Eq for RelabelRule {}

fn validate(
    config: &RelabelRuleConfig,
    scheme: NameValidationScheme,
) -> Result<(), RelabelRuleError> {
    use RelabelAction::{
        DropEqual, HashMod, Keep, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace,
        Uppercase,
    };
    let RelabelRuleConfig { target_label, action, .. } = config;
    let action = *action;
    if config.source_labels.iter().flatten().any(String::is_empty) {
        return Err(RelabelRuleError::EmptySourceLabel);
    }
    match action {
        Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual => {
            if action == HashMod && config.modulus == 0 {
                return Err(RelabelRuleError::ZeroModulus);
            }
            if target_label.is_empty() {
                return Err(RelabelRuleError::NoTargetLabel { action });
            }
            let is_template = action == Replace && target_label.contains('$');
            let is_valid = if is_template {
                is_valid_template(target_label, scheme)
            } else {
                scheme.is_valid_label_name(target_label)
            };
            if !is_valid {
                let name = target_label.clone();
                return Err(RelabelRuleError::InvalidTargetLabel { name, action });
            }
        }
        LabelMap => {
            let replacement = config.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT);
            if !is_valid_template(replacement, scheme) {
                let replacement = replacement.to_owned();
                return Err(RelabelRuleError::InvalidReplacement { replacement, action });
            }
        }
        Keep | RelabelAction::Drop | LabelDrop | LabelKeep => {}
    }
    let is_replaced = config.replacement.as_deref().is_some_and(|r| r != DEFAULT_REPLACEMENT);
    let is_separated = config.separator.as_deref().is_some_and(|s| s != DEFAULT_SEPARATOR);
    if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) && is_replaced {
        return Err(RelabelRuleError::ExtraReplacement { action });
    }
    let (allowed, extra) = match action {
        KeepEqual | DropEqual => (
            "'source_labels' and 'target_label'",
            [
                ("regex", config.regex.is_some()),
                ("modulus", config.modulus != 0),
                ("separator", is_separated),
                ("replacement", is_replaced),
                ("", false),
            ],
        ),
        LabelDrop | LabelKeep => (
            "'regex'",
            [
                ("source_labels", config.source_labels.is_some()),
                ("target_label", !target_label.is_empty()),
                ("modulus", config.modulus != 0),
                ("separator", is_separated),
                ("replacement", is_replaced),
            ],
        ),
        _ => return Ok(()),
    };
    match extra.into_iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => Err(RelabelRuleError::ExtraKey { action, allowed, key }),
        None => Ok(()),
    }
}

/// Returns `true` if a template may form a label name. The legacy scheme allows `[a-zA-Z0-9_]` and
/// references to groups, and no digit at the start.
fn is_valid_template(template: &str, scheme: NameValidationScheme) -> bool {
    if scheme == NameValidationScheme::Utf8 {
        return scheme.is_valid_label_name(template);
    }
    let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mut parts = template.split('$');
    let before = parts.next().unwrap_or_default();
    let has_valid_start = !before.starts_with(|first: char| first.is_ascii_digit());
    let mut references = parts.peekable();
    (!before.is_empty() || references.peek().is_some())
        && has_valid_start
        && is_word(before)
        && references.all(|reference| match reference.strip_prefix('{') {
            Some(braced) => braced
                .split_once('}')
                .is_some_and(|(name, rest)| !name.is_empty() && is_word(name) && is_word(rest)),
            None => !reference.is_empty() && is_word(reference),
        })
}

fn compile(config: &RelabelRuleConfig) -> Result<Operation, RelabelRuleError> {
    let replacement = config.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT);
    Ok(match config.action {
        RelabelAction::Replace => {
            let target = ParsedTemplate::parse(&config.target_label);
            let replacement = ParsedTemplate::parse(replacement);
            let regex = compile_regex(config, Some(&target), Some(&replacement))?;
            Operation::Replace {
                target: target.resolve(&regex),
                replacement: replacement.resolve(&regex),
                regex,
            }
        }
        RelabelAction::LabelMap => {
            let replacement = ParsedTemplate::parse(replacement);
            let regex = compile_regex(config, None, Some(&replacement))?;
            Operation::LabelMap { replacement: replacement.resolve(&regex), regex }
        }
        RelabelAction::Keep => Operation::Keep(compile_regex(config, None, None)?),
        RelabelAction::Drop => Operation::Drop(compile_regex(config, None, None)?),
        RelabelAction::LabelDrop => Operation::LabelDrop(compile_regex(config, None, None)?),
        RelabelAction::LabelKeep => Operation::LabelKeep(compile_regex(config, None, None)?),
        action => {
            // Prometheus also rejects an invalid expression that the action does not use.
            compile_regex(config, None, None)?;
            match action {
                RelabelAction::KeepEqual => Operation::KeepEqual,
                RelabelAction::DropEqual => Operation::DropEqual,
                RelabelAction::HashMod => Operation::HashMod,
                RelabelAction::Lowercase => Operation::Lowercase,
                _ => Operation::Uppercase,
            }
        }
    })
}

/// Compiles the expression with the groups that the templates read.
fn compile_regex(
    config: &RelabelRuleConfig,
    target: Option<&ParsedTemplate>,
    replacement: Option<&ParsedTemplate>,
) -> Result<GroupRegex, RelabelRuleError> {
    let templates = [("target_label", target), ("replacement", replacement)];
    let mut names = Vec::new();
    for (key, template) in templates {
        for name in template.into_iter().flat_map(ParsedTemplate::groups) {
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() > MAX_GROUPS {
                return Err(RelabelRuleError::TooManyGroups { key, limit: MAX_GROUPS });
            }
        }
    }
    let Some(regex) = &config.regex else { return Ok(GroupRegex::whole_value()) };
    GroupRegex::new(regex, &names)
        .map_err(|source| RelabelRuleError::Regex { regex: regex.clone(), source })
}

//! Errors of creating and of applying rules.

use super::action::{RelabelAction, UnknownRelabelAction};
use crate::model::label_editor::{MAX_LABELS, MAX_TEXT};
use crate::model::matcher::error::MatcherError;

/// Error of creating a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelabelRuleError {
    /// No action has this name.
    #[error(transparent)]
    UnknownAction(#[from] UnknownRelabelAction),
    /// The regular expression is invalid or too large.
    #[error("invalid 'regex' {regex:?}: {source}")]
    Regex {
        /// Expression in the configuration.
        regex: String,
        /// Error of the expression.
        source: MatcherError,
    },
    /// The modulus of `hashmod` is absent or 0.
    #[error("hashmod action requires a non-zero 'modulus'")]
    ZeroModulus,
    /// The target label is absent or empty.
    #[error("{action} action requires 'target_label'")]
    NoTargetLabel {
        /// Action of the rule.
        action: RelabelAction,
    },
    /// The validation scheme does not allow the target label.
    #[error("{name:?} is invalid 'target_label' for {action} action")]
    InvalidTargetLabel {
        /// Target label in the configuration.
        name: String,
        /// Action of the rule.
        action: RelabelAction,
    },
    /// The validation scheme does not allow the replacement of `labelmap` as a name.
    #[error("{replacement:?} is invalid 'replacement' for {action} action")]
    InvalidReplacement {
        /// Replacement in the configuration.
        replacement: String,
        /// Action of the rule.
        action: RelabelAction,
    },
    /// A source label has no name.
    #[error("\"\" is not a valid label name in 'source_labels'")]
    EmptySourceLabel,
    /// The action does not use a key that is set.
    #[error("{action} action requires only {allowed}, and no '{key}'")]
    ExtraKey {
        /// Action of the rule.
        action: RelabelAction,
        /// Keys that the action uses, quoted.
        allowed: &'static str,
        /// Key that is set in addition.
        key: &'static str,
    },
    /// The replacement is set for an action without one.
    #[error("'replacement' cannot be set for {action} action")]
    ExtraReplacement {
        /// Action of the rule.
        action: RelabelAction,
    },
    /// The target label or the replacement reads too many groups.
    #[error("'{key}' reads more than {limit} groups of 'regex'")]
    TooManyGroups {
        /// Key of the template.
        key: &'static str,
        /// Maximum number of groups.
        limit: usize,
    },
}

impl RelabelRuleError {
    /// Returns the key of the rule that has the mistake, or that is missing.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::UnknownAction(_) => "action",
            Self::Regex { .. } => "regex",
            Self::ZeroModulus => "modulus",
            Self::NoTargetLabel { .. } | Self::InvalidTargetLabel { .. } => "target_label",
            Self::InvalidReplacement { .. } | Self::ExtraReplacement { .. } => "replacement",
            Self::EmptySourceLabel => "source_labels",
            Self::ExtraKey { key, .. } | Self::TooManyGroups { key, .. } => key,
        }
    }
}

/// Error of applying rules to a label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// `labelmap` formed an empty name. Prometheus creates the label.
    #[error("labelmap action of rule {rule} maps label {label:?} to an empty name")]
    EmptyLabelName {
        /// Position of the rule in the list, from 1.
        rule: usize,
        /// Name of the label that was mapped.
        label: String,
    },
    /// The label set became too large.
    #[error("label set exceeds {MAX_LABELS} labels or {MAX_TEXT} bytes in rule {rule}")]
    TooLarge {
        /// Position of the rule in the list, from 1.
        rule: usize,
    },
}

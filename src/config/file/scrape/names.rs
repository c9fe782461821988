//! Validation of names, and the escaping that a scrape requests for names outside of the legacy
//! scheme.

use crate::config::yaml::value::Value;
use crate::model::label_name::NameValidationScheme;

/// Escaping of names that a scrape requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EscapingScheme {
    /// No escaping.
    #[default]
    AllowUtf8,
    /// Invalid characters become `_`.
    Underscores,
    /// Dots become `_dot_`, `_` is doubled, other invalid characters become `__`.
    Dots,
    /// Invalid characters become their code points.
    Values,
}

impl EscapingScheme {
    const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    /// Returns the name in the configuration file and in the header `Accept`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// Returns the default under a validation scheme.
    pub(super) fn default_of(validation: NameValidationScheme) -> Self {
        match validation {
            NameValidationScheme::Legacy => Self::Underscores,
            NameValidationScheme::Utf8 => Self::AllowUtf8,
        }
    }
}

/// Reads `metric_name_validation_scheme`; `None` if it is empty.
pub(super) fn validation(value: &Value<'_>) -> Option<NameValidationScheme> {
    match value.string()?.as_str() {
        "" => None,
        "legacy" => Some(NameValidationScheme::Legacy),
        "utf8" => Some(NameValidationScheme::Utf8),
        other => {
            value.problem(format_args!("must be legacy or utf8, not {other:?}"));
            None
        }
    }
}

/// Reads `metric_name_escaping_scheme`; `None` if it is empty.
pub(super) fn escaping(value: &Value<'_>) -> Option<EscapingScheme> {
    let name = value.string()?;
    let scheme = EscapingScheme::ALL.into_iter().find(|scheme| scheme.as_str() == name);
    if scheme.is_none() && !name.is_empty() {
        let expected = "must be allow-utf-8, underscores, dots or values";
        value.problem(format_args!("{expected}, not {name:?}"));
    }
    scheme
}

/// Reports names in UTF-8 that the validation scheme rejects.
pub(super) fn check(
    escaping: &Value<'_>,
    scheme: EscapingScheme,
    validation: NameValidationScheme,
) {
    if scheme == EscapingScheme::AllowUtf8 && validation == NameValidationScheme::Legacy {
        escaping.problem("allow-utf-8 needs metric_name_validation_scheme: utf8");
    }
}

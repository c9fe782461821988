//! Validation schemes of label and metric names.

use crate::model::labels::is_legacy_name;
use std::fmt;
use std::str::FromStr;

/// Characters that label and metric names may have (`metric_name_validation_scheme`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameValidationScheme {
    /// Label names match `[a-zA-Z_][a-zA-Z0-9_]*`; metric names may also have `:`.
    Legacy,
    /// Names are any UTF-8 text except the empty one.
    #[default]
    Utf8,
}

/// Error of parsing a [`NameValidationScheme`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown name validation scheme {name:?}, expected legacy or utf8")]
pub struct UnknownNameValidationScheme {
    name: String,
}

impl NameValidationScheme {
    /// Returns `true` if a label may have this name.
    #[must_use]
    pub fn is_valid_label_name(self, name: &str) -> bool {
        match self {
            Self::Legacy => is_legacy_name(name),
            Self::Utf8 => !name.is_empty(),
        }
    }

    /// Returns `true` if a metric may have this name.
    #[must_use]
    pub fn is_valid_metric_name(self, name: &str) -> bool {
        match self {
            Self::Legacy => {
                !name.starts_with(|first: char| first.is_ascii_digit())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
                    && !name.is_empty()
            }
            Self::Utf8 => !name.is_empty(),
        }
    }
}

impl FromStr for NameValidationScheme {
    type Err = UnknownNameValidationScheme;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "legacy" => Ok(Self::Legacy),
            "utf8" => Ok(Self::Utf8),
            _ => Err(UnknownNameValidationScheme { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for NameValidationScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Utf8 => "utf8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::NameValidationScheme::{self, Legacy, Utf8};

    #[test]
    fn names_are_valid_by_scheme() {
        for (name, legacy_label, legacy_metric, utf8) in [
            ("up", true, true, true),
            ("_a9", true, true, true),
            ("a:b", false, true, true),
            (":a", false, true, true),
            ("9a", false, false, true),
            ("a.b", false, false, true),
            ("ü", false, false, true),
            (" ", false, false, true),
            ("", false, false, false),
        ] {
            assert_eq!(Legacy.is_valid_label_name(name), legacy_label, "{name:?}");
            assert_eq!(Legacy.is_valid_metric_name(name), legacy_metric, "{name:?}");
            assert_eq!(Utf8.is_valid_label_name(name), utf8, "{name:?}");
            assert_eq!(Utf8.is_valid_metric_name(name), utf8, "{name:?}");
        }
    }

    #[test]
    fn schemes_are_parsed_by_exact_name() {
        assert_eq!("legacy".parse(), Ok(Legacy));
        assert_eq!("utf8".parse(), Ok(Utf8));
        assert_eq!(format!("{Legacy} {Utf8}"), "legacy utf8");
        let error = "UTF8".parse::<NameValidationScheme>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown name validation scheme \"UTF8\", expected legacy or utf8"
        );
    }
}

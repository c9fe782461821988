//! Matchers: conditions on the value of one label, as in selectors and remote-read requests.
//!
//! An absent label counts as the empty value. Regular expressions follow Prometheus: RE2 syntax as
//! in Go (`re2` lists the differences from Rust), anchored to the whole value, and `.` matches
//! newlines.
//!
//! Matchers have no locks; clones are cheap and share the compiled expression. The size of an
//! expression is bounded when it is compiled. Matching takes time linear in the value and memory
//! independent of it.
//!
//! | module | contents |
//! |---|---|
//! | [`error`] | errors of parsing a matcher |
//! | `glob` | literals with gaps, matched without an automaton |
//! | `pattern` | compiled expression that matches whole values |
//! | `re2` | parser for the syntax of Go's `regexp` |
//! | `shape` | classification of an expression |

pub mod error;
mod glob;
pub(in crate::model) mod pattern;
pub(in crate::model) mod re2;
pub(in crate::model) mod shape;

use error::MatcherError;
use pattern::Pattern;

/// Comparison of a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchType {
    /// `=`: the value is equal.
    Equal,
    /// `!=`: the value is not equal.
    NotEqual,
    /// `=~`: the whole value matches the regular expression.
    Regex,
    /// `!~`: the whole value does not match the regular expression.
    NotRegex,
}

/// Condition on the value of one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    kind: MatchType,
    name: String,
    value: String,
    /// Compiled expression of the regex types; `None` = `value` is compared literally.
    pattern: Option<Pattern>,
    matches_empty: bool,
}

impl Matcher {
    /// Returns a matcher for the label `name`. For the two regex types, `value` is an expression.
    ///
    /// # Errors
    /// [`MatcherError`] for an expression that Prometheus rejects, or that is too large.
    pub fn new(
        kind: MatchType,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match kind {
            MatchType::Equal | MatchType::NotEqual => None,
            MatchType::Regex | MatchType::NotRegex => Some(Pattern::new(&value)?),
        };
        let mut matcher = Self { kind, name, value, pattern, matches_empty: false };
        matcher.matches_empty = matcher.matches("");
        Ok(matcher)
    }

    /// Returns a matcher for exactly one value of the label `name`.
    #[must_use]
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let matches_empty = value.is_empty();
        Self { kind: MatchType::Equal, name, value, pattern: None, matches_empty }
    }

    /// Returns the matcher `name=~".*"`, which every series satisfies.
    #[must_use]
    pub fn any(name: impl Into<String>) -> Self {
        Self {
            kind: MatchType::Regex,
            name: name.into(),
            value: ".*".to_owned(),
            pattern: Some(Pattern::any()),
            matches_empty: true,
        }
    }

    /// Returns the matcher `name!~".*"`, which no series satisfies.
    #[must_use]
    pub fn none(name: impl Into<String>) -> Self {
        Self { kind: MatchType::NotRegex, matches_empty: false, ..Self::any(name) }
    }

    /// Returns the kind of comparison.
    #[must_use]
    pub fn kind(&self) -> MatchType {
        self.kind
    }

    /// Returns the name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value or regular expression in its original form.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns `true` if the matcher accepts `value`, which is empty for an absent label.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.is_negative() != self.matches_pattern(value)
    }

    /// Returns `true` if the matcher accepts series without the label.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches_empty
    }

    /// Returns `true` for `!=` and `!~`.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        matches!(self.kind, MatchType::NotEqual | MatchType::NotRegex)
    }

    /// Returns the values of the pattern, sorted, if there are few enough to list: the values that
    /// `=` and `=~` accept or that `!=` and `!~` reject.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.pattern {
            None => Some(std::slice::from_ref(&self.value)),
            Some(pattern) => pattern.literal_set(),
        }
    }

    /// Returns the common prefix of all values that the expression matches; `None` if unknown.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.pattern.as_ref().and_then(Pattern::prefix)
    }

    /// Returns `true` if the expression matches every non-empty value (`.*`, `.+`).
    #[must_use]
    pub fn matches_every_nonempty(&self) -> bool {
        self.pattern.as_ref().is_some_and(Pattern::matches_every_nonempty)
    }

    /// Returns `true` if `value` matches the pattern, before negation.
    fn matches_pattern(&self, value: &str) -> bool {
        match &self.pattern {
            None => self.value == value,
            Some(pattern) => pattern.matches(value),
        }
    }
}

#[cfg(test)]
mod tests;

//! Matchers: conditions on the value of one label, as a selector or a remote-read request states them.
//!
//! A label that a series does not have counts as having the empty value. Regular expressions are those of
//! Prometheus: RE2 syntax as Go has it (`re2` lists where it differs from Rust's), matched against the whole value, `.` matching a newline too.
//!
//! Pure values without lock; cloning is cheap and clones share the compiled expression. Every expression is bounded in
//! size when it is made, and matching takes time linear in the value and memory that does not depend on it.

pub mod error;
mod glob;
mod pattern;
mod re2;
mod shape;

use error::MatcherError;
use pattern::Pattern;

/// How a matcher judges a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchType {
    /// `=`: the value is the given one.
    Equal,
    /// `!=`: the value is another one.
    NotEqual,
    /// `=~`: the whole value matches the regular expression.
    Regex,
    /// `!~`: the value as a whole does not match the regular expression.
    NotRegex,
}

/// A condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    kind: MatchType,
    name: String,
    value: String,
    /// Of the two regex kinds; `None` means that `value` stands for itself.
    pattern: Option<Pattern>,
    matches_empty: bool,
}

impl Matcher {
    /// A condition on the label `name`; `value` is a value or, for the two regex kinds, a regular expression.
    ///
    /// # Errors
    /// [`MatcherError`] for an expression that Prometheus would refuse, or that is too large.
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

    /// How a value is judged.
    #[must_use]
    pub fn kind(&self) -> MatchType {
        self.kind
    }

    /// The name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value or regular expression, as it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the condition holds for a label value; for an absent label ask with the empty string.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.is_negative() != self.matches_pattern(value)
    }

    /// Whether the condition holds for a series without the label.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches_empty
    }

    /// Whether this is `!=` or `!~`.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        matches!(self.kind, MatchType::NotEqual | MatchType::NotRegex)
    }

    /// The values that the value or expression stands for, sorted, where they are few enough to be listed: those
    /// that satisfy `=` and `=~`, and those that `!=` and `!~` exclude.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.pattern {
            None => Some(std::slice::from_ref(&self.value)),
            Some(pattern) => pattern.literal_set(),
        }
    }

    /// What every value begins with that the expression matches; `None` where nothing is known.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.pattern.as_ref().and_then(Pattern::prefix)
    }

    /// Whether the expression matches every value that is not empty (`.*`, `.+`).
    #[must_use]
    pub fn matches_every_nonempty(&self) -> bool {
        self.pattern.as_ref().is_some_and(Pattern::names_every_value)
    }

    /// Whether `value` is the given value or matches the expression, before a negation.
    fn matches_pattern(&self, value: &str) -> bool {
        match &self.pattern {
            None => self.value == value,
            Some(pattern) => pattern.matches(value),
        }
    }
}

#[cfg(test)]
mod tests;

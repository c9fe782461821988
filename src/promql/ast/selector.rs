//! Selectors of series: their matchers and time modifiers.

use crate::model::labels::METRIC_NAME;
use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};
use crate::promql::ast::duration::DurationValue;
use crate::promql::ast::string::StringValue;

/// Bytes with a meaning in regular expressions, other than `|`.
const REGEX_SYNTAX: &[u8] = b"\\.+*?()[]{}^$";

/// Selector of series, as in `up{job="node"} offset 5m`.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// Metric name in front of the braces; empty if there is none.
    pub name: Box<str>,
    /// Matchers; the last one is that of `name`, if there is one.
    pub matchers: Vec<LabelMatcher>,
    /// Shift of the evaluation time, into the past if positive.
    pub offset: DurationValue,
    /// Modifier `@`.
    pub at: Option<AtModifier>,
    /// Modifier that extends ranges.
    pub extension: Option<RangeExtension>,
}

/// Evaluation time that replaces the one of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtModifier {
    /// `@ 1762300800`: milliseconds since the Unix epoch.
    Timestamp(i64),
    /// `@ start()`: start of the query.
    Start,
    /// `@ end()`: end of the query.
    End,
}

/// Treatment of the edges of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeExtension {
    /// `anchored`: the sample before the range counts as one at its start.
    Anchored,
    /// `smoothed`: values at the edges are interpolated.
    Smoothed,
}

impl RangeExtension {
    /// Returns the modifier as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }
}

/// Matcher of a selector.
#[derive(Clone, Debug)]
pub struct LabelMatcher {
    matcher: Matcher,
    /// The matcher as it is written, if name or value are not UTF-8.
    written: Option<Box<WrittenMatcher>>,
}

/// Matcher whose name or value is not UTF-8.
#[derive(Clone, Debug, PartialEq)]
struct WrittenMatcher {
    kind: MatchType,
    name: StringValue,
    value: StringValue,
}

impl LabelMatcher {
    /// Returns a matcher. Names and values may have bytes that are not UTF-8, which no label has.
    ///
    /// # Errors
    /// [`MatcherError`] if the value must be a regular expression and is none.
    pub(crate) fn new(
        kind: MatchType,
        name: StringValue,
        value: StringValue,
    ) -> Result<Self, MatcherError> {
        let is_regex = matches!(kind, MatchType::Regex | MatchType::NotRegex);
        let accepts_all = match (name.as_str(), value.as_str()) {
            (Some(name), Some(value)) => {
                return Ok(Self { matcher: Matcher::new(kind, name, value)?, written: None });
            }
            (_, None) if is_regex => return Self::with_alternatives(kind, name, value),
            // No label has the value.
            (_, None) => kind == MatchType::NotEqual,
            // The label is always absent.
            (None, Some(value)) => Matcher::new(kind, METRIC_NAME, value)?.matches_empty(),
        };
        let constant = if accepts_all { Matcher::any } else { Matcher::none };
        let written = Some(Box::new(WrittenMatcher { kind, name, value }));
        Ok(Self { matcher: constant(METRIC_NAME), written })
    }

    /// Returns a regular expression whose value is not UTF-8, which must be a list of literals, as
    /// in Prometheus. Only those that are UTF-8 can match.
    fn with_alternatives(
        kind: MatchType,
        name: StringValue,
        value: StringValue,
    ) -> Result<Self, MatcherError> {
        if value.as_bytes().iter().any(|byte| REGEX_SYNTAX.contains(byte)) {
            return Err(MatcherError::invalid_utf8(value.as_bytes()));
        }
        let alternatives = value.as_bytes().split(|byte| *byte == b'|');
        let valid: Vec<&str> = alternatives.flat_map(std::str::from_utf8).collect();
        let is_positive = kind == MatchType::Regex;
        let matcher = match (name.as_str(), &*valid) {
            (Some(name), [_, ..]) => Matcher::new(kind, name, valid.join("|"))?,
            (Some(_), []) if is_positive => Matcher::none(METRIC_NAME),
            (None, _) if is_positive != valid.contains(&"") => Matcher::none(METRIC_NAME),
            _ => Matcher::any(METRIC_NAME),
        };
        Ok(Self { matcher, written: Some(Box::new(WrittenMatcher { kind, name, value })) })
    }

    /// Returns the matcher of a metric name.
    pub(crate) fn for_metric_name(name: &str) -> Self {
        Self { matcher: Matcher::equal(METRIC_NAME, name), written: None }
    }

    /// Returns the name of the label.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match &self.written {
            Some(written) => written.name.as_bytes(),
            None => self.matcher.name().as_bytes(),
        }
    }

    /// Returns the value or regular expression.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.written {
            Some(written) => written.value.as_bytes(),
            None => self.matcher.value().as_bytes(),
        }
    }

    /// Returns the kind of comparison.
    #[must_use]
    pub fn kind(&self) -> MatchType {
        self.written.as_ref().map_or(self.matcher.kind(), |written| written.kind)
    }

    /// Returns the compiled matcher. If name or value are not UTF-8, it has others with the same
    /// result for every series.
    #[must_use]
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }
}

impl PartialEq for LabelMatcher {
    fn eq(&self, other: &Self) -> bool {
        (self.kind(), self.name(), self.value()) == (other.kind(), other.name(), other.value())
    }
}

#[cfg(test)]
mod tests {
    use super::LabelMatcher;
    use crate::model::matcher::MatchType::{Equal, NotEqual, NotRegex, Regex};
    use crate::promql::ast::string::StringValue;

    #[test]
    fn matcher_that_is_not_utf8_is_constant() {
        for (kind, name, value, accepts_all) in [
            (Equal, &b"a"[..], &b"\xff"[..], false),
            (NotEqual, b"a", b"\xff", true),
            (Equal, b"\xff", b"x", false),
            (Equal, b"\xff", b"", true),
            (NotEqual, b"\xff", b"x", true),
            (Regex, b"\xff", b"x|", true),
            (NotRegex, b"\xff", b"x|", false),
            (Regex, b"a", b"\xff|\xfe", false),
            (NotRegex, b"a", b"\xff", true),
            (Regex, b"\xff", b"\xff|", true),
            (NotRegex, b"\xff", b"\xff|", false),
        ] {
            let matcher =
                LabelMatcher::new(kind, StringValue::from(name), StringValue::from(value))
                    .expect("a valid matcher");
            assert_eq!((matcher.kind(), matcher.name(), matcher.value()), (kind, name, value));
            for found in ["", "x", "\u{fffd}"] {
                assert_eq!(matcher.matcher().matches(found), accepts_all, "{kind:?} {name:?}");
            }
        }
    }

    #[test]
    fn regex_that_is_not_utf8_must_be_a_list_of_literals() {
        let new = |value: &[u8]| LabelMatcher::new(Regex, "a".into(), value.into());
        let matcher = new(b"b|\xff|c").expect("a list of literals");
        let accepted = ["b", "c", "", "\u{fffd}"].map(|value| matcher.matcher().matches(value));
        assert_eq!(accepted, [true, true, false, false]);
        let error = new(b"b.\xff").expect_err("not a list of literals");
        assert_eq!(error.to_string(), "error parsing regexp: invalid UTF-8: `\u{fffd}`");
    }
}

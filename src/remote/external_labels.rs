//! External labels: what tells this server's series from those of others, as `global.external_labels` of the configuration names them.
//!
//! They are not stored. A read gets them with each series, and may ask for them as if they were there. Source: Prometheus's
//! `storage/remote/read_handler.go` and `MergeLabels` of its `codec.go`. A value; a clone shares its bytes.

use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder};
use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};

/// The labels; there may be none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalLabels(Option<Labels>);

impl ExternalLabels {
    /// The labels of these names and values. An empty value means that the label is absent.
    ///
    /// # Errors
    /// [`BuildLabelsError`] for an empty or repeated name.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BuildLabelsError> {
        match pairs.into_iter().collect::<LabelsBuilder<'a>>().build() {
            Ok(labels) => Ok(Self(Some(labels))),
            Err(BuildLabelsError::Empty) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }

    /// The labels; `None` where there are none.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.0.as_ref()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(Labels::iter)
    }

    /// The matchers for what is stored: one that asks for an external label by its very value asks for series without that label.
    ///
    /// # Errors
    /// None that could happen: an empty value is always a matcher.
    pub fn strip(&self, matchers: Vec<Matcher>) -> Result<Vec<Matcher>, MatcherError> {
        let Some(labels) = &self.0 else { return Ok(matchers) };
        let strip = |matcher: Matcher| match labels.get(matcher.name()) {
            Some(value) if matcher.kind() == MatchType::Equal && matcher.value() == value => {
                Matcher::new(MatchType::Equal, matcher.name(), "")
            }
            _ => Ok(matcher),
        };
        matchers.into_iter().map(strip).collect()
    }

    /// A series' labels with these; its own stand where both have one of the same name.
    #[must_use]
    pub fn add(&self, series: &Labels) -> Labels {
        let Some(labels) = &self.0 else { return series.clone() };
        let added = labels.iter().filter(|(name, _)| series.get(name).is_none());
        let merged = series.iter().chain(added).collect::<LabelsBuilder<'_>>().build();
        merged.unwrap_or_else(|_| series.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::ExternalLabels;
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::model::matcher::MatchType::{Equal, NotEqual, Regex};
    use crate::model::matcher::{MatchType, Matcher};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    fn external() -> ExternalLabels {
        ExternalLabels::new([("region", "eu"), ("cluster", "a"), ("blank", "")]).unwrap()
    }

    #[test]
    fn a_series_gets_what_it_does_not_have() {
        assert_eq!(
            external().add(&labels(&[("__name__", "up"), ("region", "us"), ("zone", "z")])),
            labels(&[("__name__", "up"), ("cluster", "a"), ("region", "us"), ("zone", "z")])
        );
        let series = labels(&[("a", "b")]);
        assert_eq!(ExternalLabels::default().add(&series), series);
        assert_eq!(ExternalLabels::new([("blank", "")]), Ok(ExternalLabels::default()));
        assert!(ExternalLabels::new([("", "x")]).is_err());
    }

    #[test]
    fn only_a_matcher_for_the_very_value_asks_for_absence() {
        let stripped = |kind: MatchType, name: &str, value: &str| {
            let matchers =
                external().strip(vec![Matcher::new(kind, name, value).unwrap()]).unwrap();
            (matchers[0].kind(), matchers[0].value().to_owned())
        };
        assert_eq!(stripped(Equal, "region", "eu"), (Equal, String::new()));
        assert_eq!(stripped(Equal, "region", "us"), (Equal, "us".to_owned()));
        assert_eq!(stripped(NotEqual, "region", "eu"), (NotEqual, "eu".to_owned()));
        assert_eq!(stripped(Regex, "region", "eu"), (Regex, "eu".to_owned()));
        assert_eq!(stripped(Equal, "job", "eu"), (Equal, "eu".to_owned()));
    }
}

//! External labels: `global.external_labels` of the configuration.
//!
//! They distinguish the series of this server from those of others. They are not stored; a read
//! adds them to every series and may select by them.
//!
//! Source: `storage/remote/read_handler.go` and `MergeLabels` in `storage/remote/codec.go` of
//! Prometheus.

use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder};
use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};

/// Set of external labels, possibly empty. A clone shares its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalLabels(Option<Labels>);

impl ExternalLabels {
    /// Creates the set from names and values. A label with an empty value is left out.
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

    /// Returns the labels, or `None` if there are none.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.0.as_ref()
    }

    /// Returns names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(Labels::iter)
    }

    /// Returns the matchers for the stored series.
    ///
    /// An equality matcher for an external label with its exact value becomes a matcher for series
    /// without that label; all others are unchanged.
    ///
    /// # Errors
    /// None in practice: an equality matcher with an empty value is always valid.
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

    /// Returns the labels of `series` with the external ones added. A label of the series wins over
    /// an external label of the same name.
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
    fn series_gets_only_missing_labels() {
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
    fn only_equality_with_exact_value_is_stripped() {
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

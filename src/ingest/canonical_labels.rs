//! Canonical labels: the label set of a series, in whatever order and encoding it was sent.
//!
//! Only series whose label bytes the head does not know get here. A check that holds for known
//! series, too, belongs to the passes over samples and exemplars.

use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::request_series::RequestSeries;
use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder, METRIC_NAME};

/// Error of the labels of a series. `E` is the error of strings that the protocol cannot resolve.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SeriesLabelsError<E> {
    #[error("{0}")]
    NotASet(BuildLabelsError),
    #[error("{0}")]
    Unresolved(E),
    #[error("no metric name")]
    NoMetricName,
    #[error("{0}")]
    OverLimit(OverLimit),
}

/// Canonical label set of a series.
#[derive(Debug)]
pub(crate) struct CanonicalLabels {
    pub(crate) labels: Labels,
    /// First limit in a dry run that the labels exceed.
    pub(crate) over_dry_run: Option<OverLimit>,
}

impl LabelLimits {
    /// Returns the first limit that labels exceed. `labels` starts to iterate over them.
    pub(crate) fn exceeded_by<'l, I>(&self, labels: impl Fn() -> I) -> Option<OverLimit>
    where
        I: Iterator<Item = (&'l str, &'l str)>,
    {
        let over = |limit, value: usize, max: usize| {
            (value > max).then_some(OverLimit { limit, value: value as u64, max: max as u64 })
        };
        let count = over(DataLimit::Labels, labels().count(), self.count);
        count.or_else(|| {
            labels().find_map(|(name, value)| {
                over(DataLimit::LabelNameSize, name.len(), self.name_bytes)
                    .or_else(|| over(DataLimit::LabelValueSize, value.len(), self.value_bytes))
            })
        })
    }
}

/// Returns the canonical label set of a series.
///
/// # Errors
/// [`SeriesLabelsError`] if the labels do not name a series or exceed a limit.
pub(crate) fn canonical_labels<S: RequestSeries>(
    series: &S,
    limits: &IngestLimits,
) -> Result<CanonicalLabels, SeriesLabelsError<S::StringError>> {
    if let Some(error) = series.label_error() {
        return Err(SeriesLabelsError::Unresolved(error));
    }
    if let Some(over) = limits.labels.exceeded_by(|| series.labels()) {
        return Err(SeriesLabelsError::OverLimit(over));
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in series.labels() {
        builder.add(name, value);
    }
    let labels = builder.build().map_err(SeriesLabelsError::NotASet)?;
    if labels.get(METRIC_NAME).is_none() {
        Err(SeriesLabelsError::NoMetricName)
    } else {
        let over_dry_run = limits.dry_run.labels.exceeded_by(|| series.labels());
        Ok(CanonicalLabels { labels, over_dry_run })
    }
}

#[cfg(test)]
mod tests {
    use super::{SeriesLabelsError, canonical_labels};
    use crate::ingest::data_limit::{DataLimit, OverLimit};
    use crate::ingest::limits::{DryRunLimits, IngestLimits, LabelLimits};
    use crate::ingest::metadata::MetadataLimits;
    use crate::ingest::test_series::TestSeries;
    use crate::model::labels::BuildLabelsError;

    const LIMITS: IngestLimits = IngestLimits {
        labels: LabelLimits { count: 3, name_bytes: 8, value_bytes: 5 },
        metadata: MetadataLimits { name_bytes: 5, text_bytes: 5 },
        max_future_ms: 0,
        dry_run: DryRunLimits {
            labels: LabelLimits { count: 2, name_bytes: 8, value_bytes: 3 },
            ..DryRunLimits::NONE
        },
    };

    fn error_of(labels: &[(&'static str, &'static str)]) -> SeriesLabelsError<&'static str> {
        canonical_labels(&TestSeries::new(labels), &LIMITS).unwrap_err()
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_dropped() {
        let sent = TestSeries::new(&[("job", "a"), ("__name__", "up"), ("blank", "")]);
        let canonical = canonical_labels(&sent, &LIMITS).unwrap();
        assert_eq!(canonical.labels.to_string(), "{__name__=\"up\", job=\"a\"}");
    }

    #[test]
    fn labels_that_name_no_series_are_rejected() {
        assert_eq!(error_of(&[("job", "a")]), SeriesLabelsError::NoMetricName);
        assert_eq!(error_of(&[]), SeriesLabelsError::NotASet(BuildLabelsError::Empty));
        let repeated = error_of(&[("__name__", "up"), ("job", "a"), ("job", "b")]);
        assert!(matches!(repeated, SeriesLabelsError::NotASet(_)), "{repeated:?}");
        let unresolved =
            TestSeries { label_error: Some("odd"), ..TestSeries::new(&[("__name__", "up")]) };
        let error = canonical_labels(&unresolved, &LIMITS).unwrap_err();
        assert_eq!(error.to_string(), "odd");
    }

    #[test]
    fn labels_over_a_limit_are_rejected() {
        let four = [("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "3")];
        let over =
            |limit, value, max| SeriesLabelsError::OverLimit(OverLimit { limit, value, max });
        assert_eq!(error_of(&four), over(DataLimit::Labels, 4, 3));
        let long_name = [("__name__", "up"), ("longer_na", "1")];
        assert_eq!(error_of(&long_name), over(DataLimit::LabelNameSize, 9, 8));
        assert_eq!(error_of(&[("a", "longer")]), over(DataLimit::LabelValueSize, 6, 5));
    }

    #[test]
    fn labels_over_a_limit_in_a_dry_run_are_returned() {
        let exceeded = |labels: &[(&'static str, &'static str)]| {
            canonical_labels(&TestSeries::new(labels), &LIMITS).unwrap().over_dry_run
        };
        assert_eq!(exceeded(&[("__name__", "up"), ("a", "123")]), None);
        let over = |limit, value, max| Some(OverLimit { limit, value, max });
        let three = [("__name__", "up"), ("a", "1234"), ("b", "2")];
        assert_eq!(exceeded(&three), over(DataLimit::Labels, 3, 2));
        assert_eq!(exceeded(&three[..2]), over(DataLimit::LabelValueSize, 4, 3));
    }
}

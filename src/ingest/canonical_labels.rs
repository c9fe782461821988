//! Canonical labels: the label set of a series, in whatever order and encoding it was sent.
//!
//! Only series whose label bytes the head does not know get here. A check that holds for known
//! series, too, belongs to the passes over samples and exemplars.

use crate::ingest::limits::LabelLimits;
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
    #[error("{0} labels, the limit is {1}")]
    TooMany(usize, usize),
    #[error("label name of {0} bytes, the limit is {1}")]
    LongName(usize, usize),
    #[error("label value of {0} bytes, the limit is {1}")]
    LongValue(usize, usize),
}

/// Returns the canonical label set of a series.
///
/// # Errors
/// [`SeriesLabelsError`] if the labels do not name a series or exceed a limit.
pub(crate) fn canonical_labels<S: RequestSeries>(
    series: &S,
    limits: &LabelLimits,
) -> Result<Labels, SeriesLabelsError<S::StringError>> {
    if let Some(error) = series.label_error() {
        return Err(SeriesLabelsError::Unresolved(error));
    }
    let count = series.labels().count();
    if count > limits.count {
        return Err(SeriesLabelsError::TooMany(count, limits.count));
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in series.labels() {
        if name.len() > limits.name_bytes {
            return Err(SeriesLabelsError::LongName(name.len(), limits.name_bytes));
        }
        if value.len() > limits.value_bytes {
            return Err(SeriesLabelsError::LongValue(value.len(), limits.value_bytes));
        }
        builder.add(name, value);
    }
    let labels = builder.build().map_err(SeriesLabelsError::NotASet)?;
    if labels.get(METRIC_NAME).is_none() {
        Err(SeriesLabelsError::NoMetricName)
    } else {
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::{SeriesLabelsError, canonical_labels};
    use crate::ingest::limits::LabelLimits;
    use crate::ingest::test_series::TestSeries;
    use crate::model::labels::BuildLabelsError;

    const LIMITS: LabelLimits = LabelLimits { count: 3, name_bytes: 8, value_bytes: 5 };

    fn error_of(labels: &[(&'static str, &'static str)]) -> SeriesLabelsError<&'static str> {
        canonical_labels(&TestSeries::new(labels), &LIMITS).unwrap_err()
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_dropped() {
        let sent = TestSeries::new(&[("job", "a"), ("__name__", "up"), ("blank", "")]);
        let labels = canonical_labels(&sent, &LIMITS).unwrap();
        assert_eq!(labels.to_string(), "{__name__=\"up\", job=\"a\"}");
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
        assert_eq!(error_of(&four), SeriesLabelsError::TooMany(4, 3));
        assert_eq!(error_of(&[("longer_na", "1")]), SeriesLabelsError::LongName(9, 8));
        assert_eq!(error_of(&[("a", "longer")]), SeriesLabelsError::LongValue(6, 5));
    }
}

//! Limits of the labels of a series, which fail the whole scrape.

use crate::model::labels::{Labels, METRIC_NAME};
use std::fmt;

/// Maximum number of characters of a name or value in an error.
const SHOWN_CHARS: usize = 50;

/// Limits of the labels of a series, those of the target included. 0 = unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesLabelLimits {
    /// Maximum number of labels (`label_limit`).
    pub count: u64,
    /// Maximum length of a name, bytes (`label_name_length_limit`).
    pub name_length: u64,
    /// Maximum length of a value, bytes (`label_value_length_limit`).
    pub value_length: u64,
}

/// Label set over a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLabelLimit {
    metric: String,
    kind: LimitKind,
    /// Number of labels, or length in bytes.
    value: u64,
    limit: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LimitKind {
    Count,
    NameLength { name: String },
    ValueLength { name: String, value: String },
}

impl SeriesLabelLimits {
    /// Checks the labels of a series.
    ///
    /// # Errors
    /// [`OverLabelLimit`] for the first limit that they exceed.
    pub fn check(&self, labels: &Labels) -> Result<(), OverLabelLimit> {
        let over = |kind, value, limit| {
            let metric = shorten(labels.get(METRIC_NAME).unwrap_or_default());
            Err(OverLabelLimit { metric, kind, value, limit })
        };
        let exceeds = |value: u64, limit: u64| limit > 0 && value > limit;
        if self.count > 0 && exceeds(labels.len() as u64, self.count) {
            return over(LimitKind::Count, labels.len() as u64, self.count);
        }
        if self.name_length == 0 && self.value_length == 0 {
            return Ok(());
        }
        for (name, value) in labels.iter() {
            if exceeds(name.len() as u64, self.name_length) {
                let kind = LimitKind::NameLength { name: shorten(name) };
                return over(kind, name.len() as u64, self.name_length);
            }
            if exceeds(value.len() as u64, self.value_length) {
                let kind = LimitKind::ValueLength { name: shorten(name), value: shorten(value) };
                return over(kind, value.len() as u64, self.value_length);
            }
        }
        Ok(())
    }
}

/// Prometheus's text, which dashboards and alerts may search for.
impl fmt::Display for OverLabelLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, kind, value: size, limit } = self;
        match kind {
            LimitKind::Count => write!(
                f,
                "label_limit exceeded (metric: {metric}, number of labels: {size}, limit: {limit})"
            ),
            LimitKind::NameLength { name } => write!(
                f,
                "label_name_length_limit exceeded (metric: {metric}, label name: {name}, \
                 length: {size}, limit: {limit})"
            ),
            LimitKind::ValueLength { name, value } => write!(
                f,
                "label_value_length_limit exceeded (metric: {metric}, label name: {name}, \
                 value: {value:?}, length: {size}, limit: {limit})"
            ),
        }
    }
}

impl std::error::Error for OverLabelLimit {}

fn shorten(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::SeriesLabelLimits;
    use crate::model::labels::LabelsBuilder;

    #[test]
    fn limits_are_inclusive_and_named() {
        let pairs = [("__name__", "a"), ("job", "j"), ("x", "üüüüüüüü")];
        let labels = pairs.into_iter().collect::<LabelsBuilder<'_>>().build().unwrap();
        let check = |count, name_length, value_length| {
            let limits = SeriesLabelLimits { count, name_length, value_length };
            limits.check(&labels).map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        for (limits, expected) in [
            ((0, 0, 0), ""),
            ((3, 8, 16), ""),
            ((2, 0, 0), "label_limit exceeded (metric: a, number of labels: 3, limit: 2)"),
            (
                (3, 7, 1),
                "label_name_length_limit exceeded (metric: a, label name: __name__, length: 8, \
                 limit: 7)",
            ),
            (
                (3, 0, 15),
                "label_value_length_limit exceeded (metric: a, label name: x, \
                 value: \"üüüüüüüü\", length: 16, limit: 15)",
            ),
        ] {
            assert_eq!(check(limits.0, limits.1, limits.2), expected);
        }
    }
}

//! Rejected items of a request: counts by reason, and the first few series by name.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use std::cell::Cell;
use std::fmt;

/// Maximum number of series that are named.
const NAMED_SERIES: usize = 5;
/// Maximum length of the text for one series, bytes.
const NAME_BYTES: usize = 300;

/// Rejected items of one kind and series.
///
/// Closures share it, hence the cells. It allocates nothing.
#[derive(Debug)]
pub(crate) struct SeriesRejections {
    kind: ItemKind,
    counts: [Cell<u64>; RejectReason::ALL.len()],
    first: Cell<Option<FirstRejection>>,
    newest: Cell<Option<i64>>,
}

#[derive(Debug, Clone, Copy)]
struct FirstRejection {
    reason: RejectReason,
    t: i64,
    cause: Option<HistogramError>,
}

impl SeriesRejections {
    /// Creates an empty set for items of `kind`.
    pub(crate) fn new(kind: ItemKind) -> Self {
        Self { kind, counts: Default::default(), first: Cell::default(), newest: Cell::default() }
    }

    /// Returns the kind of the items.
    pub(crate) fn kind(&self) -> ItemKind {
        self.kind
    }

    /// Counts a rejected item at `t`.
    pub(crate) fn record(&self, reason: RejectReason, t: i64) {
        self.record_first(FirstRejection { reason, t, cause: None });
    }

    /// Counts an invalid histogram.
    pub(crate) fn record_histogram(&self, bad: InvalidItem<HistogramError>) {
        self.record_first(FirstRejection {
            reason: RejectReason::InvalidHistogram,
            t: bad.t,
            cause: Some(bad.reason),
        });
    }

    /// Returns `true` if `t` is at most `latest`. A later `t` is counted as rejected.
    #[inline]
    pub(crate) fn accept_timestamp(&self, t: i64, latest: i64) -> bool {
        self.newest.set(self.newest.get().max(Some(t)));
        if t > latest {
            self.record(RejectReason::TooFarAhead, t);
        }
        t <= latest
    }

    /// Returns the newest timestamp passed to [`SeriesRejections::accept_timestamp`], ms.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.newest.get()
    }

    fn record_first(&self, rejection: FirstRejection) {
        let count = &self.counts[rejection.reason as usize];
        count.set(count.get() + 1);
        if self.first.get().is_none() {
            self.first.set(Some(rejection));
        }
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(Cell::get).sum()
    }
}

/// Formats the first rejection: `out of order, timestamp 5`; other kinds come first: `exemplar …`.
impl fmt::Display for SeriesRejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(FirstRejection { reason, t, cause }) = self.first.get() else { return Ok(()) };
        match (self.kind, cause) {
            (ItemKind::Sample, _) => write!(f, "{reason}, timestamp {t}"),
            (_, Some(cause)) => write!(f, "{reason}: {cause}, timestamp {t}"),
            (kind, None) => write!(f, "{kind} {reason}, timestamp {t}"),
        }
    }
}

/// Rejected items of a request.
#[derive(Debug, Default, Clone)]
pub struct Rejections {
    /// Counts by kind and reason.
    counts: [[u64; RejectReason::ALL.len()]; ItemKind::ALL.len()],
    named: Vec<String>,
    series: u64,
}

impl Rejections {
    /// Returns `true` if nothing was rejected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// Returns the number of items of any kind rejected for this reason.
    #[must_use]
    pub fn count(&self, reason: RejectReason) -> u64 {
        ItemKind::ALL.into_iter().map(|kind| self.count_of(kind, reason)).sum()
    }

    /// Returns the number of items of one kind rejected for this reason.
    #[must_use]
    pub fn count_of(&self, kind: ItemKind, reason: RejectReason) -> u64 {
        self.counts[kind as usize][reason as usize]
    }

    /// Returns the first few series with rejected items, each with the reason.
    #[must_use]
    pub fn first_series(&self) -> &[String] {
        &self.named
    }

    /// Adds the rejections of one series. Returns their number.
    pub(crate) fn add_series<'a>(
        &mut self,
        rejections: &SeriesRejections,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u64 {
        if rejections.first.get().is_none() {
            return 0;
        }
        for (total, count) in
            self.counts[rejections.kind as usize].iter_mut().zip(&rejections.counts)
        {
            *total += count.get();
        }
        self.name(labels, rejections);
        rejections.total()
    }

    /// Counts items of one kind and series that share a reason.
    pub(crate) fn add_all<'a>(
        &mut self,
        items: RejectedItems<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        self.counts[items.kind as usize][items.reason as usize] += items.count;
        self.name(labels, items.detail);
    }

    fn name<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        detail: &dyn fmt::Display,
    ) {
        self.series += 1;
        if self.named.len() < NAMED_SERIES {
            self.named.push(format!("{} ({detail})", describe(labels)));
        }
    }
}

/// Items of one series that are rejected together.
pub(crate) struct RejectedItems<'a> {
    pub(crate) kind: ItemKind,
    pub(crate) reason: RejectReason,
    pub(crate) count: u64,
    /// Details of the reason, for the response.
    pub(crate) detail: &'a dyn fmt::Display,
}

/// Formats all counts and the named series:
/// `2 out of order, 3 out of order (exemplars); {…} (out of order, timestamp 5); …`
impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (kind, suffix) in [
            (ItemKind::Sample, ""),
            (ItemKind::Histogram, " (histograms)"),
            (ItemKind::Exemplar, " (exemplars)"),
            (ItemKind::Metadata, ""),
        ] {
            for reason in RejectReason::ALL {
                match self.count_of(kind, reason) {
                    0 => continue,
                    count => write!(f, "{separator}{count} {reason}{suffix}")?,
                }
                separator = ", ";
            }
        }
        for name in &self.named {
            write!(f, "; {name}")?;
        }
        match self.series.saturating_sub(self.named.len() as u64) {
            0 => Ok(()),
            others => write!(f, "; and {others} more series"),
        }
    }
}

/// Formats labels as they were sent, valid or not, and truncates long ones.
fn describe<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("{");
    for (name, value) in labels {
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(truncate(name));
        text.push_str(&format!("={:?}", truncate(value)));
        if text.len() > NAME_BYTES {
            text.truncate(truncation_index(&text));
            text.push('…');
            return text;
        }
    }
    text.push('}');
    text
}

fn truncate(text: &str) -> &str {
    &text[..truncation_index(text)]
}

/// Returns the last character boundary within [`NAME_BYTES`].
fn truncation_index(text: &str) -> usize {
    text.floor_char_boundary(NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{
        ItemKind, NAME_BYTES, NAMED_SERIES, RejectReason, RejectedItems, Rejections,
        SeriesRejections, describe,
    };
    use crate::ingest::item_error::InvalidItem;
    use crate::model::histogram::validate::InvalidHistogram;

    #[test]
    fn rejections_are_counted_and_name_first_series() {
        let mut rejections = Rejections::default();
        assert!(rejections.is_empty());
        let labels = || [("__name__", "up"), ("job", "a\"b")].into_iter();
        let floats = SeriesRejections::new(ItemKind::Sample);
        floats.record(RejectReason::OutOfOrder, 5);
        floats.record(RejectReason::DuplicateTimestamp, 7);
        assert_eq!(rejections.add_series(&floats, labels()), 2);
        let histograms = SeriesRejections::new(ItemKind::Histogram);
        histograms
            .record_histogram(InvalidItem { t: 9, reason: InvalidHistogram::Schema(99).into() });
        assert_eq!(rejections.add_series(&histograms, [].into_iter()), 1);
        let exemplars = SeriesRejections::new(ItemKind::Exemplar);
        assert!(exemplars.accept_timestamp(11, 11) && !exemplars.accept_timestamp(12, 11));
        assert_eq!(rejections.add_series(&exemplars, [].into_iter()), 1);
        assert_eq!(
            rejections.to_string(),
            "1 out of order, 1 duplicate timestamp with another value, \
             1 invalid histogram (histograms), \
             1 too far in the future (exemplars); \
             {__name__=\"up\", job=\"a\\\"b\"} (out of order, timestamp 5); \
             {} (invalid histogram: schema 99 is not known \
             (exponential ones are -4 to 8, custom buckets have -53), timestamp 9); \
             {} (exemplar too far in the future, timestamp 12)"
        );
        for _ in 0..10 {
            let bad = RejectedItems {
                kind: ItemKind::Histogram,
                reason: RejectReason::BadLabels,
                count: 2,
                detail: &"no labels",
            };
            rejections.add_all(bad, labels());
        }
        assert_eq!(
            (
                rejections.count(RejectReason::BadLabels),
                rejections.count_of(ItemKind::Sample, RejectReason::BadLabels)
            ),
            (20, 0)
        );
        assert_eq!(rejections.first_series().len(), NAMED_SERIES);
        assert!(rejections.to_string().ends_with("; and 8 more series"), "{rejections}");
    }

    #[test]
    fn long_series_name_is_truncated() {
        let long = "é".repeat(1 << 20);
        let text = describe([("a", long.as_str()), (long.as_str(), "b")].into_iter());
        assert!(text.len() <= NAME_BYTES + 4, "{}", text.len());
        assert!(text.starts_with("{a=\"é") && text.ends_with('…'));
    }
}

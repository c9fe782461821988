//! Rejected items of a request: counts by reason, and the first few series by name.

use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::named_series::describe;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::timestamp_bound::TimestampBound;
use std::cell::Cell;
use std::fmt;

/// Maximum number of series in the text.
const NAMED_SERIES: usize = 5;

/// Rejected items of one kind and series.
///
/// Closures share it, hence the cells. It allocates nothing.
#[derive(Debug)]
pub(crate) struct SeriesRejections {
    kind: ItemKind,
    counts: [Cell<u64>; RejectReason::ALL.len()],
    first: Cell<Option<FirstRejection>>,
    newest: Cell<Option<i64>>,
    /// Number of items over the time limit in a dry run.
    ahead: Cell<u64>,
    /// Timestamp of the first of them, ms.
    first_ahead: Cell<i64>,
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
        Self {
            kind,
            counts: Default::default(),
            first: Cell::default(),
            newest: Cell::default(),
            ahead: Cell::default(),
            first_ahead: Cell::default(),
        }
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

    /// Returns `true` if a timestamp is accepted. Otherwise counts it as rejected.
    #[inline]
    pub(crate) fn accept_timestamp(&self, t: i64, bound: TimestampBound) -> bool {
        self.newest.set(self.newest.get().max(Some(t)));
        t <= bound.latest || self.accept_ahead(t, bound)
    }

    /// Decides on a timestamp over the limit, which may be in a dry run.
    #[cold]
    fn accept_ahead(&self, t: i64, bound: TimestampBound) -> bool {
        if t > bound.latest_accepted {
            self.record(RejectReason::TooFarAhead, t);
            return false;
        }
        if self.ahead.get() == 0 {
            self.first_ahead.set(t);
        }
        self.ahead.set(self.ahead.get() + 1);
        true
    }

    /// Returns the first item over the time limit in a dry run, and the number of them.
    pub(crate) fn ahead(&self, bound: &TimestampBound) -> Option<(OverLimit, u64)> {
        let count = self.ahead.get();
        let over = OverLimit {
            limit: DataLimit::MaxFuture,
            value: self.first_ahead.get().abs_diff(bound.now),
            max: bound.latest.abs_diff(bound.now),
        };
        (count > 0).then_some((over, count))
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
    /// The first few series, then one for each reason that these do not have or explain.
    named: Vec<NamedSeries>,
    /// Set of the reasons of all named series.
    named_reasons: ReasonSet,
    /// Set of the reasons of their details.
    detailed_reasons: ReasonSet,
    series: u64,
}

/// Series with rejected items.
#[derive(Debug, Clone)]
pub struct NamedSeries {
    /// Labels as they were sent, truncated.
    pub series: String,
    /// Description of the first rejection.
    pub detail: String,
    /// Reason of the first rejection.
    detail_reason: RejectReason,
    reasons: ReasonSet,
}

impl NamedSeries {
    /// Returns the series and its detail, which is empty unless it is about this reason.
    pub(crate) fn explain(&self, reason: RejectReason) -> (&str, &str) {
        (&self.series, if self.detail_reason == reason { &self.detail } else { "" })
    }
}

/// Bit set of reasons.
type ReasonSet = u16;

fn reason_bit(reason: RejectReason) -> ReasonSet {
    1 << reason as u16
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

    /// Returns the first few series with rejected items.
    pub fn first_series(&self) -> impl Iterator<Item = &NamedSeries> {
        self.named.iter().take(NAMED_SERIES)
    }

    /// Returns a series with items rejected for this reason, if possible as its first rejection.
    #[must_use]
    pub fn example(&self, reason: RejectReason) -> Option<&NamedSeries> {
        let first = self.named.iter().find(|named| named.detail_reason == reason);
        first.or_else(|| self.named.iter().find(|named| named.reasons & reason_bit(reason) != 0))
    }

    /// Adds the rejections of one series. Returns their number.
    pub(crate) fn add_series<'a>(
        &mut self,
        rejections: &SeriesRejections,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u64 {
        let Some(first) = rejections.first.get() else { return 0 };
        for (total, count) in
            self.counts[rejections.kind as usize].iter_mut().zip(&rejections.counts)
        {
            *total += count.get();
        }
        let reasons = RejectReason::ALL.into_iter();
        let reasons = reasons.filter(|reason| rejections.counts[*reason as usize].get() > 0);
        let reasons = reasons.map(reason_bit).fold(0, |set, bit| set | bit);
        self.name(labels, reasons, first.reason, rejections);
        rejections.total()
    }

    /// Counts items of one kind and series that share a reason.
    pub(crate) fn add_all<'a>(
        &mut self,
        items: RejectedItems<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        self.counts[items.kind as usize][items.reason as usize] += items.count;
        self.name(labels, reason_bit(items.reason), items.reason, items.detail);
    }

    fn name<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        reasons: ReasonSet,
        detail_reason: RejectReason,
        detail: &dyn fmt::Display,
    ) {
        self.series += 1;
        let is_new = reasons & !self.named_reasons != 0
            || reason_bit(detail_reason) & !self.detailed_reasons != 0;
        if self.named.len() < NAMED_SERIES || is_new {
            self.named_reasons |= reasons;
            self.detailed_reasons |= reason_bit(detail_reason);
            self.named.push(NamedSeries {
                series: describe(labels),
                detail: detail.to_string(),
                detail_reason,
                reasons,
            });
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
        for named in self.first_series() {
            write!(f, "; {named}")?;
        }
        match self.series.saturating_sub(NAMED_SERIES as u64) {
            0 => Ok(()),
            others => write!(f, "; and {others} more series"),
        }
    }
}

/// Formats the series with its detail: `{…} (out of order, timestamp 5)`.
impl fmt::Display for NamedSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { series, detail, .. } = self;
        write!(f, "{series} ({detail})")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ItemKind, NAMED_SERIES, RejectReason, RejectedItems, Rejections, SeriesRejections,
    };
    use crate::ingest::item_error::InvalidItem;
    use crate::ingest::timestamp_bound::TimestampBound;
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
        let bound = TimestampBound { now: 1, latest: 11, latest_accepted: 11 };
        assert!(exemplars.accept_timestamp(11, bound) && !exemplars.accept_timestamp(12, bound));
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
        assert_eq!(rejections.first_series().count(), NAMED_SERIES);
        assert!(rejections.to_string().ends_with("; and 8 more series"), "{rejections}");
    }

    #[test]
    fn every_reason_has_an_example() {
        let mut rejections = Rejections::default();
        let add = |rejections: &mut Rejections, name: &'static str, reasons: &[RejectReason]| {
            let series = SeriesRejections::new(ItemKind::Sample);
            reasons.iter().for_each(|reason| series.record(*reason, 1));
            rejections.add_series(&series, [("__name__", name)].into_iter());
        };
        for _ in 0..10 {
            add(&mut rejections, "first", &[RejectReason::OutOfOrder, RejectReason::TooOld]);
        }
        add(&mut rejections, "late", &[RejectReason::OutOfOrder, RejectReason::SeriesLimit]);
        let name = |rejections: &Rejections, reason| {
            let named = rejections.example(reason)?;
            Some((named.series.clone(), named.detail_reason == reason))
        };
        let expected_name = |name: &str| format!("{{__name__=\"{name}\"}}");
        for (reason, expected) in [
            (RejectReason::OutOfOrder, Some((expected_name("first"), true))),
            (RejectReason::TooOld, Some((expected_name("first"), false))),
            (RejectReason::SeriesLimit, Some((expected_name("late"), false))),
            (RejectReason::Metadata, None),
        ] {
            assert_eq!(name(&rejections, reason), expected, "{reason:?}");
        }
        assert_eq!(rejections.first_series().count(), NAMED_SERIES);
        assert!(rejections.to_string().ends_with("; and 6 more series"), "{rejections}");
        assert_eq!(rejections.named.len(), NAMED_SERIES + 1);
        for _ in 0..10 {
            add(&mut rejections, "own", &[RejectReason::SeriesLimit]);
        }
        let found = name(&rejections, RejectReason::SeriesLimit);
        assert_eq!(found, Some((expected_name("own"), true)));
        assert_eq!(rejections.named.len(), NAMED_SERIES + 2);
    }
}

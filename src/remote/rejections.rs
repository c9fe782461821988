//! What of a request was not stored, and why: counts by reason and the first few series by name.

use crate::remote::histogram::{HistogramError, RejectedHistogram};
use crate::remote::reject_reason::{ItemKind, RejectReason};
use std::cell::Cell;
use std::fmt;

/// How many series are named.
const NAMED_SERIES: usize = 5;
/// Longest text for one of them, bytes.
const NAME_BYTES: usize = 300;

/// What of one kind of one series was refused. Shared between closures, therefore cells; costs nothing where nothing is refused.
#[derive(Debug)]
pub(crate) struct SeriesRejections {
    kind: ItemKind,
    counts: [Cell<u64>; RejectReason::ALL.len()],
    first: Cell<Option<FirstRejection>>,
    newest: Cell<Option<i64>>,
}

/// The first refusal.
#[derive(Debug, Clone, Copy)]
struct FirstRejection {
    reason: RejectReason,
    t: i64,
    cause: Option<HistogramError>,
}

impl SeriesRejections {
    /// None yet, of things of this kind.
    pub(crate) fn new(kind: ItemKind) -> Self {
        Self { kind, counts: Default::default(), first: Cell::default(), newest: Cell::default() }
    }

    /// What they are of.
    pub(crate) fn kind(&self) -> ItemKind {
        self.kind
    }

    /// Counts a thing at `t`.
    pub(crate) fn record(&self, reason: RejectReason, t: i64) {
        self.record_first(FirstRejection { reason, t, cause: None });
    }

    /// Counts a histogram that is none.
    pub(crate) fn record_histogram(&self, bad: RejectedHistogram) {
        self.record_first(FirstRejection {
            reason: RejectReason::InvalidHistogram,
            t: bad.t,
            cause: Some(bad.reason),
        });
    }

    /// Whether `t` is not after `latest`; it is counted where it is.
    #[inline]
    pub(crate) fn accept_timestamp(&self, t: i64, latest: i64) -> bool {
        self.newest.set(self.newest.get().max(Some(t)));
        if t > latest {
            self.record(RejectReason::TooFarAhead, t);
        }
        t <= latest
    }

    /// The newest of the times that were looked at.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.newest.get()
    }

    fn record_first(&self, found: FirstRejection) {
        let count = &self.counts[found.reason as usize];
        count.set(count.get() + 1);
        if self.first.get().is_none() {
            self.first.set(Some(found));
        }
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(Cell::get).sum()
    }
}

/// `out of order, timestamp 5` or `exemplar out of order, timestamp 5`
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

/// What of a request was refused.
#[derive(Debug, Default, Clone)]
pub struct Rejections {
    /// By kind and reason.
    counts: [[u64; RejectReason::ALL.len()]; ItemKind::ALL.len()],
    named: Vec<String>,
    series: u64,
}

impl Rejections {
    /// Whether everything was stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// How many things of any kind were refused for this reason.
    #[must_use]
    pub fn count(&self, reason: RejectReason) -> u64 {
        ItemKind::ALL.into_iter().map(|kind| self.count_of(kind, reason)).sum()
    }

    /// How many things of one kind were.
    #[must_use]
    pub fn count_of(&self, kind: ItemKind, reason: RejectReason) -> u64 {
        self.counts[kind as usize][reason as usize]
    }

    /// The first few series of which something was refused, each with the reason.
    #[must_use]
    pub fn first_series(&self) -> &[String] {
        &self.named
    }

    /// Takes over what was refused of one series; says how many things that were.
    pub(crate) fn add_series<'a>(
        &mut self,
        refused: &SeriesRejections,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u64 {
        if refused.first.get().is_none() {
            return 0;
        }
        for (total, count) in self.counts[refused.kind as usize].iter_mut().zip(&refused.counts) {
            *total += count.get();
        }
        self.name(labels, refused);
        refused.total()
    }

    /// Counts `count` things of one kind and series, all for one reason.
    pub(crate) fn add_all<'a>(
        &mut self,
        things: RejectedItems<'_>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        self.counts[things.kind as usize][things.reason as usize] += things.count;
        self.name(labels, things.detail);
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

/// Things that are refused together.
pub(crate) struct RejectedItems<'a> {
    pub(crate) kind: ItemKind,
    pub(crate) reason: RejectReason,
    pub(crate) count: u64,
    /// The reason in more words.
    pub(crate) detail: &'a dyn fmt::Display,
}

/// `2 out of order, 1 invalid labels, 3 out of order (exemplars); {…} (out of order, timestamp 5); …`
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

/// Labels as they were sent, also where they are no label set, cut where they are long.
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

/// The last place up to the longest length at which a text may be cut.
fn truncation_index(text: &str) -> usize {
    text.floor_char_boundary(NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{
        ItemKind, NAME_BYTES, NAMED_SERIES, RejectReason, RejectedItems, Rejections,
        SeriesRejections, describe,
    };
    use crate::model::histogram::validate::InvalidHistogram;
    use crate::remote::histogram::RejectedHistogram;

    #[test]
    fn refusals_are_counted_by_reason_and_name_the_first_series() {
        let mut refusals = Rejections::default();
        assert!(refusals.is_empty());
        let labels = || [("__name__", "up"), ("job", "a\"b")].into_iter();
        let floats = SeriesRejections::new(ItemKind::Sample);
        floats.record(RejectReason::OutOfOrder, 5);
        floats.record(RejectReason::DuplicateTimestamp, 7);
        assert_eq!(refusals.add_series(&floats, labels()), 2);
        let histograms = SeriesRejections::new(ItemKind::Histogram);
        histograms.record_histogram(RejectedHistogram {
            t: 9,
            reason: InvalidHistogram::Schema(99).into(),
        });
        assert_eq!(refusals.add_series(&histograms, [].into_iter()), 1);
        let exemplars = SeriesRejections::new(ItemKind::Exemplar);
        assert!(exemplars.accept_timestamp(11, 11) && !exemplars.accept_timestamp(12, 11));
        assert_eq!(refusals.add_series(&exemplars, [].into_iter()), 1);
        assert_eq!(
            refusals.to_string(),
            "1 out of order, 1 duplicate timestamp with another value, 1 invalid histogram (histograms), \
             1 too far in the future (exemplars); \
             {__name__=\"up\", job=\"a\\\"b\"} (out of order, timestamp 5); \
             {} (invalid histogram: schema 99 is not known (exponential ones are -4 to 8, custom buckets have -53), timestamp 9); \
             {} (exemplar too far in the future, timestamp 12)"
        );
        for _ in 0..10 {
            let bad = RejectedItems {
                kind: ItemKind::Histogram,
                reason: RejectReason::BadLabels,
                count: 2,
                detail: &"no labels",
            };
            refusals.add_all(bad, labels());
        }
        assert_eq!(
            (
                refusals.count(RejectReason::BadLabels),
                refusals.count_of(ItemKind::Sample, RejectReason::BadLabels)
            ),
            (20, 0)
        );
        assert_eq!(refusals.first_series().len(), NAMED_SERIES);
        assert!(refusals.to_string().ends_with("; and 8 more series"), "{refusals}");
    }

    #[test]
    fn a_long_name_is_cut() {
        let long = "é".repeat(1 << 20);
        let text = describe([("a", long.as_str()), (long.as_str(), "b")].into_iter());
        assert!(text.len() <= NAME_BYTES + 4, "{}", text.len());
        assert!(text.starts_with("{a=\"é") && text.ends_with('…'));
    }
}

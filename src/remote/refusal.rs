//! What of a request was not stored, and why: counts by reason and the first few series by name.

use crate::tsdb::head::append::Rejection;
use std::cell::Cell;
use std::fmt;

/// How many series are named.
const NAMED_SERIES: usize = 5;
/// Longest text for one of them, bytes.
const NAME_BYTES: usize = 300;

/// Why something was not stored, and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Older than the newest sample of its series.
    OutOfOrder,
    /// Older than anything that is still taken.
    OutOfBounds,
    /// Older than the out-of-order window.
    TooOld,
    /// Another value is stored at that time.
    DuplicateTimestamp,
    /// Too far ahead of the clock.
    TooFarAhead,
    /// The labels don't name a series, or are over a limit.
    BadLabels,
    /// The series would be one too many.
    SeriesLimit,
    /// A native histogram.
    Histogram,
    /// An exemplar.
    Exemplar,
    /// What is said of a metric family: too long, or of too many.
    Metadata,
}

impl Reason {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 10] = [
        Self::OutOfOrder,
        Self::OutOfBounds,
        Self::TooOld,
        Self::DuplicateTimestamp,
        Self::TooFarAhead,
        Self::BadLabels,
        Self::SeriesLimit,
        Self::Histogram,
        Self::Exemplar,
        Self::Metadata,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::OutOfBounds => "out_of_bounds",
            Self::TooOld => "too_old",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::TooFarAhead => "too_far_in_future",
            Self::BadLabels => "invalid_labels",
            Self::SeriesLimit => "series_limit",
            Self::Histogram => "native_histogram",
            Self::Exemplar => "exemplar",
            Self::Metadata => "metadata",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "out of order",
            Self::OutOfBounds => "out of bounds",
            Self::TooOld => "too old",
            Self::DuplicateTimestamp => "duplicate timestamp with another value",
            Self::TooFarAhead => "too far in the future",
            Self::BadLabels => "invalid labels",
            Self::SeriesLimit => "over the limit of active series",
            Self::Histogram => "native histograms are not stored by this version",
            Self::Exemplar => "exemplars are not stored by this version",
            Self::Metadata => "entries of metadata",
        })
    }
}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::DuplicateTimestamp => Self::DuplicateTimestamp,
            Rejection::OutOfOrder => Self::OutOfOrder,
            Rejection::OutOfBounds => Self::OutOfBounds,
            Rejection::TooOld => Self::TooOld,
        }
    }
}

/// What of one series was refused. Shared between closures, therefore cells; costs nothing where nothing is refused.
#[derive(Debug, Default)]
pub(crate) struct SeriesRefusals {
    counts: [Cell<u64>; Reason::ALL.len()],
    first: Cell<Option<(Reason, i64)>>,
}

impl SeriesRefusals {
    /// Counts a sample at `t`.
    pub(crate) fn note(&self, reason: Reason, t: i64) {
        let count = &self.counts[reason as usize];
        count.set(count.get() + 1);
        if self.first.get().is_none() {
            self.first.set(Some((reason, t)));
        }
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(Cell::get).sum()
    }
}

/// What of a request was refused.
#[derive(Debug, Default, Clone)]
pub struct Refusals {
    counts: [u64; Reason::ALL.len()],
    named: Vec<String>,
    series: u64,
}

impl Refusals {
    /// Whether everything was stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// How many samples, histograms and exemplars were refused for this reason.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize]
    }

    /// The first few series of which something was refused, each with the reason.
    #[must_use]
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// Takes over what was refused of one series; says how many samples that were.
    pub(crate) fn add_series<'a>(
        &mut self,
        refused: &SeriesRefusals,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u64 {
        let Some((reason, t)) = refused.first.get() else {
            return 0;
        };
        for (total, count) in self.counts.iter_mut().zip(&refused.counts) {
            *total += count.get();
        }
        self.name(labels, &format_args!("{reason}, timestamp {t}"));
        refused.total()
    }

    /// Counts `count` things of one series, all for one reason.
    pub(crate) fn add<'a>(
        &mut self,
        reason: Reason,
        count: u64,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        detail: &dyn fmt::Display,
    ) {
        self.counts[reason as usize] += count;
        self.name(labels, detail);
    }

    fn name<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>, detail: &dyn fmt::Display) {
        self.series += 1;
        if self.named.len() < NAMED_SERIES {
            self.named.push(format!("{} ({detail})", describe(labels)));
        }
    }
}

/// `2 out of order, 1 invalid labels; {…} (out of order, timestamp 5); …`
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for reason in Reason::ALL {
            match self.count(reason) {
                0 => {}
                count => {
                    write!(f, "{separator}{count} {reason}")?;
                    separator = ", ";
                }
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
        text.push_str(cut(name));
        text.push_str(&format!("={:?}", cut(value)));
        if text.len() > NAME_BYTES {
            text.truncate(cut_at(&text));
            text.push('…');
            return text;
        }
    }
    text.push('}');
    text
}

fn cut(text: &str) -> &str {
    &text[..cut_at(text)]
}

/// The last place up to the longest length at which a text may be cut.
fn cut_at(text: &str) -> usize {
    text.floor_char_boundary(NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{NAME_BYTES, NAMED_SERIES, Reason, Refusals, SeriesRefusals, describe};

    #[test]
    fn refusals_are_counted_by_reason_and_name_the_first_series() {
        let mut refusals = Refusals::default();
        assert!(refusals.is_empty());
        let labels = || [("__name__", "up"), ("job", "a\"b")].into_iter();
        let series = SeriesRefusals::default();
        series.note(Reason::OutOfOrder, 5);
        series.note(Reason::DuplicateTimestamp, 7);
        assert_eq!(refusals.add_series(&series, labels()), 2);
        refusals.add(Reason::Histogram, 3, labels(), &Reason::Histogram);
        assert_eq!(
            refusals.to_string(),
            "1 out of order, 1 duplicate timestamp with another value, 3 native histograms are not stored by this version; \
             {__name__=\"up\", job=\"a\\\"b\"} (out of order, timestamp 5); \
             {__name__=\"up\", job=\"a\\\"b\"} (native histograms are not stored by this version)"
        );
        for _ in 0..10 {
            refusals.add(Reason::BadLabels, 1, labels(), &"no labels");
        }
        assert_eq!(refusals.named().len(), NAMED_SERIES);
        assert!(refusals.to_string().ends_with("; and 7 more series"), "{refusals}");
    }

    #[test]
    fn a_long_name_is_cut() {
        let long = "é".repeat(1 << 20);
        let text = describe([("a", long.as_str()), (long.as_str(), "b")].into_iter());
        assert!(text.len() <= NAME_BYTES + 4, "{}", text.len());
        assert!(text.starts_with("{a=\"é") && text.ends_with('…'));
    }
}

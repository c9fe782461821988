//! The newest exemplars of all series: single observations that point at a trace. In memory as a ring of bounded size, in the log, and
//! in the snapshot of the head; never in blocks.
//!
//! | file        | what                                              |
//! |-------------|---------------------------------------------------|
//! | `ring`    | what is taken, what goes, how it is found         |
//!
//! Exemplars come in by [`crate::tsdb::head::append`] and from the replay, and stay until newer ones need their place, also when their
//! series has left the head.
//!
//! Lock: one of its own around the ring. Nothing else is locked while it is held, and no matcher is tried; it is taken under a series' mutex,
//! so that the log has the exemplars of a series in the order of the ring.

mod ring;

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::head::exemplars::ring::{ExemplarRing, RingAddOutcome};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many exemplars are kept where nobody says otherwise.
pub const DEFAULT_MAX_EXEMPLARS: usize = 100_000;

/// Names and values of an exemplar's labels together have at most so many characters.
///
/// Source: OpenMetrics 1.0, "Exemplars"; `model/exemplar/exemplar.go` of Prometheus, which counts code points.
pub const MAX_LABEL_CHARACTERS: usize = 128;

/// Series whose exemplars are copied while the ring is locked once.
const SERIES_AT_ONCE: usize = 256;

/// How exemplars are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExemplarOptions {
    /// The newest so many are kept; 0: none is taken.
    pub max: usize,
    /// One that is less than that behind the newest of its series is taken late, ms.
    pub out_of_order_window_ms: i64,
}

/// Why an exemplar is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum ExemplarRejection {
    /// There is no series with these labels: its samples come first.
    #[error("exemplar of a series that is not known")]
    UnknownSeries,
    /// Too far behind the newest exemplar of its series.
    #[error("out of order exemplar")]
    OutOfOrder,
    /// The labels are longer than they may be.
    #[error("label length for exemplar exceeds maximum of {MAX_LABEL_CHARACTERS} UTF-8 characters")]
    LabelsTooLong,
    /// No exemplars are kept. Whoever sends them need not hear of it.
    #[error("exemplar storage is disabled")]
    Disabled,
}

/// What a stored exemplar is to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOutcome {
    /// It is new.
    Added,
    /// It was there before, and in the log.
    Duplicate,
}

/// The exemplars of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// By time.
    pub exemplars: Vec<Exemplar>,
}

/// An exemplar and the series that it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplar {
    /// The series.
    pub labels: Labels,
    /// The exemplar.
    pub exemplar: Exemplar,
}

/// What there is at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExemplarCounts {
    /// Exemplars.
    pub exemplars: usize,
    /// Series that have some.
    pub series: usize,
    /// How many there can be.
    pub max: usize,
    /// Time of the one that came first, ms.
    pub oldest_time: Option<i64>,
}

/// The exemplars of the head.
#[derive(Debug)]
pub struct ExemplarStorage {
    ring: RwLock<ExemplarRing>,
    appended: AtomicU64,
    out_of_order: AtomicU64,
}

impl Default for ExemplarStorage {
    fn default() -> Self {
        let exemplars = Self {
            ring: RwLock::default(),
            appended: AtomicU64::new(0),
            out_of_order: AtomicU64::new(0),
        };
        exemplars
            .configure(ExemplarOptions { max: DEFAULT_MAX_EXEMPLARS, out_of_order_window_ms: 0 });
        exemplars
    }
}

impl ExemplarStorage {
    /// Keeps exemplars so from now on; where there are too many, the newest arrivals stay.
    pub fn configure(&self, options: ExemplarOptions) {
        self.ring.write().configure(options.max, options.out_of_order_window_ms);
    }

    /// Adds an exemplar of the series with these labels.
    ///
    /// # Errors
    /// [`ExemplarRejection`] where it is not stored.
    pub fn add(
        &self,
        series: &Labels,
        exemplar: &Exemplar,
    ) -> Result<AddOutcome, ExemplarRejection> {
        if !labels_fit(exemplar) {
            return Err(ExemplarRejection::LabelsTooLong);
        }
        let added = self.ring.write().add(series, exemplar);
        match added {
            RingAddOutcome::Stored => {
                self.appended.fetch_add(1, Ordering::Relaxed);
                Ok(AddOutcome::Added)
            }
            RingAddOutcome::AlreadyStored => Ok(AddOutcome::Duplicate),
            RingAddOutcome::OutOfOrder => {
                self.out_of_order.fetch_add(1, Ordering::Relaxed);
                Err(ExemplarRejection::OutOfOrder)
            }
            RingAddOutcome::Disabled => Err(ExemplarRejection::Disabled),
        }
    }

    /// The exemplars in `range` of every series that satisfies all matchers of one of `selectors`, series sorted by labels.
    #[must_use]
    pub fn select(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<SeriesExemplars> {
        let mut series = self.ring.read().series_in(range);
        series.retain(|labels| selectors.iter().any(|matchers| satisfies(labels, matchers)));
        series.sort_unstable();
        let mut found = Vec::new();
        for some in series.chunks(SERIES_AT_ONCE) {
            let ring = self.ring.read();
            let all = some.iter().map(|labels| {
                let exemplars = ring.select_series(labels, range);
                SeriesExemplars { labels: labels.clone(), exemplars }
            });
            found.extend(all.filter(|series| !series.exemplars.is_empty()));
        }
        found
    }

    /// Everything, in the order in which it came.
    #[must_use]
    pub fn in_arrival_order(&self) -> Vec<SeriesExemplar> {
        let slots = self.ring.read().arrivals();
        slots
            .into_iter()
            .map(|slot| SeriesExemplar { labels: slot.series, exemplar: slot.exemplar })
            .collect()
    }

    /// What there is now.
    #[must_use]
    pub fn counts(&self) -> ExemplarCounts {
        let ring = self.ring.read();
        ExemplarCounts {
            exemplars: ring.len(),
            series: ring.series_count(),
            max: ring.capacity(),
            oldest_time: ring.oldest().map(|slot| slot.exemplar.t),
        }
    }

    /// How many were ever added, replays included.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// How many were refused as out of order.
    #[must_use]
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order.load(Ordering::Relaxed)
    }
}

fn labels_fit(exemplar: &Exemplar) -> bool {
    let Some(labels) = &exemplar.labels else { return true };
    // A character has at least one byte: mostly nothing is counted.
    labels.as_bytes().len() <= MAX_LABEL_CHARACTERS
        || labels
            .iter()
            .map(|(name, value)| name.chars().count() + value.chars().count())
            .sum::<usize>()
            <= MAX_LABEL_CHARACTERS
}

fn satisfies(series: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(series.get(matcher.name()).unwrap_or_default()))
}

#[cfg(test)]
mod tests;

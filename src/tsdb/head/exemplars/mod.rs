//! Storage of the newest exemplars of all series: a ring of bounded size in memory, also in the WAL
//! and in chunk snapshots, never in blocks.
//!
//! | module | content                                        |
//! |--------|------------------------------------------------|
//! | `ring` | acceptance, eviction and lookup of exemplars   |
//!
//! [`crate::tsdb::head::append`] and replay add exemplars. They stay until newer ones replace them,
//! even after their series has left the head.
//!
//! # Locking
//! The ring has one lock. While it is held, nothing else is locked and no matcher is evaluated.
//! Appends take it under the series mutex, so that the WAL has the exemplars of a series in the
//! order of the ring.

mod ring;

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::head::exemplars::ring::{ExemplarRing, RingAddOutcome};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Default of the maximum number of exemplars.
pub const DEFAULT_MAX_EXEMPLARS: usize = 100_000;

/// Maximum number of characters in the names and values of an exemplar's labels together.
///
/// Source: OpenMetrics 1.0, "Exemplars"; `model/exemplar/exemplar.go` of Prometheus, which counts
/// code points.
pub const MAX_LABEL_CHARACTERS: usize = 128;

/// Number of series whose exemplars are copied while the ring is locked once.
const SERIES_AT_ONCE: usize = 256;

/// Limits of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExemplarOptions {
    /// Maximum number of exemplars; 0 disables the storage.
    pub max: usize,
    /// Maximum time by which an exemplar may be behind the newest one of its series, exclusive, ms.
    pub out_of_order_window_ms: i64,
}

/// Reason for not storing an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum ExemplarRejection {
    /// There is no series with these labels; its samples must arrive first.
    #[error("exemplar of an unknown series")]
    UnknownSeries,
    /// Too far behind the newest exemplar of its series.
    #[error("out of order exemplar")]
    OutOfOrder,
    /// The labels exceed [`MAX_LABEL_CHARACTERS`].
    #[error("label length for exemplar exceeds maximum of {MAX_LABEL_CHARACTERS} UTF-8 characters")]
    LabelsTooLong,
    /// The storage is disabled. Senders need not be notified.
    #[error("exemplar storage is disabled")]
    Disabled,
}

/// Effect of a stored exemplar on the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOutcome {
    /// The exemplar is new and must be logged.
    Added,
    /// The exemplar was stored, and logged, before.
    Duplicate,
}

/// Exemplars of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// Labels of the series.
    pub labels: Labels,
    /// Exemplars, ascending by timestamp.
    pub exemplars: Vec<Exemplar>,
}

/// Exemplar with the labels of its series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplar {
    /// Labels of the series.
    pub labels: Labels,
    /// Timestamp, value and labels of the observation.
    pub exemplar: Exemplar,
}

/// Numbers at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExemplarCounts {
    /// Number of stored exemplars.
    pub exemplars: usize,
    /// Number of series with exemplars.
    pub series: usize,
    /// Maximum number of exemplars.
    pub max: usize,
    /// Timestamp of the exemplar that arrived first, ms.
    pub oldest_time: Option<i64>,
}

/// Storage of the head's exemplars.
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
    /// Sets the limits. If there are too many exemplars, the newest arrivals stay.
    pub fn configure(&self, options: ExemplarOptions) {
        self.ring.write().configure(options.max, options.out_of_order_window_ms);
    }

    /// Adds an exemplar of the series with these labels.
    ///
    /// # Errors
    /// [`ExemplarRejection`] if it is not stored.
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

    /// Returns the exemplars in `range` of every series that satisfies all matchers of at least one
    /// selector, sorted by the labels of the series.
    #[must_use]
    pub fn select(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<SeriesExemplars> {
        let mut series = self.ring.read().series_in(range);
        series.retain(|labels| selectors.iter().any(|matchers| satisfies(labels, matchers)));
        series.sort_unstable();
        let mut found = Vec::new();
        for batch in series.chunks(SERIES_AT_ONCE) {
            let ring = self.ring.read();
            let all = batch.iter().map(|labels| {
                let exemplars = ring.select_series(labels, range);
                SeriesExemplars { labels: labels.clone(), exemplars }
            });
            found.extend(all.filter(|series| !series.exemplars.is_empty()));
        }
        found
    }

    /// Returns all exemplars, in the order of arrival.
    #[must_use]
    pub fn in_arrival_order(&self) -> Vec<SeriesExemplar> {
        let slots = self.ring.read().arrivals();
        slots
            .into_iter()
            .map(|slot| SeriesExemplar { labels: slot.series, exemplar: slot.exemplar })
            .collect()
    }

    /// Returns the current numbers.
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

    /// Number of exemplars ever added, including replay.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// Number of exemplars rejected as out of order.
    #[must_use]
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order.load(Ordering::Relaxed)
    }
}

fn labels_fit(exemplar: &Exemplar) -> bool {
    let Some(labels) = &exemplar.labels else { return true };
    // A character has at least one byte, so that counting is rarely needed.
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

//! Store of the head's series: by labels, by reference, and by label pair.
//!
//! # References
//! A reference is never assigned twice, also not one that is found only on disk
//! ([`SeriesStore::reserve_ref`]): later records of its old series would go to the new one.
//!
//! # Index
//! During a start the inverted index is empty, so that a series that the start drops again costs
//! nothing there. [`SeriesStore::index_all`] is the last step of a start.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::tsdb::head::in_flight::batch_id::BatchId;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::map::{SeriesLookup, SeriesMap};
use crate::tsdb::head::series::wal_expiries::WalExpiries;
use crate::tsdb::index::mem_postings::{MemPostings, remove};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Error of creating a series when the head has the maximum number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} active series is reached")]
pub struct SeriesLimitReached {
    /// Maximum number of active series.
    pub limit: usize,
}

/// Limit of the number of series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesLimit {
    /// Maximum number of series.
    pub max: usize,
    /// Whether appends create series beyond the maximum, and report them.
    pub is_dry_run: bool,
}

impl SeriesLimit {
    /// No limit.
    pub const NONE: Self = Self { max: usize::MAX, is_dry_run: false };
}

/// Series that an append found or created.
#[derive(Debug)]
pub struct AppendLookup {
    /// Existing or created series.
    pub series: Arc<HeadSeries>,
    /// Whether this call created the series.
    pub created: bool,
    /// The limit in a dry run that the created series exceeds.
    pub over_limit: Option<SeriesLimitReached>,
}

/// Series of the head and their inverted index.
#[derive(Debug)]
pub struct SeriesStore {
    map: SeriesMap,
    postings: MemPostings,
    /// Greatest reference that was assigned or found on disk.
    last_ref: AtomicU64,
    limit: SeriesLimit,
    wal_expiries: WalExpiries,
}

impl SeriesStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new(limit: SeriesLimit) -> Self {
        Self {
            map: SeriesMap::default(),
            postings: MemPostings::default(),
            last_ref: AtomicU64::new(0),
            limit,
            wal_expiries: WalExpiries::default(),
        }
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns `true` if there are no series.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns the series with exactly these label bytes.
    #[inline]
    #[must_use]
    pub fn get(&self, label_bytes: &[u8]) -> Option<Arc<HeadSeries>> {
        self.map.get(label_bytes)
    }

    /// Returns the series with this reference.
    #[must_use]
    pub fn get_by_ref(&self, series_ref: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.map.get_by_ref(series_ref)
    }

    /// Returns all series, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<HeadSeries>> {
        self.map.all()
    }

    /// Iterates over the series shard by shard. Each shard is locked while its list is copied.
    pub fn shards(&self) -> impl Iterator<Item = Vec<Arc<HeadSeries>>> {
        self.map.shards()
    }

    /// Returns the matching series, sorted by labels.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> Vec<Arc<HeadSeries>> {
        let refs = self.postings.select(matchers);
        let mut series: Vec<_> =
            refs.into_iter().filter_map(|series_ref| self.get_by_ref(series_ref)).collect();
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        // A series that was collected and created again may be found twice; the newer one has the
        // greater reference.
        series.dedup_by(|later, kept| {
            let is_same = later.labels == kept.labels;
            if is_same && later.series_ref > kept.series_ref {
                std::mem::swap(later, kept);
            }
            is_same
        });
        series
    }

    /// Inverted index of the labels.
    #[must_use]
    pub fn postings(&self) -> &MemPostings {
        &self.postings
    }

    /// References of the WAL without a series in the head.
    #[must_use]
    pub fn wal_expiries(&self) -> &WalExpiries {
        &self.wal_expiries
    }

    /// Returns the greatest reference that was assigned or found on disk; 0 before the first.
    #[must_use]
    pub fn last_ref(&self) -> SeriesRef {
        SeriesRef(self.last_ref.load(Ordering::Relaxed))
    }

    /// Makes sure that `series_ref`, found on disk, is never assigned to a new series.
    pub fn reserve_ref(&self, series_ref: SeriesRef) {
        self.last_ref.fetch_max(series_ref.0, Ordering::Relaxed);
    }

    /// Returns the series with these labels. If it does not exist, `batch_id` creates and indexes
    /// it.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] if the series would have to be created.
    pub fn get_or_create(
        &self,
        labels: &Labels,
        batch_id: BatchId,
    ) -> Result<AppendLookup, SeriesLimitReached> {
        let SeriesLimit { max, is_dry_run } = self.limit;
        let mut over_limit = None;
        let lookup = self.map.get_or_create(labels, |hash, labels| {
            if self.map.len() >= max {
                let reached = SeriesLimitReached { limit: max };
                if !is_dry_run {
                    return Err(reached);
                }
                over_limit = Some(reached);
            }
            let series_ref = SeriesRef(self.last_ref.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(HeadSeries::new(series_ref, hash, labels, batch_id))
        })?;
        let SeriesLookup { series, created } = lookup;
        if created {
            self.postings.add(series.series_ref, &series.labels);
        }
        Ok(AppendLookup { series, created, over_limit })
    }

    /// Returns the series with these labels. If it does not exist, creates it with a reference
    /// from disk, which is reserved in any case. The series is not indexed.
    pub fn get_or_restore(&self, series_ref: SeriesRef, labels: &Labels) -> SeriesLookup {
        self.reserve_ref(series_ref);
        let Ok(lookup) = self.map.get_or_create(labels, |hash, labels| {
            Ok::<_, Infallible>(HeadSeries::new(series_ref, hash, labels, BatchId::NONE))
        });
        lookup
    }

    /// Adds all series to the inverted index, which is still empty. The order of references
    /// appends each series at the end of its lists.
    pub fn index_all(&self) {
        let mut all = self.all();
        all.sort_unstable_by_key(|series| series.series_ref);
        all.iter().for_each(|series| self.postings.add(series.series_ref, &series.labels));
    }

    /// Releases the labels of a series for a new one. The series can still be found by its
    /// reference.
    pub fn unlink_labels(&self, series: &HeadSeries) {
        self.map.unlink_labels(series);
    }

    /// Removes a series, which is marked as collected. It stays in the index until
    /// [`Self::unindex`].
    pub fn remove(&self, series: &HeadSeries) {
        self.map.remove(series);
    }

    /// Removes collected series from the index. `until` is the time of their last sample in the
    /// WAL, ms.
    pub fn unindex(&self, collected: &[SeriesRef], until: i64) {
        self.wal_expiries.extend(collected.iter().copied(), until);
        remove::sweep(&self.postings, &collected.iter().copied().collect());
    }
}

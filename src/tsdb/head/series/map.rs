//! Map of all series of the head, by label bytes and by reference.
//!
//! Hashes use a random key per process, so that no sender can craft label sets that collide.
//!
//! # Locking
//! Both directions are sharded. Each shard has its own lock, held for one lookup or insertion.
//! Order: label shard, then reference shard. Neither is held while a series mutex is taken.

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::tsdb::head::series::HeadSeries;
use foldhash::quality::RandomState;
use hashbrown::{HashMap, HashTable};
use parking_lot::RwLock;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SHARDS: usize = 256;

type LabelShard = RwLock<HashTable<Arc<HeadSeries>>>;
type RefShard = RwLock<HashMap<SeriesRef, Arc<HeadSeries>>>;

/// Sharded map of the series.
#[derive(Debug)]
pub struct SeriesMap {
    hasher: RandomState,
    by_labels: Box<[LabelShard]>,
    by_ref: Box<[RefShard]>,
    len: AtomicUsize,
}

/// Series that a label set identifies.
#[derive(Debug)]
pub struct SeriesLookup {
    /// Existing or created series.
    pub series: Arc<HeadSeries>,
    /// Whether this call created the series.
    pub created: bool,
}

impl Default for SeriesMap {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            by_labels: (0..SHARDS).map(|_| RwLock::default()).collect(),
            by_ref: (0..SHARDS).map(|_| RwLock::default()).collect(),
            len: AtomicUsize::new(0),
        }
    }
}

impl SeriesMap {
    /// Returns the hash of these label bytes.
    #[must_use]
    pub fn hash(&self, label_bytes: &[u8]) -> u64 {
        self.hasher.hash_one(label_bytes)
    }

    /// Returns the series with exactly these label bytes.
    #[must_use]
    pub fn get(&self, label_bytes: &[u8]) -> Option<Arc<HeadSeries>> {
        let hash = self.hash(label_bytes);
        let shard = self.label_shard(hash).read();
        shard.find(hash, |series| series.labels.as_bytes() == label_bytes).cloned()
    }

    /// Returns the series with this reference.
    #[must_use]
    pub fn get_by_ref(&self, series_ref: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.ref_shard(series_ref).read().get(&series_ref).cloned()
    }

    /// Returns the series with these labels. If it does not exist, `create` makes it from hash and
    /// labels.
    ///
    /// # Errors
    /// The error of `create`; nothing is added then.
    pub fn get_or_create<E>(
        &self,
        labels: &Labels,
        create: impl FnOnce(u64, Labels) -> Result<HeadSeries, E>,
    ) -> Result<SeriesLookup, E> {
        let hash = self.hash(labels.as_bytes());
        let mut shard = self.label_shard(hash).write();
        if let Some(series) = shard.find(hash, |series| series.labels == *labels) {
            return Ok(SeriesLookup { series: Arc::clone(series), created: false });
        }
        let series = Arc::new(create(hash, labels.clone())?);
        self.ref_shard(series.series_ref).write().insert(series.series_ref, Arc::clone(&series));
        shard.insert_unique(hash, Arc::clone(&series), |series| series.hash);
        self.len.fetch_add(1, Ordering::Relaxed);
        Ok(SeriesLookup { series, created: true })
    }

    /// Removes a series from both maps. The caller has marked it as collected.
    pub fn remove(&self, series: &HeadSeries) {
        self.unlink_labels(series);
        if self.ref_shard(series.series_ref).write().remove(&series.series_ref).is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Releases the labels of a series for a new one. The series can still be found by its
    /// reference.
    pub fn unlink_labels(&self, series: &HeadSeries) {
        let mut shard = self.label_shard(series.hash).write();
        if let Ok(entry) =
            shard.find_entry(series.hash, |entry| entry.series_ref == series.series_ref)
        {
            entry.remove();
        }
    }

    /// Iterates over the series shard by shard. Each shard is locked while its list is copied.
    pub fn shards(&self) -> impl Iterator<Item = Vec<Arc<HeadSeries>>> {
        self.by_ref.iter().map(|shard| shard.read().values().cloned().collect())
    }

    /// Returns all series, in no order. One shard is locked at a time.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<HeadSeries>> {
        let mut all = Vec::with_capacity(self.len());
        self.shards().for_each(|shard| all.extend(shard));
        all
    }

    /// Number of series by reference.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns `true` if there are no series.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn label_shard(&self, hash: u64) -> &LabelShard {
        // The table inside a shard uses the low and the highest bits; these bits are between them.
        &self.by_labels[(hash >> 40) as usize % SHARDS]
    }

    fn ref_shard(&self, series_ref: SeriesRef) -> &RefShard {
        &self.by_ref[series_ref.0 as usize % SHARDS]
    }
}

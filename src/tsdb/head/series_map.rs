//! All series of the head, found by the bytes of their labels or by their reference.
//!
//! Both ways are sharded, each shard behind its own lock, held for one look-up or one insertion. Lock order: a label shard
//! before a reference shard; neither is held while a series' own mutex is taken.
//!
//! The hash is keyed anew in every process, so that nobody can send labels that all fall together.

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

/// The series of the head.
#[derive(Debug)]
pub struct SeriesMap {
    hasher: RandomState,
    by_labels: Box<[LabelShard]>,
    by_ref: Box<[RefShard]>,
    len: AtomicUsize,
}

/// The series that a set of labels names, and whether it was there before.
#[derive(Debug)]
pub struct SeriesLookup {
    /// The series.
    pub series: Arc<HeadSeries>,
    /// Whether this call created it.
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
    /// The hash under which labels of these bytes stand.
    #[must_use]
    pub fn hash(&self, packed: &[u8]) -> u64 {
        self.hasher.hash_one(packed)
    }

    /// The series whose labels have exactly these bytes.
    #[must_use]
    pub fn get(&self, packed: &[u8]) -> Option<Arc<HeadSeries>> {
        let hash = self.hash(packed);
        let shard = self.label_shard(hash).read();
        shard.find(hash, |series| series.labels.as_bytes() == packed).cloned()
    }

    /// The series with that reference.
    #[must_use]
    pub fn get_by_ref(&self, reference: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.ref_shard(reference).read().get(&reference).cloned()
    }

    /// The series with these labels, made by `create` (from hash and labels) where there is none.
    ///
    /// # Errors
    /// What `create` fails with; nothing was added then.
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
        self.ref_shard(series.reference).write().insert(series.reference, Arc::clone(&series));
        shard.insert_unique(hash, Arc::clone(&series), |series| series.hash);
        self.len.fetch_add(1, Ordering::Relaxed);
        Ok(SeriesLookup { series, created: true })
    }

    /// Takes a series out of both maps. Whoever calls has marked it as dead.
    pub fn remove(&self, series: &HeadSeries) {
        self.unlink_labels(series);
        if self.ref_shard(series.reference).write().remove(&series.reference).is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Makes the labels of a series free for another one; by its reference it is still found.
    pub fn unlink_labels(&self, series: &HeadSeries) {
        let mut shard = self.label_shard(series.hash).write();
        if let Ok(entry) = shard.find_entry(series.hash, |one| one.reference == series.reference) {
            entry.remove();
        }
    }

    /// The series shard by shard, for a walk over all of them; each shard is locked for copying its list.
    pub fn shards(&self) -> impl Iterator<Item = Vec<Arc<HeadSeries>>> {
        self.by_ref.iter().map(|shard| shard.read().values().cloned().collect())
    }

    /// All series, in no order; a shard is locked at a time.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<HeadSeries>> {
        let mut all = Vec::with_capacity(self.len());
        self.shards().for_each(|shard| all.extend(shard));
        all
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn label_shard(&self, hash: u64) -> &LabelShard {
        // The table inside a shard uses the low and the highest bits; these lie between.
        &self.by_labels[(hash >> 40) as usize % SHARDS]
    }

    fn ref_shard(&self, reference: SeriesRef) -> &RefShard {
        &self.by_ref[reference.0 as usize % SHARDS]
    }
}

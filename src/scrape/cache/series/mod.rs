//! Cache from the raw bytes of a series in a body to the series in storage.
//!
//! Targets expose their series in the same order at every scrape. So a known series usually costs
//! one comparison of its raw bytes, with those that followed the last one; otherwise also a hash.
//! It costs no allocation. Series that metric relabeling drops are kept, too, so that they are not
//! relabeled at every scrape.
//!
//! # Rounds
//! A round is an attempt to store a scrape. [`SeriesCache::begin`] starts it. The check of the body
//! looks up every series ([`SeriesCache::see`]) and inserts the unknown ones as pending. If the
//! scrape is stored, pending entries get their series ([`SeriesCache::resolve`]), stored ones are
//! tracked ([`SeriesCache::track`]), and [`SeriesCache::end_stored`] evicts entries that the body
//! did not contain. Otherwise [`SeriesCache::end_failed`] removes the entries of this round, so
//! failed scrapes with random series do not grow the cache.
//!
//! # Staleness
//! A series is stale if it was tracked by the last round that ended, and not by the current one.
//! Several raw forms may belong to one series, so the identity of the series decides, not that of
//! the entry.
//!
//! # Memory
//! [`BYTES_PER_SERIES`] plus the raw bytes of a series: 37 bytes and, in the text format, its line
//! without the value. Space of evicted raw bytes is reclaimed when half of it is unused.

use hashbrown::HashTable;
use std::collections::HashSet;
use std::hash::BuildHasher;

/// Series of storage, as the cache sees it.
pub trait StoredSeries: Clone {
    /// Returns a number that no other series has.
    fn identity(&self) -> u64;
}

/// Maximum size of the raw bytes of all entries.
const MAX_RAW_BYTES: usize = u32::MAX as usize;
/// Number of series that the scraper has itself.
pub const MAX_RESERVED: u32 = 16;
/// Unused raw bytes that are not worth a compaction.
const MIN_UNUSED_BYTES: usize = 64 << 10;
/// Memory of an entry without its raw bytes: the entry, and its slot in a hash table that is 7/8
/// full.
#[cfg(any(test, feature = "testing"))]
pub const BYTES_PER_SERIES: usize = size_of::<Entry<Box<u8>>>() + (size_of::<u32>() + 1) * 8 / 7;

/// Position of an entry. Valid until the end of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(u32);

/// State of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState<S> {
    /// Known series.
    Series(S),
    /// Series that this round inserted; the number is the caller's.
    Pending(u32),
    /// Series that metric relabeling drops.
    Dropped,
    /// Series whose labels are those of a series of the scraper itself; the number is the caller's,
    /// below [`MAX_RESERVED`].
    Reserved(u32),
}

/// Series found in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Entry of the series.
    pub id: EntryId,
    /// `true` if the body contained the same raw bytes before.
    pub is_repeated: bool,
}

/// Error of inserting an entry: the raw bytes of all series exceed 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the series of the target have more than {MAX_RAW_BYTES} bytes together")]
pub struct CacheFull;

/// Cache of one target.
#[derive(Debug)]
pub struct SeriesCache<S> {
    entries: Vec<Entry<S>>,
    /// Positions of entries by the hash of their raw bytes.
    index: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    /// Raw bytes of the entries, and unused bytes between them.
    raw: Vec<u8>,
    unused_raw: usize,
    /// Current round, or the last one; the first is 1.
    round: u32,
    /// Last round whose tracked series got samples or markers.
    tracked_round: u32,
    /// Number of entries that `tracked_round` tracked.
    tracked: usize,
    /// Number of these entries that the current round tracks again.
    tracked_again: usize,
    tracked_now: usize,
    /// Entries that the body of the current round contains.
    seen: usize,
    /// Position after that of the last entry that was looked up or inserted.
    next: usize,
    /// Number of entries when the current round began.
    len_before: usize,
}

#[derive(Debug)]
struct Entry<S> {
    /// `None` if the entry is in another state.
    series: Option<S>,
    raw_start: u32,
    raw_len: u32,
    /// Last round whose body contained the entry.
    seen: u32,
    /// Last round that tracked the entry; 0 if none.
    tracked: u32,
    /// State of an entry without series: [`DROPPED`], from [`FIRST_RESERVED`] the
    /// number of a reserved one, or the number of a pending one.
    other: u32,
}

const DROPPED: u32 = u32::MAX;
const FIRST_RESERVED: u32 = u32::MAX - MAX_RESERVED;

impl<S> Default for SeriesCache<S> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            raw: Vec::new(),
            unused_raw: 0,
            round: 0,
            tracked_round: 0,
            tracked: 0,
            tracked_again: 0,
            tracked_now: 0,
            seen: 0,
            next: 0,
            len_before: 0,
        }
    }
}

impl<S: StoredSeries> SeriesCache<S> {
    /// Starts a round.
    pub fn begin(&mut self) {
        if self.round >= u32::MAX - 1 {
            self.restart_rounds();
        }
        self.round += 1;
        self.seen = 0;
        self.next = 0;
        self.tracked_now = 0;
        self.tracked_again = 0;
        self.len_before = self.entries.len();
    }

    /// Looks up a series of the body. Returns `None` if it is unknown.
    #[inline]
    pub fn see(&mut self, raw: &[u8]) -> Option<Seen> {
        let position = self.position_of(raw)?;
        self.next = position + 1;
        let entry = &mut self.entries[position];
        let is_repeated = entry.seen == self.round;
        self.seen += usize::from(!is_repeated);
        entry.seen = self.round;
        // Positions fit: insertion checks them.
        Some(Seen { id: EntryId(position as u32), is_repeated })
    }

    #[inline]
    fn position_of(&self, raw: &[u8]) -> Option<usize> {
        let (entries, arena) = (&self.entries, &self.raw);
        if entries.get(self.next).is_some_and(|entry| entry.raw(arena) == raw) {
            return Some(self.next);
        }
        let hash = self.hasher.hash_one(raw);
        let is_same = |position: &u32| entries[*position as usize].raw(arena) == raw;
        self.index.find(hash, is_same).map(|position| *position as usize)
    }

    /// Inserts an unknown series of the body.
    ///
    /// # Errors
    /// [`CacheFull`] if the raw bytes would exceed the limit.
    pub fn insert(&mut self, raw: &[u8], state: EntryState<S>) -> Result<EntryId, CacheFull> {
        let position = u32::try_from(self.entries.len()).map_err(|_| CacheFull)?;
        let raw_start = u32::try_from(self.raw.len()).map_err(|_| CacheFull)?;
        let raw_len = u32::try_from(raw.len()).map_err(|_| CacheFull)?;
        let (series, other) = match state {
            EntryState::Series(series) => (Some(series), DROPPED),
            EntryState::Pending(number) => (None, number.min(FIRST_RESERVED - 1)),
            EntryState::Dropped => (None, DROPPED),
            EntryState::Reserved(number) => (None, FIRST_RESERVED + number.min(MAX_RESERVED - 1)),
        };
        self.raw.extend_from_slice(raw);
        let seen = self.round;
        self.entries.push(Entry { series, raw_start, raw_len, seen, tracked: 0, other });
        self.seen += 1;
        self.next = self.entries.len();
        let (entries, arena, hasher) = (&self.entries, &self.raw, &self.hasher);
        let hash = hasher.hash_one(raw);
        self.index.insert_unique(hash, position, |position| {
            hasher.hash_one(entries[*position as usize].raw(arena))
        });
        Ok(EntryId(position))
    }

    /// Returns the state of an entry.
    #[inline]
    #[must_use]
    pub fn state(&self, id: EntryId) -> EntryState<&S> {
        let entry = &self.entries[id.0 as usize];
        match (&entry.series, entry.other) {
            (Some(series), _) => EntryState::Series(series),
            (None, DROPPED) => EntryState::Dropped,
            (None, number) if number >= FIRST_RESERVED => {
                EntryState::Reserved(number - FIRST_RESERVED)
            }
            (None, number) => EntryState::Pending(number),
        }
    }

    /// Returns the raw bytes of an entry.
    #[must_use]
    pub fn raw(&self, id: EntryId) -> &[u8] {
        self.entries[id.0 as usize].raw(&self.raw)
    }

    /// Returns the number of entries that this round did not insert.
    #[must_use]
    pub fn len_before(&self) -> usize {
        self.len_before
    }

    /// Sets the series of an entry: of a pending one, or of one whose series was collected.
    pub fn resolve(&mut self, id: EntryId, series: S) {
        self.entries[id.0 as usize].series = Some(series);
    }

    /// Marks the series of an entry as stored by this round. It becomes stale if a later round
    /// does not track it.
    #[inline]
    pub fn track(&mut self, id: EntryId) {
        let entry = &mut self.entries[id.0 as usize];
        if entry.tracked == self.round {
            return;
        }
        let was_tracked = self.tracked_round != 0 && entry.tracked == self.tracked_round;
        self.tracked_again += usize::from(was_tracked);
        self.tracked_now += 1;
        entry.tracked = self.round;
    }

    /// Calls `mark` for every stale series, once.
    pub fn for_each_stale(&self, mut mark: impl FnMut(&S)) {
        if self.tracked_again == self.tracked {
            return;
        }
        let tracked_by = |round: u32| {
            let entries = self.entries.iter().filter(move |entry| entry.tracked == round);
            entries.filter_map(|entry| entry.series.as_ref())
        };
        let mut done: HashSet<u64, foldhash::fast::RandomState> =
            tracked_by(self.round).map(StoredSeries::identity).collect();
        for series in tracked_by(self.tracked_round) {
            if done.insert(series.identity()) {
                mark(series);
            }
        }
    }

    /// Ends a round whose scrape was stored.
    pub fn end_stored(&mut self) {
        self.adopt_tracked();
        let has_pending = self.entries[self.len_before.min(self.entries.len())..]
            .iter()
            .any(|entry| entry.is_pending());
        if self.seen < self.entries.len() || has_pending {
            let round = self.round;
            self.retain(|entry| entry.seen == round && !entry.is_pending());
        }
    }

    /// Ends a round whose body was empty. Nothing is evicted: targets return empty bodies by
    /// mistake.
    pub fn end_empty(&mut self) {
        self.adopt_tracked();
    }

    /// Ends a round whose scrape failed, after the markers of all tracked series were stored.
    pub fn end_failed(&mut self) {
        self.adopt_tracked();
        self.end_unstored();
    }

    /// Ends a round of which storage took nothing. The tracked series remain those of the round
    /// before.
    pub fn end_unstored(&mut self) {
        let len = self.len_before;
        let mut position = 0;
        self.retain(|_| {
            position += 1;
            position <= len
        });
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns `true` if there is no entry.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the memory of the cache, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<S>>()
            + self.index.allocation_size()
            + self.raw.capacity()
    }

    fn adopt_tracked(&mut self) {
        self.tracked_round = self.round;
        self.tracked = self.tracked_now;
    }

    /// Keeps the entries that `keep` selects, in their order, and rebuilds the index.
    fn retain(&mut self, mut keep: impl FnMut(&Entry<S>) -> bool) {
        let before = self.entries.len();
        let unused = &mut self.unused_raw;
        self.entries.retain(|entry| {
            let kept = keep(entry);
            *unused += if kept { 0 } else { entry.raw_len as usize };
            kept
        });
        if self.entries.len() == before {
            return;
        }
        self.compact_raw();
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
            self.index = HashTable::new();
        }
        self.index.clear();
        let (entries, arena, hasher) = (&self.entries, &self.raw, &self.hasher);
        let hash_at = |position: &u32| hasher.hash_one(entries[*position as usize].raw(arena));
        self.index.reserve(entries.len(), hash_at);
        // The number of entries fits: insertion checks it.
        for position in 0..entries.len() as u32 {
            self.index.insert_unique(hash_at(&position), position, hash_at);
        }
    }

    /// Moves the raw bytes together if many are unused.
    fn compact_raw(&mut self) {
        if self.unused_raw < MIN_UNUSED_BYTES.min(self.raw.len())
            || self.unused_raw * 2 < self.raw.len()
        {
            return;
        }
        let mut raw = Vec::with_capacity(self.raw.len() - self.unused_raw);
        for entry in &mut self.entries {
            let start = raw.len() as u32;
            raw.extend_from_slice(entry.raw(&self.raw));
            entry.raw_start = start;
        }
        self.raw = raw;
        self.unused_raw = 0;
    }

    /// Starts to count rounds from the beginning, and keeps what is tracked.
    fn restart_rounds(&mut self) {
        let tracked_round = self.tracked_round;
        for entry in &mut self.entries {
            entry.tracked = u32::from(entry.tracked == tracked_round && tracked_round != 0);
            entry.seen = 0;
        }
        self.tracked_round = u32::from(tracked_round != 0);
        self.round = 1;
    }
}

impl<S> Entry<S> {
    #[inline]
    fn raw<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        let start = self.raw_start as usize;
        &arena[start..start + self.raw_len as usize]
    }

    fn is_pending(&self) -> bool {
        self.series.is_none() && self.other < FIRST_RESERVED
    }
}

#[cfg(test)]
mod tests;

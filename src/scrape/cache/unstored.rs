//! Series of failed scrapes, for the count of new series.
//!
//! A series is new once: a target that exceeds its limits at every scrape adds its series at the
//! first one only. A stored scrape makes its series known, so it empties the set.
//!
//! # Memory
//! A hash per series, of at most `MAX_HASHES`. A target whose failed scrapes always have other
//! series keeps those of the last one.

use std::collections::HashSet;
use std::hash::BuildHasher;

/// Maximum number of hashes that one scrape adds.
const MAX_HASHES: usize = 1 << 20;
/// Number of series that failed scrapes may have in addition to the known ones.
const MAX_ADDITIONAL: usize = 1000;

/// Series that only failed scrapes had since the last stored one, by their raw bytes.
#[derive(Debug, Default)]
pub struct UnstoredSeries {
    hashes: HashSet<u64, foldhash::fast::RandomState>,
    hasher: foldhash::fast::RandomState,
}

impl UnstoredSeries {
    /// Returns `true` if a failed scrape had the series.
    #[must_use]
    pub fn contains(&self, raw: &[u8]) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&self.hasher.hash_one(raw))
    }

    /// Adds the new series of a failed scrape. `known` is the number of other series of the target.
    pub fn add<'a>(&mut self, new: impl Iterator<Item = &'a [u8]> + Clone, known: usize) {
        let hasher = &self.hasher;
        let hashes = new.take(MAX_HASHES).map(|raw| hasher.hash_one(raw));
        self.hashes.extend(hashes.clone());
        if self.hashes.len() > known + MAX_ADDITIONAL {
            self.hashes.clear();
            self.hashes.extend(hashes);
        }
    }

    /// Empties the set and frees its memory: a scrape is stored.
    pub fn clear(&mut self) {
        if self.hashes.capacity() > 0 {
            self.hashes = HashSet::default();
        }
    }

    /// Returns the memory of the set, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.hashes.capacity() * (size_of::<u64>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ADDITIONAL, UnstoredSeries};

    fn names(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|number| format!("a{number}")).collect()
    }

    fn add(set: &mut UnstoredSeries, range: std::ops::Range<usize>, known: usize) {
        set.add(names(range).iter().map(String::as_bytes), known);
    }

    #[test]
    fn series_are_remembered_until_a_scrape_is_stored() {
        let mut set = UnstoredSeries::default();
        assert!(!set.contains(b"a0"));
        add(&mut set, 0..2, 0);
        add(&mut set, 1..3, 0);
        assert!([b"a0", b"a1", b"a2"].iter().all(|raw| set.contains(*raw)));
        assert!(!set.contains(b"a3"));
        set.clear();
        assert!(!set.contains(b"a0"));
        assert_eq!(set.memory_bytes(), 0);
    }

    #[test]
    fn changing_series_replace_each_other() {
        let mut set = UnstoredSeries::default();
        add(&mut set, 0..MAX_ADDITIONAL, 0);
        add(&mut set, MAX_ADDITIONAL..MAX_ADDITIONAL + 5, 5);
        assert!(set.contains(b"a0") && set.contains(b"a1004"));
        add(&mut set, 5000..5001, 5);
        assert!(!set.contains(b"a0") && set.contains(b"a5000"));
        add(&mut set, 0..3 * MAX_ADDITIONAL, 0);
        assert!(set.contains(b"a0") && set.contains(b"a2999"), "one scrape may have more");
    }
}

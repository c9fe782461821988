//! Compressed map from the timestamp of an out-of-order sample to its chunk.
//!
//! Used for chunks that overlap too many others ([`super::chunk_index`]). A sample costs about 8
//! bytes. A lookup or an insertion decodes one leaf, whatever the number of samples. The mutex of
//! the series guards the map.
//!
//! # Format
//! A leaf has up to [`LEAF_ENTRIES`] entries, ascending by timestamp. An entry has the difference
//! to the previous timestamp, and the chunk reference, both as uvarints. The key of a leaf is the
//! timestamp of its first entry, whose difference is 0.

use crate::model::refs::HeadChunkRef;
use crate::tsdb::encoding::byte_reader::{ByteReader, put_uvarint};
use std::collections::BTreeMap;

/// Maximum number of entries of a leaf; a larger leaf is split in two.
const LEAF_ENTRIES: usize = 128;

/// Timestamp of a sample, ms, and its chunk.
type Entry = (i64, HeadChunkRef);

/// Map from timestamps to the newest chunk with a sample at that timestamp.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeIndex {
    leaves: BTreeMap<i64, Box<[u8]>>,
}

impl TimeIndex {
    /// Records that `chunk` has a sample at `t` ms, unless a newer chunk has one.
    pub(super) fn insert(&mut self, t: i64, chunk: HeadChunkRef) {
        let key = self.leaf_key(t).or_else(|| self.leaves.keys().next().copied());
        let leaf = key.and_then(|key| self.leaves.remove(&key).map(|bytes| decode(key, &bytes)));
        let mut entries = leaf.unwrap_or_default();
        match entries.binary_search_by_key(&t, |entry| entry.0) {
            Ok(at) => entries[at].1 = entries[at].1.max(chunk),
            Err(at) => entries.insert(at, (t, chunk)),
        }
        if entries.len() > LEAF_ENTRIES {
            let upper = entries.split_off(entries.len() / 2);
            self.put(&upper);
        }
        self.put(&entries);
    }

    /// Returns the newest chunk that has a sample at `t` ms.
    pub(super) fn get(&self, t: i64) -> Option<HeadChunkRef> {
        let (key, bytes) = self.leaves.range(..=t).next_back()?;
        let entries = decode(*key, bytes);
        let at = entries.binary_search_by_key(&t, |entry| entry.0).ok()?;
        Some(entries[at].1)
    }

    /// Drops the entries of chunks up to and including `last`.
    pub(super) fn drop_up_to(&mut self, last: HeadChunkRef) {
        for (key, bytes) in std::mem::take(&mut self.leaves) {
            let mut entries = decode(key, &bytes);
            entries.retain(|entry| entry.1 > last);
            self.put(&entries);
        }
    }

    /// Returns the key of the leaf that covers `t`; `None` before the first leaf.
    fn leaf_key(&self, t: i64) -> Option<i64> {
        self.leaves.range(..=t).next_back().map(|(key, _)| *key)
    }

    fn put(&mut self, entries: &[Entry]) {
        if let Some((first, _)) = entries.first() {
            self.leaves.insert(*first, encode(entries));
        }
    }
}

fn encode(entries: &[Entry]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(8 * entries.len());
    let mut before = entries.first().map_or(0, |entry| entry.0);
    for &(t, chunk) in entries {
        // Wrapping: also correct for timestamps more than 2^63 ms apart.
        put_uvarint(&mut bytes, t.wrapping_sub(before) as u64);
        put_uvarint(&mut bytes, u64::from(chunk.file()) << 32 | u64::from(chunk.offset()));
        before = t;
    }
    bytes.into()
}

fn decode(first: i64, bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(LEAF_ENTRIES + 1);
    let (mut reader, mut t) = (ByteReader::new(bytes), first);
    while let (Ok(step), Ok(chunk)) = (reader.uvarint(), reader.uvarint()) {
        t = t.wrapping_add(step as i64);
        entries.push((t, HeadChunkRef::new((chunk >> 32) as u32, chunk as u32)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::{LEAF_ENTRIES, TimeIndex};
    use crate::model::refs::HeadChunkRef;
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use std::collections::BTreeMap;

    fn arb_time() -> impl Strategy<Value = i64> {
        prop_oneof![6 => -300i64..300, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
    }

    #[test]
    fn full_leaf_is_split() {
        let mut index = TimeIndex::default();
        let count = 10 * LEAF_ENTRIES as i64;
        (0..count).for_each(|n| index.insert(n * 7 % count, HeadChunkRef::new(1, n as u32)));
        let lengths: Vec<usize> =
            index.leaves.iter().map(|(key, bytes)| super::decode(*key, bytes).len()).collect();
        assert_eq!(lengths.iter().sum::<usize>(), count as usize);
        assert!(lengths.iter().all(|length| (1..=LEAF_ENTRIES).contains(length)), "{lengths:?}");
        let bytes: usize = index.leaves.values().map(|bytes| bytes.len()).sum();
        assert!(bytes <= 8 * count as usize, "{bytes} bytes");
    }

    proptest! {
        #[test]
        fn get_returns_newest_chunk_of_timestamp(
            entries in vec((arb_time(), 0u32..40), 0..900),
            last in 0u32..40,
            probes in vec(arb_time(), 0..50),
        ) {
            let mut index = TimeIndex::default();
            let mut model: BTreeMap<i64, u32> = BTreeMap::new();
            for (t, chunk) in entries {
                index.insert(t, HeadChunkRef::new(7, chunk));
                model.entry(t).and_modify(|newest| *newest = chunk.max(*newest)).or_insert(chunk);
            }
            for t in probes.iter().chain(model.keys()) {
                let expected = model.get(t).map(|chunk| HeadChunkRef::new(7, *chunk));
                prop_assert_eq!(index.get(*t), expected);
            }
            index.drop_up_to(HeadChunkRef::new(7, last));
            model.retain(|_, chunk| *chunk > last);
            for t in probes.iter().chain(model.keys()) {
                let expected = model.get(t).map(|chunk| HeadChunkRef::new(7, *chunk));
                prop_assert_eq!(index.get(*t), expected);
            }
        }
    }
}

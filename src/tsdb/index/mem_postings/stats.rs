//! Statistics of the index: label names and label pairs with the highest counts.
//!
//! A single pass reads all names and values in order. If counts are equal, the list keeps the lower
//! name. Source: `MemPostings.Stats` of Prometheus, where chance decides.
//!
//! # Locking
//! The index is locked for one slice of values at a time. The thread sleeps between two slices: a
//! request that creates thousands of series takes the lock as often, and must not wait for a slice
//! each time.
//!
//! # Memory
//! Each list has at most `limit` entries. Their memory is reserved before it is used.

use super::MemPostings;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Name of the label that holds the metric name.
const METRIC_NAME: &str = "__name__";
/// Pause between two slices.
const PAUSE: Duration = Duration::from_micros(50);
/// Memory of an entry in addition to its name, bytes.
const ENTRY_BYTES: usize = 64;
/// Minimum amount of memory to reserve at once, bytes.
const MEMORY_STEP: usize = 64 << 10;

/// Statistics of the index. Lists are sorted by count, the highest first, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Number of distinct pairs of label name and value.
    pub label_pairs: u64,
    /// Number of series by metric name.
    pub series_by_metric: Vec<NameCount>,
    /// Number of values by label name.
    pub values_by_label: Vec<NameCount>,
    /// Size of the label in all its series in Prometheus's encoding, bytes, by label name.
    pub bytes_by_label: Vec<NameCount>,
    /// Number of series by label pair, as `name=value`.
    pub series_by_pair: Vec<NameCount>,
}

/// Entry of a list in [`IndexStats`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCount {
    /// Label name, metric name or label pair.
    pub name: String,
    /// Number of the list.
    pub count: u64,
}

/// Error of statistics without memory for them; a later retry may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes in flight")]
pub struct NoMemoryForStats;

/// Returns the statistics of `postings`, with at most `limit` entries per list. `reserve` reserves
/// bytes for them and returns `false` if it cannot.
///
/// # Errors
/// [`NoMemoryForStats`] after `reserve` returned `false`.
pub fn collect(
    postings: &MemPostings,
    limit: usize,
    reserve: &mut dyn FnMut(usize) -> bool,
) -> Result<IndexStats, NoMemoryForStats> {
    let mut pass = StatsPass {
        label_pairs: 0,
        metrics: TopList::new(limit),
        values: TopList::new(limit),
        bytes: TopList::new(limit),
        pairs: TopList::new(limit),
        memory: Memory { reserve, reserved: 0, is_exhausted: false },
    };
    let mut last: Option<String> = None;
    loop {
        let names = postings.names_after(last.as_deref());
        for name in &names {
            pass.add_label(postings, name);
            if pass.memory.is_exhausted {
                return Err(NoMemoryForStats);
            }
        }
        match names.into_iter().next_back() {
            Some(name) => last = Some(name),
            None => return Ok(pass.finish()),
        }
    }
}

/// Lists under construction.
struct StatsPass<'a> {
    label_pairs: u64,
    metrics: TopList,
    values: TopList,
    bytes: TopList,
    pairs: TopList,
    memory: Memory<'a>,
}

impl StatsPass<'_> {
    /// Adds a label with all its values.
    fn add_label(&mut self, postings: &MemPostings, name: &str) {
        let (mut values, mut bytes) = (0, 0);
        let mut after: Option<Box<str>> = None;
        loop {
            let mut visit = |value: &str, list: &[_]| {
                let series = list.len() as u64;
                values += 1;
                bytes += label_size(name, value) * series;
                if name == METRIC_NAME {
                    self.metrics.offer(series, &mut self.memory, || value.to_owned());
                }
                self.pairs.offer(series, &mut self.memory, || format!("{name}={value}"));
            };
            after = postings.index.read().scan_slice(name, "", after.as_deref(), &mut visit);
            if after.is_none() || self.memory.is_exhausted {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        // All series of the label may have been removed since its name was read.
        if values > 0 {
            self.label_pairs += values;
            self.values.offer(values, &mut self.memory, || name.to_owned());
            self.bytes.offer(bytes, &mut self.memory, || name.to_owned());
        }
    }

    fn finish(self) -> IndexStats {
        IndexStats {
            label_pairs: self.label_pairs,
            series_by_metric: self.metrics.into_sorted(),
            values_by_label: self.values.into_sorted(),
            bytes_by_label: self.bytes.into_sorted(),
            series_by_pair: self.pairs.into_sorted(),
        }
    }
}

/// Memory of the lists.
struct Memory<'a> {
    reserve: &'a mut dyn FnMut(usize) -> bool,
    /// Reserved bytes that are not used yet.
    reserved: usize,
    /// Whether a reservation failed. Nothing is added from then on.
    is_exhausted: bool,
}

impl Memory<'_> {
    /// Takes `bytes`. Returns `false` if they cannot be reserved.
    fn take(&mut self, bytes: usize) -> bool {
        if self.reserved < bytes {
            let more = bytes.max(MEMORY_STEP);
            self.is_exhausted |= !(self.reserve)(more);
            if self.is_exhausted {
                return false;
            }
            self.reserved += more;
        }
        self.reserved -= bytes;
        true
    }

    fn give_back(&mut self, bytes: usize) {
        self.reserved += bytes;
    }
}

/// Entries with the highest counts. If counts are equal, the list keeps the first entry.
struct TopList {
    limit: usize,
    /// Number of entries accepted so far.
    accepted: u64,
    entries: BinaryHeap<Reverse<Entry>>,
}

/// Entry of a [`TopList`]. The lowest one leaves first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    count: u64,
    /// Position among the accepted entries.
    order: Reverse<u64>,
    name: String,
}

impl TopList {
    fn new(limit: usize) -> Self {
        Self { limit, accepted: 0, entries: BinaryHeap::new() }
    }

    fn offer(&mut self, count: u64, memory: &mut Memory<'_>, name: impl FnOnce() -> String) {
        let is_full = self.entries.len() >= self.limit;
        let is_beyond = self.entries.peek().is_none_or(|Reverse(lowest)| count <= lowest.count);
        if memory.is_exhausted || (is_full && is_beyond) {
            return;
        }
        let name = name();
        if !memory.take(name.len() + ENTRY_BYTES) {
            return;
        }
        self.accepted += 1;
        self.entries.push(Reverse(Entry { count, order: Reverse(self.accepted), name }));
        if is_full && let Some(Reverse(lowest)) = self.entries.pop() {
            memory.give_back(lowest.name.len() + ENTRY_BYTES);
        }
    }

    fn into_sorted(self) -> Vec<NameCount> {
        let entries = self.entries.into_sorted_vec().into_iter();
        entries.map(|Reverse(Entry { count, name, .. })| NameCount { name, count }).collect()
    }
}

/// Size of a label in a label set of Prometheus (`stringlabels`), bytes: both strings with their
/// lengths, which take one byte below 255 and four from there on.
fn label_size(name: &str, value: &str) -> u64 {
    let size = |text: &str| text.len() as u64 + if text.len() < 255 { 1 } else { 4 };
    size(name) + size(value)
}

#[cfg(test)]
mod tests {
    use super::{IndexStats, NameCount, NoMemoryForStats, collect};
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::model::refs::SeriesRef;
    use crate::tsdb::index::mem_postings::MemPostings;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    fn index(series: &[Labels]) -> MemPostings {
        let index = MemPostings::default();
        (1..).zip(series).for_each(|(nth, labels)| index.add(SeriesRef(nth), labels));
        index
    }

    /// Returns the highest counts, by count and name.
    fn highest(counts: BTreeMap<String, u64>, limit: usize) -> Vec<NameCount> {
        let mut all: Vec<NameCount> =
            counts.into_iter().map(|(name, count)| NameCount { name, count }).collect();
        all.sort_by_key(|entry| std::cmp::Reverse(entry.count));
        all.truncate(limit);
        all
    }

    fn expected(series: &[Labels], limit: usize) -> IndexStats {
        let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for labels in series {
            labels.iter().for_each(|pair| *pairs.entry(pair).or_default() += 1);
        }
        let [mut metrics, mut values, mut bytes, mut joined] =
            [(); 4].map(|()| BTreeMap::<String, u64>::new());
        for ((name, value), count) in &pairs {
            if *name == "__name__" {
                metrics.insert((*value).to_owned(), *count);
            }
            *values.entry((*name).to_owned()).or_default() += 1;
            *bytes.entry((*name).to_owned()).or_default() +=
                (name.len() + value.len() + 2) as u64 * count;
            joined.insert(format!("{name}={value}"), *count);
        }
        IndexStats {
            label_pairs: pairs.len() as u64,
            series_by_metric: highest(metrics, limit),
            values_by_label: highest(values, limit),
            bytes_by_label: highest(bytes, limit),
            series_by_pair: highest(joined, limit),
        }
    }

    #[test]
    fn long_strings_have_a_longer_length() {
        let value = |length: usize| "v".repeat(length);
        let of = |length| {
            let index = index(&[labels(&[("abc", &value(length))])]);
            collect(&index, 1, &mut |_| true).unwrap().bytes_by_label[0].count
        };
        assert_eq!((of(254), of(255)), (4 + 255, 4 + 259));
    }

    #[test]
    fn reservation_covers_the_kept_entries() {
        let value = |nth: usize| format!("{nth:06}{}", "x".repeat(1000));
        let series: Vec<Labels> = (0..2000).map(|nth| labels(&[("a", &value(nth))])).collect();
        let index = index(&series);
        let reserve = |limit: usize, budget: usize| {
            let mut used = 0;
            let result = collect(&index, limit, &mut |bytes| {
                used += bytes;
                used <= budget
            });
            (result.map(|stats| stats.series_by_pair.len()), used)
        };
        let (kept, used) = reserve(100, usize::MAX);
        assert_eq!(kept, Ok(100));
        assert!((100_000..300_000).contains(&used), "{used}");
        assert_eq!(reserve(10_000, usize::MAX).0, Ok(2000));
        assert_eq!(reserve(10_000, 300_000).0, Err(NoMemoryForStats));
    }

    #[test]
    fn statistics_contain_all_series_that_existed_before() {
        let old: Vec<Labels> = (0..20_000)
            .map(|nth: u32| labels(&[("__name__", "m"), ("id", &format!("old{nth:05}"))]))
            .collect();
        let index = index(&old);
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for nth in 20_001..60_000 {
                    if is_done.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("new{nth:06}");
                    index.add(SeriesRef(nth), &labels(&[("__name__", "m"), ("id", &id)]));
                }
            });
            for _ in 0..5 {
                let stats = collect(&index, 1, &mut |_| true).unwrap();
                assert!(stats.label_pairs > 20_000, "{stats:?}");
                assert_eq!(stats.values_by_label[0].name, "id");
                assert!(stats.series_by_metric[0].count >= 20_000, "{stats:?}");
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }

    proptest! {
        #[test]
        fn lists_have_the_highest_counts(
            series in proptest::collection::vec(
                proptest::collection::btree_map("__name__|[a-d]", "[x-z]{1,2}", 1..5),
                0..40,
            ),
            limit in 1usize..8,
        ) {
            let series: Vec<Labels> = series
                .iter()
                .map(|set| {
                    let pairs = set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    pairs.collect::<LabelsBuilder<'_>>().build().unwrap()
                })
                .collect();
            let stats = collect(&index(&series), limit, &mut |_| true).unwrap();
            prop_assert_eq!(stats, expected(&series, limit));
        }
    }
}

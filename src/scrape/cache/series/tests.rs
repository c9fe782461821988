//! Tests of the series cache, with numbers as series of storage.

use super::{BYTES_PER_SERIES, EntryState, SeriesCache, StoredSeries};
use proptest::prelude::{any, prop};
use proptest::{prop_assert_eq, proptest};
use std::collections::{BTreeMap, BTreeSet};

impl StoredSeries for u64 {
    fn identity(&self) -> u64 {
        *self
    }
}

type Cache = SeriesCache<u64>;

/// No stale series.
const NONE: [u64; 0] = [];

/// Stores a scrape of raw forms with their series; returns the stale ones.
fn store(cache: &mut Cache, body: &[(&str, u64)]) -> Vec<u64> {
    cache.begin();
    see_all(cache, body);
    let stale = stale(cache);
    cache.end_stored();
    stale
}

fn see_all(cache: &mut Cache, body: &[(&str, u64)]) {
    for (number, (raw, series)) in body.iter().enumerate() {
        let id = match cache.see(raw.as_bytes()) {
            Some(seen) => seen.id,
            None => {
                let number = u32::try_from(number).unwrap();
                cache.insert(raw.as_bytes(), EntryState::Pending(number)).unwrap()
            }
        };
        cache.resolve(id, *series);
        cache.track(id);
    }
}

fn stale(cache: &Cache) -> Vec<u64> {
    let mut stale = Vec::new();
    cache.for_each_stale(|series| stale.push(*series));
    stale.sort_unstable();
    stale
}

fn fail(cache: &mut Cache) -> Vec<u64> {
    cache.begin();
    let stale = stale(cache);
    cache.end_failed();
    stale
}

#[test]
fn known_series_is_found_by_its_raw_bytes() {
    let mut cache = Cache::default();
    cache.begin();
    assert_eq!(cache.see(b"up"), None);
    let id = cache.insert(b"up", EntryState::Pending(7)).unwrap();
    assert_eq!(cache.state(id), EntryState::Pending(7));
    assert!(cache.see(b"up").unwrap().is_repeated, "in the same body");
    cache.resolve(id, 40);
    cache.end_stored();
    cache.begin();
    let seen = cache.see(b"up").unwrap();
    assert!(!seen.is_repeated);
    assert_eq!(cache.state(seen.id), EntryState::Series(&40));
    assert_eq!(cache.see(b"up "), None);
}

#[test]
fn series_in_another_order_are_found() {
    let mut cache = Cache::default();
    let body = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
    store(&mut cache, &body);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 0, 3], [2, 3, 0, 1]] {
        let turned = order.map(|position| body[position]);
        cache.begin();
        for (raw, series) in turned {
            let seen = cache.see(raw.as_bytes()).unwrap();
            assert_eq!(cache.state(seen.id), EntryState::Series(&series), "{raw} of {turned:?}");
        }
        cache.end_empty();
    }
    assert_eq!(cache.len(), 4);
}

#[test]
fn dropped_and_reserved_series_are_remembered() {
    let mut cache = Cache::default();
    for round in 0..3 {
        cache.begin();
        for (raw, state) in [(&b"a"[..], EntryState::Dropped), (b"up", EntryState::Reserved(3))] {
            let id = match cache.see(raw) {
                Some(seen) => seen.id,
                None => cache.insert(raw, state).unwrap(),
            };
            let found = match cache.state(id) {
                EntryState::Dropped => EntryState::Dropped,
                EntryState::Reserved(number) => EntryState::Reserved(number),
                other => panic!("{other:?}"),
            };
            assert_eq!(found, state, "round {round}");
        }
        assert!(stale(&cache).is_empty());
        cache.end_stored();
        assert_eq!(cache.len(), 2);
    }
}

#[test]
fn vanished_series_is_stale_once() {
    let mut cache = Cache::default();
    assert_eq!(store(&mut cache, &[("a", 1), ("b", 2)]), NONE);
    assert_eq!(store(&mut cache, &[("a", 1)]), [2]);
    assert_eq!(store(&mut cache, &[("a", 1)]), NONE);
    assert_eq!(store(&mut cache, &[("a", 1), ("b", 2)]), NONE);
    assert_eq!(store(&mut cache, &[]), [1, 2]);
    assert_eq!(store(&mut cache, &[]), NONE);
    assert!(cache.is_empty());
}

#[test]
fn series_with_another_raw_form_is_not_stale() {
    let mut cache = Cache::default();
    assert_eq!(store(&mut cache, &[("a{x=\"y\"}", 1), ("b", 2)]), NONE);
    assert_eq!(store(&mut cache, &[("a{x=\"y\",}", 1), ("b", 2)]), NONE);
    assert_eq!(store(&mut cache, &[("a{x=\"y\"}", 1), ("a{x=\"y\",}", 1)]), [2]);
    assert_eq!(store(&mut cache, &[("b", 2)]), [1], "once, although it had two forms");
}

#[test]
fn failed_scrape_makes_every_series_stale_once() {
    let mut cache = Cache::default();
    store(&mut cache, &[("a", 1), ("b", 2)]);
    cache.begin();
    cache.see(b"a").unwrap();
    cache.insert(b"new", EntryState::Pending(0)).unwrap();
    assert_eq!(stale(&cache), [1, 2]);
    cache.end_failed();
    assert_eq!(cache.len(), 2, "entries of the failed round are removed");
    assert_eq!(fail(&mut cache), NONE);
    assert_eq!(store(&mut cache, &[("a", 1)]), NONE);
    assert_eq!(fail(&mut cache), [1]);
}

#[test]
fn unstored_round_changes_nothing() {
    let mut cache = Cache::default();
    store(&mut cache, &[("a", 1), ("b", 2)]);
    for _ in 0..3 {
        cache.begin();
        cache.see(b"a").unwrap();
        cache.insert(b"c", EntryState::Pending(0)).unwrap();
        cache.end_unstored();
    }
    assert_eq!(store(&mut cache, &[("a", 1)]), [2]);
}

#[test]
fn empty_body_evicts_nothing() {
    let mut cache = Cache::default();
    store(&mut cache, &[("a", 1)]);
    cache.begin();
    assert_eq!(stale(&cache), [1]);
    cache.end_empty();
    assert_eq!(cache.len(), 1);
    assert_eq!(fail(&mut cache), NONE);
    assert_eq!(store(&mut cache, &[("a", 1)]), NONE);
}

#[test]
fn untracked_series_does_not_become_stale() {
    let mut cache = Cache::default();
    cache.begin();
    let id = cache.insert(b"a", EntryState::Pending(0)).unwrap();
    cache.resolve(id, 1);
    cache.end_stored();
    assert_eq!(store(&mut cache, &[]), NONE);
}

#[test]
fn pending_entries_do_not_survive_a_round() {
    let mut cache = Cache::default();
    cache.begin();
    cache.insert(b"rejected", EntryState::Pending(0)).unwrap();
    cache.end_stored();
    assert!(cache.is_empty());
}

#[test]
fn memory_is_reclaimed_after_churn() {
    let mut cache = Cache::default();
    for round in 0..50 {
        cache.begin();
        for i in 0..2000 {
            let raw = format!("series_of_round_{round}{{number=\"{i}\"}}");
            assert_eq!(cache.see(raw.as_bytes()), None);
            let id = cache.insert(raw.as_bytes(), EntryState::Pending(0)).unwrap();
            cache.resolve(id, i);
        }
        cache.end_stored();
        assert_eq!(cache.len(), 2000);
    }
    let bytes = cache.memory_bytes();
    assert!(bytes < 2000 * (BYTES_PER_SERIES + 36) * 4, "{bytes}");
    store(&mut cache, &[("a", 1)]);
    assert!(cache.memory_bytes() < 4096, "{}", cache.memory_bytes());
}

#[test]
fn documented_memory_is_that_of_an_entry() {
    assert_eq!(BYTES_PER_SERIES, 37);
}

#[test]
fn rounds_restart_without_losing_tracked_series() {
    let mut cache = Cache::default();
    store(&mut cache, &[("a", 1), ("b", 2)]);
    cache.round = u32::MAX - 1;
    cache.tracked_round = u32::MAX - 1;
    for entry in &mut cache.entries {
        entry.tracked = u32::MAX - 1;
    }
    assert_eq!(store(&mut cache, &[("a", 1)]), [2]);
    assert_eq!(store(&mut cache, &[]), [1]);
}

proptest! {
    /// A model that keeps sets of series decides about staleness as the cache does.
    #[test]
    fn cache_equals_a_model(
        rounds in prop::collection::vec(
            (any::<u8>(), prop::collection::vec((0_u8..12, 0_u64..6), 0..12)),
            0..12,
        ),
    ) {
        let mut cache = Cache::default();
        let mut known: BTreeMap<u8, u64> = BTreeMap::new();
        let mut tracked: BTreeSet<u64> = BTreeSet::new();
        for (outcome, body) in rounds {
            cache.begin();
            let mut now = BTreeMap::new();
            for (raw, series) in body {
                // A raw form belongs to one series for as long as the cache knows it.
                let series = *known.get(&raw).or_else(|| now.get(&raw)).unwrap_or(&series);
                let id = match cache.see(&[raw]) {
                    Some(seen) => {
                        prop_assert_eq!(seen.is_repeated, now.contains_key(&raw));
                        seen.id
                    }
                    None => {
                        prop_assert_eq!(known.get(&raw), None);
                        cache.insert(&[raw], EntryState::Pending(0)).unwrap()
                    }
                };
                now.insert(raw, series);
                if outcome % 3 == 0 {
                    cache.resolve(id, series);
                    cache.track(id);
                }
            }
            let stored: BTreeSet<u64> = now.values().copied().collect();
            match outcome % 3 {
                0 => {
                    let expected: Vec<u64> = tracked.difference(&stored).copied().collect();
                    prop_assert_eq!(stale(&cache), expected);
                    cache.end_stored();
                    tracked = stored;
                    known = now;
                }
                1 => {
                    let expected: Vec<u64> = tracked.iter().copied().collect();
                    prop_assert_eq!(stale(&cache), expected);
                    cache.end_failed();
                    tracked.clear();
                }
                _ => cache.end_unstored(),
            }
            prop_assert_eq!(cache.len(), known.len());
        }
    }
}

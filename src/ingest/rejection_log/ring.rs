//! Ring of the newest entries. Older ones are dropped and counted.
//!
//! A request joins the entry of the same sender, user, protocol, reason and limit if it is recent.
//! So senders that repeat themselves do not displace the entries of others, and cost no memory.
//!
//! # Invariant
//! The entries and the counts of dropped ones add up to everything that was recorded. Every
//! joinable entry is found by its [`JoinKey`].

use crate::ingest::named_series::truncate;
use crate::ingest::rejection_log::entry::{
    DataSender, RecentRejections, Rejection, RejectionEntry, RequestOrigin,
};
use std::collections::{BTreeMap, HashMap};

/// Maximum age of an entry that a request may join, ms.
const JOINABLE_MS: i64 = 10_000;
/// Number of strings of an entry: sender, user, series, detail.
const STRINGS: usize = 4;
/// Memory of an entry without its strings, bytes: either map may have room for almost three times
/// its entries, and each string has two counters.
const ENTRY_BYTES: usize = 3
    * (size_of::<(u64, RejectionEntry)>() + size_of::<(JoinKey, u64)>() + size_of::<u8>())
    + 2 * STRINGS * size_of::<usize>();

/// Ring of entries within a number of bytes.
#[derive(Debug)]
pub(super) struct RejectionRing {
    /// Entries in the order of their last requests, by number.
    entries: BTreeMap<u64, RejectionEntry>,
    /// Numbers of the newest entries of all senders and reasons.
    newest: HashMap<JoinKey, u64>,
    next_number: u64,
    bytes: usize,
    max_bytes: usize,
    dropped_entries: u64,
    dropped_count: u64,
}

/// Key of an entry. Rejections with equal keys share an entry.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JoinKey {
    origin: RequestOrigin,
    reason: &'static str,
    limit: Option<&'static str>,
}

impl RejectionRing {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            newest: HashMap::new(),
            next_number: 0,
            bytes: 0,
            max_bytes,
            dropped_entries: 0,
            dropped_count: 0,
        }
    }

    /// Records a rejection at `now_ms`.
    pub(super) fn record(
        &mut self,
        origin: &RequestOrigin,
        rejection: &Rejection<'_>,
        now_ms: i64,
    ) {
        let Rejection { reason, limit, .. } = *rejection;
        let key = JoinKey { origin: origin.clone(), reason, limit };
        if let Some(mut entry) = self.take_joinable(&key, now_ms) {
            entry.last_ms = now_ms;
            entry.count = entry.count.saturating_add(rejection.count);
            entry.requests = entry.requests.saturating_add(1);
            self.push(key, entry);
            return;
        }
        let entry = RejectionEntry {
            first_ms: now_ms,
            last_ms: now_ms,
            origin: origin.clone(),
            reason,
            limit,
            // Series are truncated already.
            series: rejection.series.into(),
            detail: truncate(rejection.detail).into(),
            count: rejection.count,
            requests: 1,
        };
        self.bytes += memory(&entry);
        self.push(key, entry);
        while self.bytes > self.max_bytes
            && let Some((number, oldest)) = self.entries.pop_first()
        {
            self.bytes -= memory(&oldest);
            self.dropped_entries = self.dropped_entries.saturating_add(1);
            self.dropped_count = self.dropped_count.saturating_add(oldest.count);
            let RejectionEntry { origin, reason, limit, .. } = oldest;
            let key = JoinKey { origin, reason, limit };
            if self.newest.get(&key) == Some(&number) {
                self.newest.remove(&key);
            }
        }
    }

    fn push(&mut self, key: JoinKey, entry: RejectionEntry) {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.insert(number, entry);
        self.newest.insert(key, number);
    }

    /// Removes the entry that a rejection joins.
    fn take_joinable(&mut self, key: &JoinKey, now_ms: i64) -> Option<RejectionEntry> {
        let number = self.newest.get(key)?;
        let first_ms = self.entries.get(number)?.first_ms;
        let is_joinable = now_ms.abs_diff(first_ms) < JOINABLE_MS as u64;
        if is_joinable { self.entries.remove(number) } else { None }
    }

    /// Returns the newest entries, newest first, at most `limit`.
    pub(super) fn newest(&self, limit: usize) -> RecentRejections {
        RecentRejections {
            entries: self.entries.values().rev().take(limit).cloned().collect(),
            dropped_entries: self.dropped_entries,
            dropped_count: self.dropped_count,
        }
    }
}

/// Returns the memory of an entry, bytes. Entries of a user share the name, and those of a target
/// the URL, but after a change of the configuration each may be the last one that holds it.
fn memory(entry: &RejectionEntry) -> usize {
    let user = entry.origin.user.as_ref().map_or(0, |name| name.len());
    let sender = match &entry.origin.sender {
        DataSender::Unknown | DataSender::Client(_) => 0,
        DataSender::Target(url) => url.len(),
    };
    ENTRY_BYTES + user + sender + entry.series.len() + entry.detail.len()
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, JOINABLE_MS, RejectionRing, memory};
    use crate::ingest::rejection_log::entry::{DataSender, Rejection, RequestOrigin};
    use proptest::prelude::*;

    fn origin(host: u8) -> RequestOrigin {
        let sender = DataSender::Client([192, 0, 2, host].into());
        RequestOrigin { protocol: "remote_write_1.0", sender, user: None }
    }

    fn with_user(host: u8, user: &str) -> RequestOrigin {
        RequestOrigin { user: Some(user.into()), ..origin(host) }
    }

    fn rejection(count: u64) -> Rejection<'static> {
        Rejection { reason: "too_old", limit: None, series: "{a=\"b\"}", detail: "first", count }
    }

    #[test]
    fn recent_rejections_of_one_sender_and_reason_join() {
        let mut ring = RejectionRing::new(1 << 20);
        ring.record(&origin(1), &rejection(2), 0);
        ring.record(&origin(2), &rejection(1), 1);
        ring.record(&origin(1), &Rejection { detail: "second", ..rejection(3) }, 2);
        ring.record(&origin(1), &Rejection { limit: Some("a-flag"), ..rejection(4) }, 3);
        ring.record(&origin(1), &Rejection { reason: "malformed", ..rejection(5) }, 4);
        ring.record(&origin(1), &rejection(6), JOINABLE_MS);
        let found = ring.newest(10).entries;
        let found: Vec<_> = found
            .iter()
            .map(|entry| (entry.first_ms, entry.last_ms, entry.count, entry.requests))
            .collect();
        let expected = [
            (JOINABLE_MS, JOINABLE_MS, 6, 1),
            (4, 4, 5, 1),
            (3, 3, 4, 1),
            (0, 2, 5, 2),
            (1, 1, 1, 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(&*ring.newest(4).entries[3].detail, "first");
    }

    #[test]
    fn rejections_of_different_users_do_not_join() {
        let mut ring = RejectionRing::new(1 << 20);
        let long = "x".repeat(1000);
        let origins = [
            origin(1),
            with_user(1, "a"),
            with_user(1, "b"),
            with_user(1, ""),
            with_user(1, &format!("{long}1")),
            with_user(1, &format!("{long}2")),
        ];
        for origin in origins.iter().chain(&origins) {
            ring.record(origin, &rejection(1), 0);
        }
        let found = ring.newest(10).entries;
        assert!(found.iter().all(|entry| entry.requests == 2), "{found:?}");
        assert!(found.iter().rev().map(|entry| &entry.origin).eq(&origins), "{found:?}");
    }

    #[test]
    fn many_senders_in_turn_have_one_entry_each() {
        let mut ring = RejectionRing::new(1 << 20);
        for round in 0..3 {
            for host in 0..200 {
                ring.record(&origin(host), &rejection(1), round);
            }
        }
        let recent = ring.newest(usize::MAX);
        assert_eq!((recent.entries.len(), recent.dropped_entries), (200, 0));
        assert!(recent.entries.iter().all(|entry| entry.requests == 3));
    }

    #[test]
    fn oldest_entries_are_dropped_and_counted() {
        let mut ring = RejectionRing::new(3 * (ENTRY_BYTES + 20));
        for host in 0..10 {
            ring.record(&origin(host), &rejection(u64::from(host)), 0);
        }
        let recent = ring.newest(2);
        assert_eq!(recent.entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [9, 8]);
        assert_eq!((recent.dropped_entries, recent.dropped_count), (7, 21));
    }

    proptest! {
        #[test]
        fn bytes_are_bounded_and_counts_add_up(
            max_bytes in 0..8 * ENTRY_BYTES,
            records in prop::collection::vec((0..5u8, 0..1000u64, 0..400usize, 0..60_000i64), 0..200),
        ) {
            let mut ring = RejectionRing::new(max_bytes);
            let mut total = 0;
            for (host, count, length, now_ms) in records {
                let text = "é".repeat(length);
                let rejection = Rejection { series: &text, detail: &text, ..rejection(count) };
                let origin = if host == 0 { origin(host) } else { with_user(host, &text) };
                ring.record(&origin, &rejection, now_ms);
                total += count;
                let recent = ring.newest(usize::MAX);
                let kept: u64 = recent.entries.iter().map(|entry| entry.count).sum();
                prop_assert_eq!(kept + recent.dropped_count, total);
                prop_assert_eq!(ring.bytes, recent.entries.iter().map(memory).sum::<usize>());
                prop_assert!(ring.bytes <= max_bytes, "{} of {}", ring.bytes, max_bytes);
                prop_assert!(ring.newest.len() <= ring.entries.len());
                prop_assert!(ring.newest.values().all(|number| ring.entries.contains_key(number)));
            }
        }
    }
}

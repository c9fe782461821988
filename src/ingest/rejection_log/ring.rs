//! Ring of the newest entries. Older ones are dropped and counted.
//!
//! A request joins an entry of the same sender, user and reason if that is recent. So a sender that
//! repeats itself does not displace the entries of others, and costs no memory.
//!
//! # Invariant
//! The entries and the counts of dropped ones add up to everything that was recorded.

use crate::ingest::named_series::truncate;
use crate::ingest::rejection_log::entry::{
    RecentRejections, Rejection, RejectionEntry, RequestOrigin,
};
use std::collections::VecDeque;

/// Number of newest entries that a request may join, and maximum age of such an entry, ms.
const JOINABLE_ENTRIES: usize = 32;
const JOINABLE_MS: i64 = 10_000;
/// Memory of an entry without its strings, bytes: the queue may have room for twice its entries,
/// and each string has two counters.
const ENTRY_BYTES: usize = 2 * size_of::<RejectionEntry>() + 6 * size_of::<usize>();

/// Ring of entries within a number of bytes.
#[derive(Debug)]
pub(super) struct RejectionRing {
    /// Entries by the time of their last request, oldest first.
    entries: VecDeque<RejectionEntry>,
    bytes: usize,
    max_bytes: usize,
    dropped_entries: u64,
    dropped_count: u64,
}

impl RejectionRing {
    pub(super) fn new(max_bytes: usize) -> Self {
        let entries = VecDeque::new();
        Self { entries, bytes: 0, max_bytes, dropped_entries: 0, dropped_count: 0 }
    }

    /// Records a rejection at `now_ms`.
    pub(super) fn record(
        &mut self,
        origin: &RequestOrigin,
        rejection: &Rejection<'_>,
        now_ms: i64,
    ) {
        if let Some(mut entry) = self.take_joinable(origin, rejection, now_ms) {
            entry.last_ms = now_ms;
            entry.count = entry.count.saturating_add(rejection.count);
            entry.requests = entry.requests.saturating_add(1);
            self.entries.push_back(entry);
            return;
        }
        let entry = RejectionEntry {
            first_ms: now_ms,
            last_ms: now_ms,
            origin: origin.clone(),
            reason: rejection.reason,
            limit: rejection.limit,
            // Series are truncated already.
            series: rejection.series.into(),
            detail: truncate(rejection.detail).into(),
            count: rejection.count,
            requests: 1,
        };
        self.bytes += memory(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= memory(&oldest);
            self.dropped_entries = self.dropped_entries.saturating_add(1);
            self.dropped_count = self.dropped_count.saturating_add(oldest.count);
        }
    }

    /// Removes the entry that the rejection joins.
    fn take_joinable(
        &mut self,
        origin: &RequestOrigin,
        rejection: &Rejection<'_>,
        now_ms: i64,
    ) -> Option<RejectionEntry> {
        let newest = self.entries.iter().rev().take(JOINABLE_ENTRIES);
        let position = newest.enumerate().find_map(|(position, entry)| {
            let is_same = entry.reason == rejection.reason
                && entry.limit == rejection.limit
                && entry.origin == *origin
                && now_ms.abs_diff(entry.first_ms) < JOINABLE_MS as u64;
            is_same.then_some(position)
        })?;
        self.entries.remove(self.entries.len() - 1 - position)
    }

    /// Returns the newest entries, newest first, at most `limit`.
    pub(super) fn newest(&self, limit: usize) -> RecentRejections {
        RecentRejections {
            entries: self.entries.iter().rev().take(limit).cloned().collect(),
            dropped_entries: self.dropped_entries,
            dropped_count: self.dropped_count,
        }
    }
}

/// Returns the memory of an entry, bytes. Entries of a user share the name, but after a change of
/// the users each may be the last one that holds it.
fn memory(entry: &RejectionEntry) -> usize {
    let user = entry.origin.user.as_ref().map_or(0, |name| name.len());
    ENTRY_BYTES + user + entry.series.len() + entry.detail.len()
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, JOINABLE_MS, RejectionRing, memory};
    use crate::ingest::rejection_log::entry::{Protocol, Rejection, RequestOrigin};
    use proptest::prelude::*;

    fn origin(host: u8) -> RequestOrigin {
        let address = Some([192, 0, 2, host].into());
        RequestOrigin { protocol: Protocol::RemoteWriteV1, address, user: None }
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
            }
        }
    }
}

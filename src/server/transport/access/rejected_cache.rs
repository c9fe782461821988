//! Results of wrong passwords, so that a repeated one costs no computation.
//!
//! Bounded in number and age; the oldest entry is removed first. Verified passwords are kept
//! elsewhere ([`UserTable`](super::user_table::UserTable)), so no number of wrong ones evicts them.

use crate::server::transport::access::digest::Digest;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Maximum number of entries: about 1 MiB.
const MAX_ENTRIES: usize = 8192;
/// Maximum age of an entry.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Digests of rejected credentials.
#[derive(Debug, Default)]
pub(super) struct RejectedCache {
    /// Time of the rejection.
    entries: HashMap<Digest, Instant>,
    /// Entries in order of their time.
    order: VecDeque<Digest>,
}

impl RejectedCache {
    /// Returns `true` if the credentials were rejected recently.
    pub(super) fn contains(&self, digest: &Digest, now: Instant) -> bool {
        self.entries.get(digest).is_some_and(|at| now.saturating_duration_since(*at) < MAX_AGE)
    }

    /// Adds rejected credentials. `now` must not decrease between calls.
    pub(super) fn insert(&mut self, digest: Digest, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let is_expired = !self.contains(oldest, now);
            if !is_expired && self.entries.len() < MAX_ENTRIES {
                break;
            }
            self.entries.remove(oldest);
            self.order.pop_front();
        }
        if self.entries.insert(digest, now).is_none() {
            self.order.push_back(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_AGE, MAX_ENTRIES, RejectedCache};
    use crate::server::transport::access::digest::Digest;
    use std::time::{Duration, Instant};

    fn digest(number: usize) -> Digest {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Digest::from(bytes)
    }

    #[test]
    fn oldest_entries_are_evicted_at_the_limit() {
        let (mut cache, now) = (RejectedCache::default(), Instant::now());
        for number in 0..3 * MAX_ENTRIES {
            cache.insert(digest(number), now);
            assert!(cache.entries.len() <= MAX_ENTRIES && cache.order.len() <= MAX_ENTRIES);
        }
        assert!(!cache.contains(&digest(2 * MAX_ENTRIES - 1), now));
        assert!(cache.contains(&digest(2 * MAX_ENTRIES), now));
        assert!(cache.contains(&digest(3 * MAX_ENTRIES - 1), now));
    }

    #[test]
    fn entries_expire() {
        let (mut cache, start) = (RejectedCache::default(), Instant::now());
        cache.insert(digest(1), start);
        cache.insert(digest(2), start + Duration::from_secs(1));
        let later = start + MAX_AGE;
        assert!(!cache.contains(&digest(1), later) && cache.contains(&digest(2), later));
        cache.insert(digest(3), later);
        assert_eq!((cache.entries.len(), cache.order.len()), (2, 2));
        // A repeated insertion of a valid entry, which two computations may cause.
        cache.insert(digest(3), later);
        assert_eq!((cache.entries.len(), cache.order.len()), (2, 2));
    }
}

//! Users of the web configuration, and the results of their passwords.
//!
//! # Unknown users
//! An unknown user is checked against the hash of a configured one, and fails whatever the result.
//! A keyed hash of the name selects it, so an unknown user costs as much as some known one, at
//! every attempt. The look-up of a known user computes the same hash.
//!
//! # Caches
//! The digest of a verified password is a field of its user, and is forgotten after an hour without
//! use. Rejected passwords are in a [`RejectedCache`]. A changed set of users is a new table, which
//! takes over the verified passwords of the users whose hash is the same, so that a change of one
//! user does not cost the others a check. It starts without rejected passwords: other users stand
//! in for unknown ones, so cached results of known users alone would reveal them.

use crate::config::web::contents::PasswordHash;
use crate::server::transport::access::bcrypt_key::BcryptKey;
use crate::server::transport::access::credentials::BasicCredentials;
use crate::server::transport::access::digest::{Digest, DigestKey};
use crate::server::transport::access::rejected_cache::RejectedCache;
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time without use after which a verified password is forgotten.
const MAX_IDLE: Duration = Duration::from_secs(3600);

/// Verified password of a user.
#[derive(Clone, Copy, Debug)]
struct VerifiedPassword {
    digest: Digest,
    used_at: Instant,
}

/// User with the result of its password.
struct User {
    name: Arc<str>,
    hash: PasswordHash,
    verified: Mutex<Option<VerifiedPassword>>,
}

/// Credentials of a request, and the user whose hash they are compared with.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    user: usize,
    /// `false` for an unknown user, whose password is compared with the hash of a known user.
    is_known: bool,
    pub(super) digest: Digest,
    key: BcryptKey,
}

/// Configured users, at least one.
pub(super) struct UserTable {
    hasher: RandomState,
    users: Vec<User>,
    /// Indexes of `users`, by name.
    by_name: HashTable<usize>,
    rejected: Mutex<RejectedCache>,
}

impl fmt::Debug for UserTable {
    /// Hides names and hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserTable").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl UserTable {
    /// Creates a table with the verified passwords of `previous` that are still right. Returns
    /// `None` without users.
    pub(super) fn new(
        users: &BTreeMap<String, PasswordHash>,
        previous: Option<&Self>,
    ) -> Option<Self> {
        let hasher = RandomState::new();
        let mut table = Self {
            hasher,
            users: Vec::with_capacity(users.len()),
            by_name: HashTable::with_capacity(users.len()),
            rejected: Mutex::default(),
        };
        for (name, hash) in users {
            let index = table.users.len();
            let verified = previous.and_then(|table| table.verified(name.as_bytes(), hash));
            table.users.push(User {
                name: name.as_str().into(),
                hash: hash.clone(),
                verified: Mutex::new(verified),
            });
            let Self { hasher, users, by_name, .. } = &mut table;
            let hash_of = |index: &usize| hasher.hash_one(users[*index].name.as_bytes());
            by_name.insert_unique(hash_of(&index), index, hash_of);
        }
        (!table.users.is_empty()).then_some(table)
    }

    /// Returns `true` if the table has exactly these users and hashes.
    pub(super) fn is_equal_to(&self, users: &BTreeMap<String, PasswordHash>) -> bool {
        // Both are sorted by name.
        self.users.len() == users.len()
            && self
                .users
                .iter()
                .zip(users)
                .all(|(user, (name, hash))| *user.name == **name && user.hash == *hash)
    }

    /// Returns the index of a user. `hash` is that of its name.
    fn find(&self, hash: u64, name: &[u8]) -> Option<usize> {
        self.by_name.find(hash, |index| self.users[*index].name.as_bytes() == name).copied()
    }

    /// Returns the verified password of a user with this hash.
    fn verified(&self, name: &[u8], hash: &PasswordHash) -> Option<VerifiedPassword> {
        let user = &self.users[self.find(self.hasher.hash_one(name), name)?];
        (user.hash == *hash).then(|| *user.verified.lock()).flatten()
    }

    /// Returns what has to be compared for these credentials.
    pub(super) fn candidate(&self, key: &DigestKey, credentials: &BasicCredentials) -> Candidate {
        let name = credentials.user();
        let hash = self.hasher.hash_one(name);
        let found = self.find(hash, name);
        // The number of users fits into 64 bits, and the remainder into an index.
        let stand_in = (hash % self.users.len() as u64) as usize;
        let (user, is_known) = found.map_or((stand_in, false), |index| (index, true));
        let password = BcryptKey::new(credentials.password());
        let digest = key.digest(name, &self.users[user].hash, is_known, &password);
        Candidate { user, is_known, digest, key: password }
    }

    /// Returns the name of the user whose hash these credentials are compared with. It is that of
    /// the sender only if they match.
    pub(super) fn user_name(&self, candidate: &Candidate) -> Arc<str> {
        self.users[candidate.user].name.clone()
    }

    /// Returns the result of an earlier check of the same credentials.
    pub(super) fn cached_result(&self, candidate: &Candidate, now: Instant) -> Option<bool> {
        if self.is_verified(candidate, now) {
            return Some(true);
        }
        self.rejected.lock().contains(&candidate.digest, now).then_some(false)
    }

    fn is_verified(&self, candidate: &Candidate, now: Instant) -> bool {
        let mut verified = self.users[candidate.user].verified.lock();
        let found = verified.as_mut().filter(|verified| {
            verified.digest == candidate.digest
                && now.saturating_duration_since(verified.used_at) < MAX_IDLE
        });
        match found {
            Some(verified) => {
                verified.used_at = now;
                true
            }
            None => false,
        }
    }

    /// Compares password and hash, which takes milliseconds to seconds. The time does not depend on
    /// whether the user exists.
    pub(super) fn compare(&self, candidate: &Candidate) -> bool {
        candidate.key.matches(&self.users[candidate.user].hash) & candidate.is_known
    }

    /// Caches the result of [`Self::compare`].
    pub(super) fn record(&self, candidate: &Candidate, is_match: bool, now: Instant) {
        if is_match {
            let verified = VerifiedPassword { digest: candidate.digest, used_at: now };
            *self.users[candidate.user].verified.lock() = Some(verified);
        } else {
            self.rejected.lock().insert(candidate.digest, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, DigestKey, MAX_IDLE, UserTable};
    use crate::config::web::contents::PasswordHash;
    use crate::server::transport::access::credentials::BasicCredentials;
    use axum::http::HeaderMap;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::collections::{BTreeMap, HashSet};
    use std::time::{Duration, Instant};

    fn hash(password: &str, cost: u32) -> PasswordHash {
        PasswordHash(bcrypt::hash_with_salt(password, cost, [3; 16]).unwrap().to_string())
    }

    fn users(given: &[(&str, &str)]) -> BTreeMap<String, PasswordHash> {
        let users = given.iter().map(|(name, password)| ((*name).to_owned(), hash(password, 4)));
        users.collect()
    }

    fn credentials(user: &str, password: &str) -> BasicCredentials {
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        BasicCredentials::from_headers(&headers).unwrap()
    }

    struct Fixture {
        table: UserTable,
        key: DigestKey,
    }

    impl Fixture {
        fn new(given: &[(&str, &str)]) -> Self {
            let table = UserTable::new(&users(given), None).unwrap();
            Self { table, key: DigestKey::generate().unwrap() }
        }

        fn candidate(&self, user: &str, password: &str) -> Candidate {
            self.table.candidate(&self.key, &credentials(user, password))
        }

        fn check(&self, user: &str, password: &str) -> bool {
            self.table.compare(&self.candidate(user, password))
        }
    }

    #[test]
    fn only_the_password_of_the_user_matches() {
        let fixture = Fixture::new(&[("a", "one"), ("b", "two"), ("", "empty"), ("c", "")]);
        assert!(fixture.check("a", "one") && fixture.check("b", "two"));
        assert!(fixture.check("", "empty") && fixture.check("c", ""));
        assert!(!fixture.check("a", "two") && !fixture.check("a", "") && !fixture.check("", ""));
        for password in ["one", "two", "empty", ""] {
            assert!(!fixture.check("nobody", password) && !fixture.check("A", password));
        }
        assert!(UserTable::new(&BTreeMap::new(), None).is_none());
    }

    #[test]
    fn same_known_user_always_stands_in_for_an_unknown_one() {
        let fixture = Fixture::new(&[("a", "one"), ("b", "two"), ("c", "three")]);
        let mut stand_ins = HashSet::new();
        for number in 0..64 {
            let name = format!("unknown {number}");
            let candidate = fixture.candidate(&name, "x");
            assert!(!candidate.is_known);
            assert_eq!(candidate.user, fixture.candidate(&name, "another").user);
            stand_ins.insert(candidate.user);
        }
        assert_eq!(stand_ins.len(), 3, "a user never stands in");
    }

    #[test]
    fn results_are_cached_until_they_expire() {
        let fixture = Fixture::new(&[("a", "one"), ("b", "one")]);
        let (table, now) = (&fixture.table, Instant::now());
        let (good, bad) = (fixture.candidate("a", "one"), fixture.candidate("a", "two"));
        let (other, nobody) = (fixture.candidate("b", "one"), fixture.candidate("nobody", "one"));
        for candidate in [&good, &bad, &other, &nobody] {
            assert_eq!(table.cached_result(candidate, now), None);
        }
        for candidate in [&good, &bad, &nobody] {
            table.record(candidate, table.compare(candidate), now);
        }
        let results = [&good, &bad, &other, &nobody].map(|c| table.cached_result(c, now));
        assert_eq!(results, [Some(true), Some(false), None, Some(false)]);
        // Each use extends the time.
        let step = MAX_IDLE - Duration::from_secs(1);
        assert_eq!(table.cached_result(&good, now + step), Some(true));
        assert_eq!(table.cached_result(&good, now + 2 * step), Some(true));
        assert_eq!(table.cached_result(&good, now + 2 * step + MAX_IDLE), None);
        assert_eq!(table.cached_result(&bad, now + 2 * step), None);
    }

    #[test]
    fn changed_users_are_recognized() {
        let table = UserTable::new(&users(&[("a", "one"), ("b", "two")]), None).unwrap();
        assert!(table.is_equal_to(&users(&[("b", "two"), ("a", "one")])));
        for other in [
            &[("a", "one")][..],
            &[("a", "one"), ("b", "three")],
            &[("a", "one"), ("c", "two")],
            &[("a", "one"), ("b", "two"), ("c", "")],
        ] {
            assert!(!table.is_equal_to(&users(other)), "{other:?}");
        }
        assert_eq!(format!("{table:?}"), "UserTable { users: 2, .. }");
    }
}

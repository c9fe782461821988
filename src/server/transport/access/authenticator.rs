//! Check of the credentials of a request against the current users.
//!
//! # Cost
//! A repeated password costs one HMAC and one look-up. Any other costs one computation of bcrypt,
//! for which it waits in a bounded queue (`check_queue`). Without users, requests need no
//! credentials and cost one lock.
//!
//! # Invariant
//! The response to an unknown user and to a wrong password is the same and takes the same time.

use crate::config::web::contents::PasswordHash;
use crate::metrics::registry::{Counter, Registry};
use crate::server::transport::access::credentials::BasicCredentials;
use crate::server::transport::access::digest::DigestKey;
use crate::server::transport::access::password_checks::{CheckPasswordError, PasswordChecks};
use crate::server::transport::access::user_table::UserTable;
use crate::server::transport::client_limit::PeerAddress;
use axum::http::HeaderMap;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Users and the results of their passwords.
#[derive(Debug)]
pub struct Authenticator {
    key: DigestKey,
    /// `None` without users: everything is open.
    users: RwLock<Option<Arc<UserTable>>>,
    checks: PasswordChecks,
    cache_hits: Counter,
    cache_misses: Counter,
}

/// Name of the user whose password a request has. An extension of admitted requests; absent if no
/// password was checked. The name is that of the user table, without a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthenticatedUser(pub(crate) Arc<str>);

/// Result of the credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No password is needed.
    Open,
    /// The password is that of the user.
    Accepted(AuthenticatedUser),
    /// The credentials are missing, malformed or wrong.
    Rejected,
}

impl Authenticator {
    /// Creates an authenticator without users and registers its metrics. `num_checks` is the number
    /// of concurrent computations of bcrypt.
    ///
    /// # Errors
    /// The error of the system's random number generator.
    pub(crate) fn register(registry: &mut Registry, num_checks: usize) -> io::Result<Self> {
        Ok(Self {
            key: DigestKey::generate()?,
            users: RwLock::default(),
            checks: PasswordChecks::register(registry, num_checks),
            cache_hits: registry.counter(
                "narthex_password_cache_hits_total",
                "Requests whose password had a cached result.",
            ),
            cache_misses: registry.counter(
                "narthex_password_cache_misses_total",
                "Requests whose password needed a computation of bcrypt.",
            ),
        })
    }

    /// Replaces the users for new requests. Keeps only the verified passwords of users whose hash
    /// is the same, and all results if no user changed.
    pub(crate) fn replace_users(&self, users: &BTreeMap<String, PasswordHash>) {
        let mut current = self.users.write();
        let is_unchanged = match &*current {
            Some(table) => table.is_equal_to(users),
            None => users.is_empty(),
        };
        if !is_unchanged {
            *current = UserTable::new(users, current.as_deref()).map(Arc::new);
        }
    }

    /// Checks the credentials of a request.
    ///
    /// # Errors
    /// [`CheckPasswordError`].
    pub(super) async fn verify(
        &self,
        headers: &HeaderMap,
        client: Option<PeerAddress>,
    ) -> Result<Verdict, CheckPasswordError> {
        let Some(table) = self.users.read().clone() else { return Ok(Verdict::Open) };
        let Some(credentials) = BasicCredentials::from_headers(headers) else {
            return Ok(Verdict::Rejected);
        };
        let candidate = table.candidate(&self.key, &credentials);
        let user = table.user_name(&candidate);
        let client = client.into();
        let is_match = if let Some(is_match) = table.cached_result(&candidate, Instant::now()) {
            self.cache_hits.inc();
            is_match
        } else {
            self.cache_misses.inc();
            // Boxed, so that requests with a cached result do not carry the space of a check.
            Box::pin(self.checks.check(table, candidate, client)).await?
        };
        if !is_match {
            return Ok(Verdict::Rejected);
        }
        self.checks.record_verified(client, Instant::now());
        Ok(Verdict::Accepted(AuthenticatedUser(user)))
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthenticatedUser, Authenticator, Verdict};
    use crate::config::web::contents::PasswordHash;
    use crate::metrics::registry::Registry;
    use crate::server::transport::client_limit::PeerAddress;
    use axum::http::HeaderMap;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    fn authenticator(users: &[(&str, &str, u32)]) -> Arc<Authenticator> {
        let authenticator = Authenticator::register(&mut Registry::new(), 1).unwrap();
        authenticator.replace_users(&hashes(users));
        Arc::new(authenticator)
    }

    fn hashes(users: &[(&str, &str, u32)]) -> BTreeMap<String, PasswordHash> {
        let users = users.iter().map(|(name, password, cost)| {
            let hash = bcrypt::hash_with_salt(password, *cost, [3; 16]).unwrap().to_string();
            ((*name).to_owned(), PasswordHash(hash))
        });
        users.collect()
    }

    fn headers(user: &str, password: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        headers.insert("authorization", value.parse().unwrap());
        headers
    }

    fn accepted(user: &str) -> Verdict {
        Verdict::Accepted(AuthenticatedUser(user.into()))
    }

    async fn verify(authenticator: &Authenticator, user: &str, password: &str) -> Verdict {
        authenticator.verify(&headers(user, password), None).await.unwrap()
    }

    #[tokio::test]
    async fn repeated_credentials_need_no_computation() {
        let authenticator = authenticator(&[("a", "one", 4), ("b", "two", 5)]);
        for _ in 0..3 {
            assert_eq!(verify(&authenticator, "a", "one").await, accepted("a"));
            assert_eq!(verify(&authenticator, "b", "two").await, accepted("b"));
            assert_eq!(verify(&authenticator, "a", "two").await, Verdict::Rejected);
            assert_eq!(verify(&authenticator, "nobody", "two").await, Verdict::Rejected);
        }
        assert_eq!((authenticator.cache_misses.get(), authenticator.cache_hits.get()), (4, 8));
        let none = authenticator.verify(&HeaderMap::new(), None).await.unwrap();
        assert_eq!(none, Verdict::Rejected);
        assert_eq!((authenticator.cache_misses.get(), authenticator.cache_hits.get()), (4, 8));
    }

    #[tokio::test]
    async fn concurrent_requests_share_a_computation() {
        let authenticator = authenticator(&[("a", "one", 8)]);
        let requests: Vec<_> = (0..200)
            .map(|_| {
                let authenticator = authenticator.clone();
                tokio::spawn(async move { verify(&authenticator, "a", "one").await })
            })
            .collect();
        for request in requests {
            // Without sharing, the limit of 128 checks per client would reject some.
            assert_eq!(request.await.unwrap(), accepted("a"));
        }
    }

    #[tokio::test]
    async fn changed_users_forget_results_and_unchanged_ones_do_not() {
        let authenticator = authenticator(&[("a", "one", 4), ("b", "two", 4)]);
        let misses = || authenticator.cache_misses.get();
        assert_eq!(verify(&authenticator, "a", "one").await, accepted("a"));
        assert_eq!(verify(&authenticator, "b", "two").await, accepted("b"));
        assert_eq!(verify(&authenticator, "b", "one").await, Verdict::Rejected);
        authenticator.replace_users(&hashes(&[("a", "one", 4), ("b", "two", 4)]));
        assert_eq!(verify(&authenticator, "b", "one").await, Verdict::Rejected);
        assert_eq!(misses(), 3);
        authenticator.replace_users(&hashes(&[("a", "two", 4), ("b", "two", 4)]));
        assert_eq!(verify(&authenticator, "b", "two").await, accepted("b"));
        assert_eq!(misses(), 3, "the user is unchanged");
        assert_eq!(verify(&authenticator, "a", "one").await, Verdict::Rejected);
        assert_eq!(verify(&authenticator, "a", "two").await, accepted("a"));
        assert_eq!(verify(&authenticator, "b", "one").await, Verdict::Rejected);
        assert_eq!(misses(), 6, "wrong passwords are forgotten");
        authenticator.replace_users(&hashes(&[("a", "two", 4)]));
        assert_eq!(verify(&authenticator, "b", "two").await, Verdict::Rejected);
        authenticator.replace_users(&BTreeMap::new());
        assert_eq!(verify(&authenticator, "a", "wrong").await, Verdict::Open);
    }

    #[tokio::test]
    async fn known_sender_does_not_wait_for_a_flood_after_a_change() {
        let authenticator = authenticator(&[("a", "one", 4)]);
        let address = |number: u32| Some(PeerAddress(Ipv4Addr::from_bits(number).into()));
        let known = authenticator.verify(&headers("a", "one"), address(0)).await;
        assert_eq!(known, Ok(accepted("a")));
        authenticator.replace_users(&hashes(&[("a", "two", 8)]));
        let flood: Vec<_> = (1..1500)
            .map(|number| {
                let authenticator = authenticator.clone();
                let headers = headers("a", &format!("wrong {number}"));
                tokio::spawn(async move { authenticator.verify(&headers, address(number)).await })
            })
            .collect();
        while authenticator.cache_misses.get() < 1500 {
            tokio::task::yield_now().await;
        }
        let known = authenticator.verify(&headers("a", "two"), address(0)).await;
        assert_eq!(known, Ok(accepted("a")));
        // The flood still waits: only the queue's excess and very few others have a result.
        let waiting = flood.iter().filter(|request| !request.is_finished()).count();
        assert!(waiting > 900, "{waiting} requests wait");
        for request in flood {
            request.abort();
        }
    }

    #[tokio::test]
    async fn cached_sender_does_not_wait_for_a_flood() {
        let authenticator = authenticator(&[("a", "one", 9)]);
        assert_eq!(verify(&authenticator, "a", "one").await, accepted("a"));
        let address = Some(PeerAddress([192, 0, 2, 1].into()));
        let flood: Vec<_> = (0..200)
            .map(|number| {
                let authenticator = authenticator.clone();
                let headers = headers("a", &format!("wrong {number}"));
                tokio::spawn(async move { authenticator.verify(&headers, address).await })
            })
            .collect();
        // Let all of them join the queue.
        while authenticator.cache_misses.get() < 201 {
            tokio::task::yield_now().await;
        }
        // The tests run on one thread, so a wait would end only with a computation.
        let known = tokio::time::timeout(std::time::Duration::ZERO, async {
            authenticator.verify(&headers("a", "one"), address).await
        });
        assert_eq!(known.await.unwrap(), Ok(accepted("a")));
        for request in flood {
            request.abort();
        }
    }

    #[tokio::test]
    async fn check_without_waiting_request_is_dropped() {
        let authenticator = authenticator(&[("a", "one", 10)]);
        let request = |number: u32| {
            let authenticator = authenticator.clone();
            let headers = headers("a", &format!("wrong {number}"));
            tokio::spawn(async move { authenticator.verify(&headers, None).await })
        };
        let requests: Vec<_> = (0..100).map(request).collect();
        while authenticator.cache_misses.get() < 100 {
            tokio::task::yield_now().await;
        }
        for request in requests {
            request.abort();
        }
        // Behind at most the one check that runs.
        assert_eq!(verify(&authenticator, "a", "one").await, accepted("a"));
        assert_eq!(authenticator.cache_misses.get(), 101);
    }
}

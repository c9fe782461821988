//! Computations of bcrypt: queued and shared.
//!
//! Requests with the same credentials share one computation. It runs in a task of its own, so a
//! request that disconnects does not abort it for the others; without any request left, a waiting
//! computation is dropped. The number of permits bounds the computations at the same time.
//!
//! A request waits for a limited time. Its computation goes on, so that a retry finds the result.

use crate::metrics::registry::Registry;
use crate::server::transport::access::check_queue::{CheckPermit, CheckQueue, TooManyChecks};
use crate::server::transport::access::check_threads::CheckThreads;
use crate::server::transport::access::digest::Digest;
use crate::server::transport::access::user_table::{Candidate, UserTable};
use crate::server::transport::client_limit::Client;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Maximum time that a request waits, in the queue and for a computation. Senders time out after
/// 30 s by default.
const MAX_TIME: Duration = Duration::from_secs(25);

/// Error of a check without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckPasswordError {
    /// The check did not start.
    #[error(transparent)]
    TooMany(#[from] TooManyChecks),
    /// The check has not finished in time.
    #[error("the password check takes too long")]
    TooSlow,
    /// The check did not finish: its thread was not created, or panicked.
    #[error("internal error while checking a password")]
    Failed,
}

type CheckResult = Result<bool, CheckPasswordError>;
type ResultSender = Arc<watch::Sender<Option<CheckResult>>>;

/// Running and waiting computations. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct PasswordChecks {
    queue: Arc<CheckQueue>,
    /// Senders of the results. An entry is removed before its result is sent.
    running: Arc<Mutex<HashMap<Digest, ResultSender>>>,
    threads: Arc<CheckThreads>,
    max_time: Duration,
}

impl PasswordChecks {
    /// Creates the queue. `num_permits` computations run at the same time.
    pub(super) fn register(registry: &mut Registry, num_permits: usize) -> Self {
        let queue = Arc::new(CheckQueue::new(num_permits));
        queue.register(registry);
        let threads = Arc::new(CheckThreads::new(num_permits));
        Self { queue, running: Arc::default(), threads, max_time: MAX_TIME }
    }

    /// Gives the next checks of a client that sent a right password precedence.
    pub(super) fn record_verified(&self, client: Client, now: Instant) {
        self.queue.record_verified(client, now);
    }

    /// Checks credentials whose result is not cached, and caches it.
    ///
    /// # Errors
    /// [`CheckPasswordError`].
    pub(super) async fn check(
        &self,
        table: Arc<UserTable>,
        candidate: Candidate,
        client: Client,
    ) -> CheckResult {
        let mut result = {
            let mut running = self.running.lock();
            if let Some(sender) = running.get(&candidate.digest) {
                sender.subscribe()
            } else if let Some(is_match) = table.cached_result(&candidate, Instant::now()) {
                // The computation ended since the caller looked.
                return Ok(is_match);
            } else {
                let (sender, result) = watch::channel(None);
                let sender = Arc::new(sender);
                running.insert(candidate.digest, sender.clone());
                tokio::spawn(self.clone().run(table, candidate, client, sender));
                result
            }
        };
        let waited = tokio::time::timeout(self.max_time, result.wait_for(Option::is_some)).await;
        match waited.map(|result| result.map(|result| *result)) {
            Ok(Ok(Some(result))) => result,
            // The runtime is shutting down.
            Ok(Ok(None) | Err(_)) => Err(CheckPasswordError::Failed),
            Err(_) => {
                self.queue.count_rejected();
                Err(CheckPasswordError::TooSlow)
            }
        }
    }

    async fn run(
        self,
        table: Arc<UserTable>,
        candidate: Candidate,
        client: Client,
        sender: ResultSender,
    ) {
        let mut acquired = pin!(self.queue.acquire(client));
        let permit = loop {
            tokio::select! {
                permit = &mut acquired => break permit,
                () = sender.closed() => {
                    let mut running = self.running.lock();
                    // A request may have subscribed in between.
                    if sender.receiver_count() == 0 {
                        running.remove(&candidate.digest);
                        return;
                    }
                }
            }
        };
        let digest = candidate.digest;
        let result = match permit {
            Ok(permit) => self.compute(permit, table, candidate).await,
            Err(error) => Err(error.into()),
        };
        self.running.lock().remove(&digest);
        sender.send_replace(Some(result));
    }

    /// Compares password and hash on a thread, and caches the result.
    async fn compute(
        &self,
        permit: CheckPermit,
        table: Arc<UserTable>,
        candidate: Candidate,
    ) -> CheckResult {
        let compare = {
            let (table, candidate) = (table.clone(), candidate.clone());
            move || table.compare(&candidate)
        };
        let result = self.threads.run(compare).await;
        drop(permit);
        let is_match = result.map_err(|error| {
            tracing::error!(%error, "password check failed");
            CheckPasswordError::Failed
        })?;
        table.record(&candidate, is_match, Instant::now());
        Ok(is_match)
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckPasswordError, PasswordChecks};
    use crate::config::web::contents::PasswordHash;
    use crate::metrics::registry::Registry;
    use crate::server::transport::access::credentials::BasicCredentials;
    use crate::server::transport::access::digest::DigestKey;
    use crate::server::transport::access::user_table::UserTable;
    use crate::server::transport::client_limit::Client;
    use axum::http::HeaderMap;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[tokio::test]
    async fn slow_check_is_rejected_in_time_and_its_result_is_cached() {
        let hash = bcrypt::hash_with_salt("b", 8, [3; 16]).unwrap().to_string();
        let users = [("a".to_owned(), PasswordHash(hash))].into();
        let table = Arc::new(UserTable::new(&users, None).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic YTpi".parse().unwrap());
        let credentials = BasicCredentials::from_headers(&headers).unwrap();
        let candidate = table.candidate(&DigestKey::generate().unwrap(), &credentials);
        let checks = PasswordChecks {
            max_time: Duration::ZERO,
            ..PasswordChecks::register(&mut Registry::new(), 1)
        };
        let check = || checks.check(table.clone(), candidate.clone(), Client::Unknown);
        assert_eq!(check().await, Err(CheckPasswordError::TooSlow));
        // A computation that started goes on without a request that waits.
        while table.cached_result(&candidate, Instant::now()).is_none() {
            assert_ne!(check().await, Ok(false));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(check().await, Ok(true));
    }
}

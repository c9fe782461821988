//! Computations of bcrypt: queued, shared, on threads of low priority.
//!
//! Requests with the same credentials share one computation. It runs in a task of its own, so a
//! request that disconnects does not abort it for the others; without any request left, a waiting
//! computation is dropped. Each computation has a thread with a low priority, because a flood of
//! wrong passwords must not slow down other requests. The number of permits bounds the threads.

use crate::metrics::registry::Registry;
use crate::server::transport::access::check_queue::{CheckPermit, CheckQueue, TooManyChecks};
use crate::server::transport::access::digest::Digest;
use crate::server::transport::access::user_table::{Candidate, UserTable};
use crate::server::transport::client_limit::Client;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// Increment of the nice value of a computation: it gets about a tenth of the processor time of a
/// busy thread next to it.
const NICENESS: i32 = 10;

/// Error of a check without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckPasswordError {
    /// The check did not start.
    #[error(transparent)]
    TooMany(#[from] TooManyChecks),
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
}

impl PasswordChecks {
    /// Creates the queue. `num_permits` computations run at the same time.
    pub(super) fn register(registry: &mut Registry, num_permits: usize) -> Self {
        let queue = Arc::new(CheckQueue::new(num_permits));
        queue.register(registry);
        Self { queue, running: Arc::default() }
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
        match result.wait_for(Option::is_some).await.map(|result| *result) {
            Ok(Some(result)) => result,
            // The runtime is shutting down.
            Ok(None) | Err(_) => Err(CheckPasswordError::Failed),
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
            Ok(permit) => compute(permit, table, candidate).await,
            Err(error) => Err(error.into()),
        };
        self.running.lock().remove(&digest);
        sender.send_replace(Some(result));
    }
}

/// Compares password and hash on a thread, and caches the result.
async fn compute(permit: CheckPermit, table: Arc<UserTable>, candidate: Candidate) -> CheckResult {
    let (sender, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("password-check".to_owned());
    let spawned = thread.spawn(move || {
        // An error is ignored: it costs only the priority.
        let _ = rustix::process::nice(NICENESS);
        let is_match = table.compare(&candidate);
        table.record(&candidate, is_match, Instant::now());
        drop(permit);
        // A send error is ignored: the runtime is shutting down.
        let _ = sender.send(is_match);
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "cannot create thread for password check");
        return Err(CheckPasswordError::Failed);
    }
    result.await.map_err(|_| CheckPasswordError::Failed)
}

//! Bounded queue of password checks, fair between clients.
//!
//! A check waits until `waiting_checks` starts it. A client beyond its share waits, because
//! immediate rejections would let it send the next wrong password at once.

use crate::metrics::registry::Registry;
use crate::server::transport::access::known_clients::KnownClients;
use crate::server::transport::access::waiting_checks::{CheckId, WaitingChecks};
use crate::server::transport::client_limit::Client;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Maximum time that a check waits. Senders time out after 30 s by default.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Error of a check that found the queue full, was evicted from it, or waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many password checks at once")]
pub(crate) struct TooManyChecks;

/// Queue of password checks.
#[derive(Debug)]
pub(super) struct CheckQueue {
    num_permits: usize,
    max_wait: Duration,
    checks: Arc<Mutex<WaitingChecks>>,
    known_clients: KnownClients,
    rejected: Arc<AtomicU64>,
}

/// Check that waits. Dropping it removes it.
#[derive(Debug)]
struct Waiter {
    client: Client,
    id: CheckId,
    started: oneshot::Receiver<()>,
    checks: Arc<Mutex<WaitingChecks>>,
}

/// Permit of a running check. Dropping it starts the next one.
#[derive(Debug)]
pub(super) struct CheckPermit {
    client: Client,
    checks: Arc<Mutex<WaitingChecks>>,
}

impl CheckQueue {
    /// Creates a queue that lets `num_permits` checks run.
    pub(super) fn new(num_permits: usize) -> Self {
        Self {
            num_permits,
            max_wait: MAX_WAIT,
            checks: Arc::new(Mutex::new(WaitingChecks::new(num_permits))),
            known_clients: KnownClients::default(),
            rejected: Arc::default(),
        }
    }

    /// Registers the metrics of the queue.
    pub(super) fn register(&self, registry: &mut Registry) {
        let num_permits = self.num_permits;
        let checks = self.checks.clone();
        registry.gauge_fn(
            "narthex_password_checks",
            "Running computations of bcrypt.",
            move || (num_permits - checks.lock().num_free_permits()) as f64,
        );
        registry.gauge_fn(
            "narthex_password_checks_limit",
            "Maximum number of concurrent computations of bcrypt.",
            move || num_permits as f64,
        );
        let checks = self.checks.clone();
        registry.gauge_fn(
            "narthex_password_checks_waiting",
            "Passwords that wait for a computation of bcrypt.",
            move || {
                let checks = checks.lock();
                let running = num_permits - checks.num_free_permits();
                checks.count().saturating_sub(running) as f64
            },
        );
        let rejected = self.rejected.clone();
        registry.counter_fn(
            "narthex_password_checks_rejected_total",
            "Passwords that were not checked, or not in time, because too many waited.",
            move || rejected.load(Ordering::Relaxed) as f64,
        );
    }

    /// Gives the next checks of a client that sent a right password precedence.
    pub(super) fn record_verified(&self, client: Client, now: Instant) {
        self.known_clients.record(client, now);
    }

    /// Counts a check that the request did not wait for.
    pub(super) fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`TooManyChecks`].
    pub(super) async fn acquire(&self, client: Client) -> Result<CheckPermit, TooManyChecks> {
        let acquired = match self.enter(client) {
            Some(waiter) => tokio::time::timeout(self.max_wait, waiter.wait()).await.ok().flatten(),
            None => None,
        };
        acquired.ok_or_else(|| {
            self.count_rejected();
            TooManyChecks
        })
    }

    fn enter(&self, client: Client) -> Option<Waiter> {
        let is_known = self.known_clients.contains(client, Instant::now());
        let (id, started) = self.checks.lock().add(client, is_known)?;
        Some(Waiter { client, id, started, checks: self.checks.clone() })
    }
}

impl Waiter {
    /// Returns `None` if the check was evicted.
    async fn wait(mut self) -> Option<CheckPermit> {
        (&mut self.started).await.ok()?;
        Some(CheckPermit { client: self.client, checks: self.checks.clone() })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut checks = self.checks.lock();
        // A message that nobody received is a permit that nobody returns. A receiver that has
        // received its message gets an error.
        if !checks.remove(self.client, self.id) && self.started.try_recv().is_ok() {
            checks.finish(self.client);
        }
    }
}

impl Drop for CheckPermit {
    fn drop(&mut self) {
        self.checks.lock().finish(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckQueue, TooManyChecks};
    use crate::server::transport::access::waiting_checks::{MAX_CHECKS, MAX_PER_CLIENT};
    use crate::server::transport::client_limit::{Client, PeerAddress};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::Ordering;
    use std::task::Poll;
    use std::time::{Duration, Instant};

    fn client(number: u32) -> Client {
        Some(PeerAddress(IpAddr::V4(Ipv4Addr::from_bits(number)))).into()
    }

    /// Polls `future` once and returns its output if it is ready.
    async fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn second_client_is_behind_few_checks_of_the_first() {
        let queue = CheckQueue::new(1);
        let running = queue.acquire(client(1)).await.unwrap();
        let mut flood: Vec<_> = (0..50).map(|_| Box::pin(queue.acquire(client(1)))).collect();
        for check in &mut flood {
            assert!(now(check).await.is_none());
        }
        let mut second = Box::pin(queue.acquire(client(2)));
        assert!(now(&mut second).await.is_none());
        drop(running);
        let permit = now(&mut flood[0]).await.unwrap().unwrap();
        assert!(now(&mut flood[1]).await.is_none() && now(&mut second).await.is_none());
        drop(permit);
        let permit = now(&mut second).await.unwrap().unwrap();
        drop(flood);
        drop(permit);
        let checks = queue.checks.lock();
        assert_eq!((checks.count(), checks.num_free_permits()), (0, 1));
    }

    #[tokio::test]
    async fn known_client_is_ahead_of_other_clients() {
        let queue = CheckQueue::new(1);
        queue.record_verified(client(99), Instant::now());
        let running = queue.acquire(client(0)).await.unwrap();
        let mut others: Vec<_> = (1..50).map(|id| Box::pin(queue.acquire(client(id)))).collect();
        for check in &mut others {
            assert!(now(check).await.is_none());
        }
        let mut known = Box::pin(queue.acquire(client(99)));
        assert!(now(&mut known).await.is_none());
        drop(running);
        assert!(now(&mut others[0]).await.is_none());
        now(&mut known).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn checks_beyond_the_limits_are_rejected() {
        let queue = CheckQueue::new(1);
        let mut waiters = Vec::new();
        for number in 0..MAX_CHECKS / MAX_PER_CLIENT {
            let client = client(number as u32);
            waiters.extend((0..MAX_PER_CLIENT).map(|_| queue.enter(client).unwrap()));
            assert_eq!(queue.acquire(client).await.unwrap_err(), TooManyChecks);
        }
        let mut first = Box::pin(queue.acquire(client(99)));
        assert!(now(&mut first).await.is_none());
        assert_eq!(queue.acquire(client(99)).await.unwrap_err(), TooManyChecks);
        assert_eq!(queue.rejected.load(Ordering::Relaxed), 9);
        // Started and evicted checks end without a trace, too.
        drop(waiters);
        drop(now(&mut first).await.unwrap().unwrap());
        let checks = queue.checks.lock();
        assert_eq!((checks.count(), checks.num_free_permits()), (0, 1));
    }

    #[tokio::test]
    async fn waiting_check_is_rejected_after_max_wait() {
        let queue = CheckQueue { max_wait: Duration::from_millis(20), ..CheckQueue::new(1) };
        let _running = queue.acquire(client(1)).await.unwrap();
        assert_eq!(queue.acquire(client(2)).await.unwrap_err(), TooManyChecks);
        assert_eq!(queue.checks.lock().count(), 1);
    }
}

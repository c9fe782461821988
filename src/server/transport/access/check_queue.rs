//! Bounded queue of password checks, fair between clients.
//!
//! A check first waits for one of the few turns of its client, then for a permit. Both queues are
//! in order of arrival. So at most [`TURNS_PER_CLIENT`] checks of any other client are ahead of the
//! first one of a new client. A client beyond its share waits, because immediate rejections would
//! let it send the next wrong password at once.

use crate::metrics::registry::Registry;
use crate::server::transport::client_limit::Client;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Checks of one client that run or wait for a permit.
const TURNS_PER_CLIENT: usize = 2;
/// Maximum number of checks of one client, and of all clients, that run or wait.
const MAX_PER_CLIENT: usize = 128;
const MAX_CHECKS: usize = 1024;
/// Maximum time that a check waits. Senders time out after 30 s by default.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Error of a check that found the queue full or waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many password checks at once")]
pub(crate) struct TooManyChecks;

/// Queue of password checks.
#[derive(Debug)]
pub(super) struct CheckQueue {
    permits: Arc<Semaphore>,
    num_permits: usize,
    max_wait: Duration,
    entered: Arc<Mutex<Entered>>,
    rejected: Arc<AtomicU64>,
}

/// Checks that run or wait.
#[derive(Debug, Default)]
struct Entered {
    count: usize,
    clients: HashMap<Client, ClientTurns>,
}

#[derive(Debug)]
struct ClientTurns {
    count: usize,
    turns: Arc<Semaphore>,
}

/// Place of a check in the queue. Dropping it frees the place.
#[derive(Debug)]
struct Place {
    client: Client,
    entered: Arc<Mutex<Entered>>,
    turns: Arc<Semaphore>,
}

/// Permit of a running check.
#[derive(Debug)]
pub(super) struct CheckPermit {
    _permit: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
    // Last, so that the place outlives the turn.
    _place: Place,
}

impl CheckQueue {
    /// Creates a queue that lets `num_permits` checks run.
    pub(super) fn new(num_permits: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(num_permits)),
            num_permits,
            max_wait: MAX_WAIT,
            entered: Arc::default(),
            rejected: Arc::default(),
        }
    }

    /// Registers the metrics of the queue.
    pub(super) fn register(&self, registry: &mut Registry) {
        let (permits, num_permits) = (self.permits.clone(), self.num_permits);
        registry.gauge_fn(
            "narthex_password_checks",
            "Running computations of bcrypt.",
            move || (num_permits - permits.available_permits()) as f64,
        );
        registry.gauge_fn(
            "narthex_password_checks_limit",
            "Maximum number of concurrent computations of bcrypt.",
            move || num_permits as f64,
        );
        let entered = self.entered.clone();
        let (permits, total) = (self.permits.clone(), num_permits);
        registry.gauge_fn(
            "narthex_password_checks_waiting",
            "Passwords that wait for a computation of bcrypt.",
            move || {
                let running = total - permits.available_permits();
                entered.lock().count.saturating_sub(running) as f64
            },
        );
        let rejected = self.rejected.clone();
        registry.counter_fn(
            "narthex_password_checks_rejected_total",
            "Passwords that were not checked because too many waited, or they waited too long.",
            move || rejected.load(Ordering::Relaxed) as f64,
        );
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`TooManyChecks`].
    pub(super) async fn acquire(&self, client: Client) -> Result<CheckPermit, TooManyChecks> {
        let acquired = match self.enter(client) {
            Some(place) => {
                tokio::time::timeout(self.max_wait, self.wait(place)).await.ok().flatten()
            }
            None => None,
        };
        acquired.ok_or_else(|| {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            TooManyChecks
        })
    }

    /// Returns `None` only if a semaphore is closed, which never happens.
    async fn wait(&self, place: Place) -> Option<CheckPermit> {
        let turn = place.turns.clone().acquire_owned().await.ok()?;
        let permit = self.permits.clone().acquire_owned().await.ok()?;
        Some(CheckPermit { _permit: permit, _turn: turn, _place: place })
    }

    fn enter(&self, client: Client) -> Option<Place> {
        let mut entered = self.entered.lock();
        let held = entered.clients.get(&client).map_or(0, |turns| turns.count);
        if entered.count >= MAX_CHECKS || held >= MAX_PER_CLIENT {
            return None;
        }
        entered.count += 1;
        let turns = entered.clients.entry(client).or_insert_with(|| ClientTurns {
            count: 0,
            turns: Arc::new(Semaphore::new(TURNS_PER_CLIENT)),
        });
        turns.count += 1;
        let turns = turns.turns.clone();
        Some(Place { client, entered: self.entered.clone(), turns })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut entered = self.entered.lock();
        entered.count -= 1;
        if let Some(turns) = entered.clients.get_mut(&self.client) {
            turns.count -= 1;
            // A client without checks has no entry, so the map cannot outgrow the checks.
            if turns.count == 0 {
                entered.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckQueue, MAX_CHECKS, MAX_PER_CLIENT, TURNS_PER_CLIENT, TooManyChecks};
    use crate::server::transport::client_limit::{Client, PeerAddress};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::Ordering;
    use std::task::Poll;
    use std::time::Duration;

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
        // The flood has one turn besides the running one.
        assert_eq!(TURNS_PER_CLIENT, 2);
        let permit = now(&mut flood[0]).await.unwrap().unwrap();
        assert!(now(&mut flood[1]).await.is_none() && now(&mut second).await.is_none());
        drop(permit);
        let permit = now(&mut second).await.unwrap().unwrap();
        drop(flood);
        drop(permit);
        let entered = queue.entered.lock();
        assert!(entered.count == 0 && entered.clients.is_empty());
    }

    #[tokio::test]
    async fn checks_beyond_the_limits_are_rejected() {
        let queue = CheckQueue::new(1);
        let mut places = Vec::new();
        for number in 0..MAX_CHECKS / MAX_PER_CLIENT {
            let client = client(number as u32);
            places.extend((0..MAX_PER_CLIENT).map(|_| queue.enter(client).unwrap()));
            assert_eq!(queue.acquire(client).await.unwrap_err(), TooManyChecks);
        }
        assert_eq!(queue.acquire(client(99)).await.unwrap_err(), TooManyChecks);
        places.pop();
        drop(queue.acquire(client(99)).await.unwrap());
        assert_eq!(queue.rejected.load(Ordering::Relaxed), 9);
    }

    #[tokio::test]
    async fn waiting_check_is_rejected_after_max_wait() {
        let queue = CheckQueue { max_wait: Duration::from_millis(20), ..CheckQueue::new(1) };
        let _running = queue.acquire(client(1)).await.unwrap();
        assert_eq!(queue.acquire(client(2)).await.unwrap_err(), TooManyChecks);
        assert_eq!(queue.entered.lock().count, 1);
    }
}

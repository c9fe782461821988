//! Admission control: byte budgets and concurrency limits.
//!
//! Unary requests fail at once when a byte budget is exhausted; the response is 503 and the sender
//! retries. Write streams wait for memory for a bounded time, which slows their senders down. They
//! leave a quarter of the budget to the requests that cannot wait.

use crate::metrics::registry::Registry;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Byte budget for all request bodies or for all responses. Clones share it.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    taken: Arc<AtomicUsize>,
    released: Arc<Notify>,
    limit: usize,
}

/// Bytes taken from a budget. Dropping it returns them.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

/// Error of a reservation that exceeds the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes in flight")]
pub struct BudgetExhausted;

impl ByteBudget {
    /// Creates a budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { taken: Arc::default(), released: Arc::default(), limit }
    }

    /// Registers the gauges `name` (bytes in use) and `name_limit`; `what` names the bytes in the
    /// help.
    pub fn register(&self, registry: &mut Registry, name: &str, what: &str) {
        let (taken, limit) = (self.taken.clone(), self.limit);
        let help = format!("Bytes of {what} in memory.");
        registry.gauge_fn(name, &help, move || taken.load(Ordering::Relaxed) as f64);
        let help = format!("Maximum bytes of {what} in memory: half of --web.max-bytes-in-flight.");
        registry.gauge_fn(&format!("{name}_limit"), &help, move || limit as f64);
    }

    /// Returns an empty reservation.
    #[must_use]
    pub fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

impl Reservation {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// [`BudgetExhausted`] if the budget has fewer bytes; the reservation is unchanged.
    pub fn extend(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.extend_up_to(bytes, self.budget.limit)
    }

    /// Reserves `bytes` more as soon as that leaves a quarter of the budget to callers that cannot
    /// wait. A larger reservation is granted once no other reservation holds memory.
    ///
    /// # Errors
    /// [`BudgetExhausted`] after `max_wait`; the reservation is unchanged.
    pub async fn extend_within(
        &mut self,
        bytes: usize,
        max_wait: Duration,
    ) -> Result<(), BudgetExhausted> {
        let ByteBudget { limit, released, .. } = self.budget.clone();
        let max_taken = (limit - limit / 4).max(self.bytes.saturating_add(bytes)).min(limit);
        let extended = async {
            loop {
                let mut released = pin!(released.notified());
                // Register before the attempt: a release between the two must not be missed.
                released.as_mut().enable();
                if self.extend_up_to(bytes, max_taken).is_ok() {
                    return;
                }
                released.await;
            }
        };
        tokio::time::timeout(max_wait, extended).await.map_err(|_| BudgetExhausted)
    }

    /// Returns `bytes` to the budget, or all reserved bytes if there are fewer.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        drop(Self { budget: self.budget.clone(), bytes });
    }

    fn extend_up_to(&mut self, bytes: usize, max_taken: usize) -> Result<(), BudgetExhausted> {
        self.budget
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(bytes).filter(|sum| *sum <= max_taken)
            })
            .map_err(|_| BudgetExhausted)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
            self.budget.released.notify_waiters();
        }
    }
}

/// Concurrency limit: a number of requests run, a number of requests wait, each for a bounded time.
#[derive(Debug)]
pub struct ConcurrencyLimiter {
    /// Name of the requests, in the error.
    name: &'static str,
    size: usize,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Number of rejected requests.
    rejected: Arc<AtomicU64>,
    queue: QueueLimits,
}

/// Limits of the queue of a [`ConcurrencyLimiter`].
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Maximum number of waiting requests.
    pub max_waiting: usize,
    /// Maximum time that a request waits.
    pub max_wait: Duration,
}

/// Error of a request that found the queue full or waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} at once")]
pub struct Overloaded(&'static str);

impl ConcurrencyLimiter {
    /// Creates a limiter that lets `at_work` requests run.
    #[must_use]
    pub fn new(at_work: usize, queue: QueueLimits) -> Self {
        let size = at_work.min(Semaphore::MAX_PERMITS);
        Self {
            name: "requests",
            size,
            permits: Arc::new(Semaphore::new(size)),
            waiting: Arc::default(),
            rejected: Arc::default(),
            queue,
        }
    }

    /// Names the requests in the error, for example `reads`.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Registers the metrics of the limiter under `name`; `what` names the requests in the help
    /// texts.
    pub fn register(&self, registry: &mut Registry, name: &str, what: &str) {
        let (size, at_work) = (self.size, self.permits.clone());
        let help = format!("{what} in flight.");
        registry.gauge_fn(name, &help, move || (size - at_work.available_permits()) as f64);
        let help = format!("{what} that may run concurrently.");
        registry.gauge_fn(&format!("{name}_limit"), &help, move || size as f64);
        let waiting = self.waiting.clone();
        let help = format!("{what} that wait for a permit.");
        registry.gauge_fn(&format!("{name}_waiting"), &help, move || {
            waiting.load(Ordering::Relaxed) as f64
        });
        let rejected = self.rejected.clone();
        let help = format!("{what} that were rejected because too many ran or waited.");
        registry.counter_fn(&format!("{name}_rejected_total"), &help, move || {
            rejected.load(Ordering::Relaxed) as f64
        });
    }

    /// Returns the number of running requests.
    #[cfg(test)]
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.size - self.permits.available_permits()
    }

    /// Waits for a permit outside the queue, for callers whose number is limited otherwise.
    ///
    /// # Errors
    /// [`Overloaded`] if no permit is free within the maximum wait.
    pub async fn acquire_unqueued(&self) -> Result<OwnedSemaphorePermit, Overloaded> {
        match tokio::time::timeout(self.queue.max_wait, self.permits.clone().acquire_owned()).await
        {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.count_rejection()),
        }
    }

    fn count_rejection(&self) -> Overloaded {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Overloaded(self.name)
    }

    /// Waits in the queue for a permit, which the request holds while it runs.
    ///
    /// # Errors
    /// [`Overloaded`] if the queue is full, or no permit is free within the maximum wait.
    pub async fn acquire(&self) -> Result<OwnedSemaphorePermit, Overloaded> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _slot = QueueSlot::try_acquire(self).ok_or_else(|| self.count_rejection())?;
        self.acquire_unqueued().await
    }
}

/// Slot in the queue. Dropping it frees the slot, also if the client disconnects.
struct QueueSlot<'a>(&'a ConcurrencyLimiter);

impl<'a> QueueSlot<'a> {
    fn try_acquire(limiter: &'a ConcurrencyLimiter) -> Option<Self> {
        let slot = Self(limiter);
        // Count before the check: the drop of a rejected slot then subtracts what was added.
        (limiter.waiting.fetch_add(1, Ordering::Relaxed) < limiter.queue.max_waiting)
            .then_some(slot)
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{BudgetExhausted, ByteBudget, ConcurrencyLimiter, Overloaded, QueueLimits};
    use std::sync::atomic::Ordering;
    use std::task::Poll;
    use std::time::Duration;

    #[test]
    fn dropped_reservation_returns_its_bytes() {
        let budget = ByteBudget::new(10);
        let mut first = budget.reserve();
        first.extend(4).unwrap();
        first.extend(4).unwrap();
        let mut second = budget.reserve();
        assert_eq!(second.extend(3), Err(BudgetExhausted));
        second.extend(2).unwrap();
        drop(first);
        second.extend(8).unwrap();
        drop(second);
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn waiting_reservation_leaves_a_quarter_of_the_budget() {
        let budget = ByteBudget::new(100);
        let mut first = budget.reserve();
        first.extend(70).unwrap();
        let (mut second, mut third) = (budget.reserve(), budget.reserve());
        second.extend_within(5, Duration::ZERO).await.unwrap();
        assert_eq!(third.extend_within(1, Duration::from_millis(10)).await, Err(BudgetExhausted));
        budget.reserve().extend(25).unwrap();
        let mut waiting = Box::pin(third.extend_within(80, Duration::from_secs(60)));
        assert!(now(&mut waiting).await.is_none());
        drop(first);
        assert!(now(&mut waiting).await.is_none());
        drop(second);
        waiting.await.unwrap();
        assert_eq!(budget.taken.load(Ordering::Relaxed), 80);
        drop(third);
        assert_eq!(
            budget.reserve().extend_within(101, Duration::from_millis(10)).await,
            Err(BudgetExhausted)
        );
    }

    #[tokio::test]
    async fn request_beyond_running_and_waiting_is_rejected() {
        let limiter = ConcurrencyLimiter::new(
            1,
            QueueLimits { max_waiting: 1, max_wait: Duration::from_secs(60) },
        );
        let at_work = limiter.acquire().await.unwrap();
        let mut waiting = Box::pin(limiter.acquire());
        assert!(now(&mut waiting).await.is_none());
        assert!(matches!(limiter.acquire().await, Err(Overloaded("requests"))));
        drop(waiting);
        assert_eq!(limiter.waiting.load(Ordering::Relaxed), 0);
        let mut waiting = Box::pin(limiter.acquire());
        assert!(now(&mut waiting).await.is_none());
        drop(at_work);
        drop(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn waiting_request_is_rejected_after_max_wait() {
        let limiter = ConcurrencyLimiter::new(
            1,
            QueueLimits { max_waiting: 1, max_wait: Duration::from_millis(20) },
        );
        let _at_work = limiter.acquire().await.unwrap();
        assert!(matches!(limiter.acquire().await, Err(Overloaded("requests"))));
        assert_eq!(limiter.waiting.load(Ordering::Relaxed), 0);
    }

    /// Polls `future` once and returns its output if it is ready.
    async fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

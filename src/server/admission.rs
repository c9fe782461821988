//! How much is let in at once: bytes in flight, and requests at work or waiting.
//!
//! Both say no at once rather than let a client wait without bound; no means 503, and a sender repeats. Only streams, of which there are few,
//! wait for a while: they hold back their sender by that, and a quarter of the memory is left to those who can't wait.

use crate::metrics::registry::Registry;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Memory for all bodies, or for all answers. Shared by cloning.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    taken: Arc<AtomicUsize>,
    released: Arc<Notify>,
    limit: usize,
}

/// Bytes that are taken from the budget, and given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes in flight")]
pub struct BudgetExhausted;

impl ByteBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { taken: Arc::default(), released: Arc::default(), limit }
    }

    /// Registers how much is taken, of what and under which name.
    pub fn register(&self, registry: &mut Registry, name: &str, what: &str) {
        let (taken, limit) = (self.taken.clone(), self.limit);
        let help = format!("Bytes of {what} in memory.");
        registry.gauge_fn(name, &help, move || taken.load(Ordering::Relaxed) as f64);
        let help = format!("Most bytes of {what} in memory: half of --web.max-bytes-in-flight.");
        registry.gauge_fn(&format!("{name}_limit"), &help, move || limit as f64);
    }

    /// A reservation of nothing, to be extended.
    #[must_use]
    pub fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

impl Reservation {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`BudgetExhausted`]; nothing more is taken then.
    pub fn extend(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.extend_up_to(bytes, self.budget.limit)
    }

    /// Takes `bytes` more as soon as that leaves a quarter of the budget to those who can't wait; only what is larger may have all of it.
    ///
    /// # Errors
    /// [`BudgetExhausted`] after `max_wait`; nothing more is taken then.
    pub async fn extend_within(
        &mut self,
        bytes: usize,
        patience: Duration,
    ) -> Result<(), BudgetExhausted> {
        let ByteBudget { limit, released, .. } = self.budget.clone();
        let most = (limit - limit / 4).max(self.bytes.saturating_add(bytes)).min(limit);
        let extended = async {
            loop {
                let mut released = pin!(released.notified());
                // From here on a release is heard of, so that none is missed after the try.
                released.as_mut().enable();
                if self.extend_up_to(bytes, most).is_ok() {
                    return;
                }
                released.await;
            }
        };
        tokio::time::timeout(patience, extended).await.map_err(|_| BudgetExhausted)
    }

    /// Gives `bytes` of it back, or all of it where that is less.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        drop(Self { budget: self.budget.clone(), bytes });
    }

    fn extend_up_to(&mut self, bytes: usize, most: usize) -> Result<(), BudgetExhausted> {
        self.budget
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(bytes).filter(|sum| *sum <= most)
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

/// So many at work, so many waiting for their turn.
#[derive(Debug)]
pub struct ConcurrencyLimiter {
    size: usize,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// How many were not let in.
    rejected: Arc<AtomicU64>,
    queue: QueueLimits,
}

/// How many may wait before a gate, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Requests.
    pub max_waiting: usize,
    /// Time for each.
    pub max_wait: Duration,
}

/// As many wait already as may, or it took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests at once")]
pub struct Overloaded;

impl ConcurrencyLimiter {
    /// A gate for `at_work` requests.
    #[must_use]
    pub fn new(at_work: usize, queue: QueueLimits) -> Self {
        let size = at_work.min(Semaphore::MAX_PERMITS);
        Self {
            size,
            permits: Arc::new(Semaphore::new(size)),
            waiting: Arc::default(),
            rejected: Arc::default(),
            queue,
        }
    }

    /// Registers how many are at work, wait, and were refused, what they are and under which name.
    pub fn register(&self, registry: &mut Registry, name: &str, what: &str) {
        let (size, at_work) = (self.size, self.permits.clone());
        let help = format!("{what} that are at work.");
        registry.gauge_fn(name, &help, move || (size - at_work.available_permits()) as f64);
        let help = format!("{what} that may be at work at once.");
        registry.gauge_fn(&format!("{name}_limit"), &help, move || size as f64);
        let waiting = self.waiting.clone();
        let help = format!("{what} that wait for their turn.");
        registry.gauge_fn(&format!("{name}_waiting"), &help, move || {
            waiting.load(Ordering::Relaxed) as f64
        });
        let refused = self.rejected.clone();
        let help = format!("{what} that were refused because too many were at work or waited.");
        registry.counter_fn(&format!("{name}_rejected_total"), &help, move || {
            refused.load(Ordering::Relaxed) as f64
        });
    }

    /// How many are at work now.
    #[cfg(test)]
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.size - self.permits.available_permits()
    }

    /// Goes through without a place in the queue: for those whose number is bounded otherwise.
    ///
    /// # Errors
    /// [`Overloaded`] where it took too long.
    pub async fn acquire_unqueued(&self) -> Result<OwnedSemaphorePermit, Overloaded> {
        match tokio::time::timeout(self.queue.max_wait, self.permits.clone().acquire_owned()).await
        {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.count_rejection()),
        }
    }

    fn count_rejection(&self) -> Overloaded {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Overloaded
    }

    /// Goes through, at once or when it is this request's turn; the permit is for as long as it works.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn acquire(&self) -> Result<OwnedSemaphorePermit, Overloaded> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = QueueSlot::try_acquire(self).ok_or_else(|| self.count_rejection())?;
        self.acquire_unqueued().await
    }
}

/// A place before the gate, given up also by a client that goes away.
struct QueueSlot<'a>(&'a ConcurrencyLimiter);

impl<'a> QueueSlot<'a> {
    fn try_acquire(gate: &'a ConcurrencyLimiter) -> Option<Self> {
        let place = Self(gate);
        // Counted first, so that the drop gives back what was taken also where it was too much.
        (gate.waiting.fetch_add(1, Ordering::Relaxed) < gate.queue.max_waiting).then_some(place)
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
    fn a_budget_gets_back_what_was_taken() {
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
    async fn who_can_wait_gets_what_is_given_back_and_leaves_a_quarter() {
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
    async fn beyond_those_at_work_and_those_waiting_nobody_is_let_in() {
        let gate = ConcurrencyLimiter::new(
            1,
            QueueLimits { max_waiting: 1, max_wait: Duration::from_secs(60) },
        );
        let at_work = gate.acquire().await.unwrap();
        let mut waiting = Box::pin(gate.acquire());
        assert!(now(&mut waiting).await.is_none());
        assert!(matches!(gate.acquire().await, Err(Overloaded)));
        drop(waiting);
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
        let mut waiting = Box::pin(gate.acquire());
        assert!(now(&mut waiting).await.is_none());
        drop(at_work);
        drop(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let gate = ConcurrencyLimiter::new(
            1,
            QueueLimits { max_waiting: 1, max_wait: Duration::from_millis(20) },
        );
        let _at_work = gate.acquire().await.unwrap();
        assert!(matches!(gate.acquire().await, Err(Overloaded)));
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }

    /// What a future is ready with now.
    async fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

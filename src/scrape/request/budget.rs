//! Memory for the bodies of all scrapes together.
//!
//! A scrape reserves the size of its previous body before it sends the request, and more while a
//! larger body arrives. Waiting scrapes are served in the order in which they came.
//!
//! # Lanes
//! An eighth of the memory is for small bodies. Huge bodies use the rest, so they never make small
//! ones wait. A body that outgrows the first lane moves to the second.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unit of reservations, bytes.
const UNIT: usize = 4 << 10;
/// Share of the memory for small bodies: one part of this number.
const SMALL_SHARE: usize = 8;
/// Maximum size of a small body, as a share of their memory.
const SMALL_BODY_SHARE: usize = 64;

/// Memory for bodies.
#[derive(Debug)]
pub struct BodyBudget {
    small: Lane,
    large: Lane,
    /// Maximum units of a body in the lane of small ones.
    max_small: usize,
}

#[derive(Debug)]
struct Lane {
    free: Arc<Semaphore>,
    units: usize,
}

/// Memory reserved for one body; given back on drop.
#[derive(Debug)]
pub struct BodyLease {
    budget: Arc<BodyBudget>,
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
}

/// Error of a body that does not fit even if it is alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a body of {needed} bytes does not fit into {available} bytes for bodies")]
pub struct BodyTooLarge {
    /// Size of the body so far, bytes.
    pub needed: usize,
    /// Memory for large bodies, bytes.
    pub available: usize,
}

impl BodyBudget {
    /// Creates a budget of `bytes`, at least 64 KiB.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        let units = (bytes / UNIT).clamp(2 * SMALL_SHARE, Semaphore::MAX_PERMITS / 2);
        let small = units / SMALL_SHARE;
        let lane = |units| Lane { free: Arc::new(Semaphore::new(units)), units };
        Arc::new(Self {
            small: lane(small),
            large: lane(units - small),
            max_small: small.div_ceil(SMALL_BODY_SHARE),
        })
    }

    /// Waits until memory for a body of `bytes` is free, and reserves it.
    ///
    /// # Errors
    /// [`BodyTooLarge`] if it never can be.
    pub async fn reserve(self: &Arc<Self>, bytes: usize) -> Result<BodyLease, BodyTooLarge> {
        let mut lease = BodyLease { budget: Arc::clone(self), permit: None, units: 0 };
        lease.grow_to(bytes).await?;
        Ok(lease)
    }

    /// Returns the size of the largest body that fits, bytes.
    #[must_use]
    pub fn max_body(&self) -> usize {
        self.large.units * UNIT
    }

    /// Returns the reserved memory, bytes.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let used = |lane: &Lane| lane.units.saturating_sub(lane.free.available_permits());
        (used(&self.small) + used(&self.large)) * UNIT
    }

    /// Returns the whole memory, bytes.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.small.units + self.large.units) * UNIT
    }
}

impl BodyLease {
    /// Waits until the lease has at least `bytes`. Cancelling the wait keeps what it has.
    ///
    /// # Errors
    /// [`BodyTooLarge`] if it never can have them.
    pub async fn grow_to(&mut self, bytes: usize) -> Result<(), BodyTooLarge> {
        let units = bytes.div_ceil(UNIT).max(1);
        if units <= self.units {
            return Ok(());
        }
        let budget = &self.budget;
        let is_small = units <= budget.max_small;
        let was_small = self.units <= budget.max_small;
        let lane = if is_small { &budget.small } else { &budget.large };
        // A body that changes the lane needs all of its memory there.
        let missing = if is_small == was_small { units - self.units } else { units };
        let too_large = BodyTooLarge { needed: bytes, available: budget.large.units * UNIT };
        if units > lane.units {
            return Err(too_large);
        }
        let missing = u32::try_from(missing).map_err(|_| too_large)?;
        let Ok(new) = Arc::clone(&lane.free).acquire_many_owned(missing).await else {
            // The semaphores are never closed.
            return Err(too_large);
        };
        match &mut self.permit {
            Some(held) if is_small == was_small => held.merge(new),
            permit => *permit = Some(new),
        }
        self.units = units;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyBudget, BodyTooLarge, UNIT};
    use std::time::Duration;

    const MIB: usize = 1 << 20;

    async fn is_blocked<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::from_secs(3600), future).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_reserved_and_given_back() {
        let budget = BodyBudget::new(64 * MIB);
        assert_eq!((budget.bytes(), budget.in_use()), (64 * MIB, 0));
        let mut lease = budget.reserve(1).await.unwrap();
        assert_eq!(budget.in_use(), UNIT);
        lease.grow_to(40_000).await.unwrap();
        assert_eq!(budget.in_use(), 10 * UNIT);
        lease.grow_to(30_000).await.unwrap();
        lease.grow_to(5 * MIB).await.unwrap();
        assert_eq!(budget.in_use(), 5 * MIB, "all of it is in the lane of large bodies");
        lease.grow_to(50 * MIB).await.unwrap();
        assert_eq!(budget.in_use(), 50 * MIB);
        drop(lease);
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_and_small_ones_do_not() {
        let budget = BodyBudget::new(64 * MIB);
        let first = budget.reserve(50 * MIB).await.unwrap();
        assert!(is_blocked(budget.reserve(20 * MIB)).await);
        let small = budget.reserve(100_000).await.unwrap();
        let mut growing = budget.reserve(100_000).await.unwrap();
        assert!(is_blocked(growing.grow_to(20 * MIB)).await);
        assert_eq!(budget.in_use(), 50 * MIB + 50 * UNIT, "a cancelled wait keeps what it has");
        drop(first);
        growing.grow_to(20 * MIB).await.unwrap();
        assert_eq!(budget.in_use(), 20 * MIB + 25 * UNIT);
        drop(small);
    }

    #[tokio::test(start_paused = true)]
    async fn body_larger_than_the_memory_is_an_error() {
        let budget = BodyBudget::new(64 * MIB);
        let error = BodyTooLarge { needed: 57 * MIB, available: 56 * MIB };
        assert_eq!(budget.reserve(57 * MIB).await.err(), Some(error));
        assert_eq!(budget.in_use(), 0);
        let tiny = BodyBudget::new(0);
        assert_eq!(tiny.bytes(), 16 * UNIT);
        assert!(tiny.reserve(14 * UNIT).await.is_ok());
    }
}

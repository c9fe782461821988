//! Work on blocking threads, within a concurrency limit.
//!
//! The thread holds the permit until its work ends, also if the client disconnects before that.
//! Work that need not finish then asks its [`ClientWatch`].

use crate::server::transport::admission::{ConcurrencyLimiter, Overloaded};
use tokio::sync::oneshot;

/// Error of work without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockingError {
    /// The work did not start.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The work did not finish.
    #[error(transparent)]
    Panicked(#[from] WorkPanicked),
}

/// Error of work that panicked. It names the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("internal error while {0}")]
pub(crate) struct WorkPanicked(&'static str);

/// Guard in the future of a request. Dropping the future, as happens on a disconnect, drops it.
#[derive(Debug)]
struct DisconnectGuard {
    _connected: oneshot::Receiver<()>,
}

/// Watch of the work for the disconnect of its client.
#[derive(Debug)]
pub(crate) struct ClientWatch(oneshot::Sender<()>);

impl ClientWatch {
    /// Returns `true` if nobody waits for the result.
    pub(crate) fn is_disconnected(&self) -> bool {
        self.0.is_closed()
    }
}

/// Waits for a permit and runs `work` on a blocking thread; `task` completes "while …".
///
/// # Errors
/// [`BlockingError`].
pub(crate) async fn run_blocking<T: Send + 'static>(
    limiter: &ConcurrencyLimiter,
    task: &'static str,
    work: impl FnOnce(ClientWatch) -> T + Send + 'static,
) -> Result<T, BlockingError> {
    let permit = limiter.acquire().await?;
    Ok(run_with_permit(permit, task, work).await?)
}

/// Runs `work` on a blocking thread, which holds `permit` until the work ends.
///
/// # Errors
/// [`WorkPanicked`].
pub(crate) async fn run_with_permit<P: Send + 'static, T: Send + 'static>(
    permit: P,
    task: &'static str,
    work: impl FnOnce(ClientWatch) -> T + Send + 'static,
) -> Result<T, WorkPanicked> {
    let (alive, connected) = oneshot::channel();
    let guard = DisconnectGuard { _connected: connected };
    let running = tokio::task::spawn_blocking(move || {
        let _held = permit;
        work(ClientWatch(alive))
    });
    let result = running.await;
    drop(guard);
    result.map_err(|error| {
        tracing::error!(%error, task, "blocking work panicked");
        WorkPanicked(task)
    })
}

#[cfg(test)]
mod tests {
    use super::{BlockingError, WorkPanicked, run_blocking};
    use crate::server::transport::admission::{ConcurrencyLimiter, QueueLimits};
    use std::sync::mpsc;
    use std::time::Duration;

    fn limiter() -> ConcurrencyLimiter {
        let queue = QueueLimits { max_waiting: 0, max_wait: Duration::ZERO };
        ConcurrencyLimiter::new(1, queue).named("tests")
    }

    #[tokio::test]
    async fn panic_is_an_error_and_frees_the_permit() {
        let limiter = limiter();
        let result = run_blocking(&limiter, "testing", |_| {
            assert!(std::hint::black_box(false), "a bug");
        });
        assert_eq!(result.await, Err(BlockingError::Panicked(WorkPanicked("testing"))));
        assert_eq!(run_blocking(&limiter, "testing", |_| 7).await, Ok(7));
        let _held = limiter.acquire().await.unwrap();
        let error = run_blocking(&limiter, "testing", |_| 7).await.unwrap_err();
        assert_eq!(error.to_string(), "too many tests at once");
    }

    #[tokio::test]
    async fn work_sees_the_disconnect_and_keeps_its_permit() {
        let limiter = limiter();
        let (started, has_started) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        let work = run_blocking(&limiter, "testing", move |client| {
            started.send(client.is_disconnected()).unwrap();
            while !client.is_disconnected() {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), work).await.is_err());
        assert!(!has_started.recv().unwrap());
        has_ended.recv().unwrap();
        while limiter.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

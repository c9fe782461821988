//! Requests of a connection: its service counts them, its stream reads the counts.
//!
//! A request is *active* from its complete head until its response is dropped. It is *worked on*
//! while its handler runs, and while its response has to wait for more data. An HTTP/2 stream is
//! active but not worked on while the client does not take its response: a client can keep its
//! flow-control window closed for as long as it likes.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::time::Instant;

/// Work for the requests of a connection.
#[derive(Debug)]
struct Work {
    /// Number of requests that the server works on.
    requests: usize,
    /// Last change of a request.
    changed: Instant,
}

/// Progress of the requests of a connection.
#[derive(Debug)]
pub(crate) struct RequestProgress {
    started: AtomicUsize,
    active: AtomicUsize,
    work: Mutex<Work>,
    /// Whether the body of the last HTTP/1.1 request was not read to its end.
    has_unread_body: AtomicBool,
}

impl Default for RequestProgress {
    fn default() -> Self {
        Self {
            started: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            work: Mutex::new(Work { requests: 0, changed: Instant::now() }),
            has_unread_body: AtomicBool::new(false),
        }
    }
}

impl RequestProgress {
    /// Counts a request with a complete head. The request is active until the guard is dropped.
    pub(crate) fn start(self: &Arc<Self>) -> ActiveRequest {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        let mut request = ActiveRequest { progress: Arc::clone(self), is_worked_on: false };
        request.set_worked_on(true);
        request
    }

    /// Returns the number of requests that were started.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// Returns `true` if a request is active.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    /// Returns the time since which no request was worked on, or `None` if one is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let work = self.work.lock();
        (work.requests == 0).then_some(work.changed)
    }

    pub(crate) fn set_unread_body(&self, is_unread: bool) {
        self.has_unread_body.store(is_unread, Ordering::Relaxed);
    }

    /// Returns `true` if the client may still be sending the body of the last HTTP/1.1 request.
    pub(crate) fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed)
    }
}

/// Guard of a request whose response is not complete.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    progress: Arc<RequestProgress>,
    is_worked_on: bool,
}

impl ActiveRequest {
    /// Returns the progress of the connection.
    pub(crate) fn progress(&self) -> &RequestProgress {
        &self.progress
    }

    /// Sets whether the server works on the request or waits for its client.
    pub(crate) fn set_worked_on(&mut self, is_worked_on: bool) {
        let mut work = self.progress.work.lock();
        work.changed = Instant::now();
        match (self.is_worked_on, is_worked_on) {
            (false, true) => work.requests += 1,
            (true, false) => work.requests -= 1,
            (false, false) | (true, true) => {}
        }
        self.is_worked_on = is_worked_on;
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.set_worked_on(false);
        self.progress.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::RequestProgress;
    use std::sync::Arc;

    #[test]
    fn connection_is_idle_unless_a_request_is_worked_on() {
        let progress = Arc::<RequestProgress>::default();
        assert!(progress.idle_since().is_some() && !progress.is_active());
        let mut first = progress.start();
        let second = progress.start();
        assert_eq!((progress.started(), progress.idle_since()), (2, None));
        first.set_worked_on(false);
        first.set_worked_on(false);
        assert_eq!(progress.idle_since(), None);
        drop(second);
        let since = progress.idle_since().unwrap();
        assert!(progress.is_active());
        first.set_worked_on(true);
        assert_eq!(progress.idle_since(), None);
        drop(first);
        assert!(progress.idle_since().unwrap() >= since && !progress.is_active());
    }
}

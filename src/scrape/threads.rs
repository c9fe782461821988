//! Threads of the scrape loops.
//!
//! A loop, its connection and the storage of its small bodies use one thread, which has a runtime
//! of its own. So a scrape wakes its thread at its tick and when data arrives, and no other one,
//! and what it needs stays in the caches of one processor. Requests of clients, which other threads
//! serve, neither delay a tick nor wait for a scrape.
//!
//! # Failure
//! Threads end when the [`ScrapeThreads`] are dropped, and cancel what still runs on them.
//! [`Scraper::stop`](crate::scrape::scraper::Scraper::stop) lets appends finish before.

use std::io;
use std::thread;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Maximum number of threads. Two processors scrape thousands of targets a second.
const MAX_THREADS: usize = 8;

/// Blocking threads for large bodies, slow disks, lookups of names and reads of files, per thread.
const MAX_BLOCKING_THREADS: usize = 128;

/// Runtimes of the scrape loops.
#[derive(Debug)]
pub struct ScrapeThreads {
    runtimes: Vec<Handle>,
    #[allow(dead_code, reason = "a drop ends the threads")]
    running: Vec<oneshot::Sender<()>>,
}

impl ScrapeThreads {
    /// Starts a thread per processor, up to a maximum of 8.
    ///
    /// # Errors
    /// A thread or its runtime cannot be created.
    pub fn start() -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let mut threads = Self { runtimes: Vec::new(), running: Vec::new() };
        for number in 0..processors.min(MAX_THREADS) {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .thread_name(format!("scrape-{number}-io"))
                .max_blocking_threads(MAX_BLOCKING_THREADS)
                .build()?;
            let (running, ended) = oneshot::channel();
            threads.runtimes.push(runtime.handle().clone());
            threads.running.push(running);
            let name = format!("scrape-{number}");
            thread::Builder::new().name(name).spawn(move || run(runtime, ended))?;
        }
        Ok(threads)
    }

    /// Lets all loops run on an existing runtime, such as that of a test.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self { runtimes: vec![runtime], running: Vec::new() }
    }

    /// Returns the runtime for the target of this hash; always the same one.
    #[must_use]
    pub fn runtime(&self, target_hash: u64) -> &Handle {
        &self.runtimes[(target_hash % self.runtimes.len() as u64) as usize]
    }
}

/// Runs loops until the sender of `ended` is dropped.
fn run(runtime: Runtime, ended: oneshot::Receiver<()>) {
    // Nothing is ever sent: an error is the end.
    let _ = runtime.block_on(ended);
    // A blocking thread may still wait for a slow name server.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::ScrapeThreads;
    use std::thread;

    #[test]
    fn tasks_of_a_target_share_a_thread_until_the_drop() {
        let threads = ScrapeThreads::start().unwrap();
        let name_of = |hash: u64| {
            let (sender, receiver) = std::sync::mpsc::channel();
            threads.runtime(hash).spawn(async move {
                let spawned = tokio::spawn(async { thread::current().name().map(str::to_owned) });
                let _ = sender.send((thread::current().name().map(str::to_owned), spawned.await));
            });
            let (name, of_spawned) = receiver.recv().unwrap();
            assert_eq!(name, of_spawned.unwrap());
            name.unwrap()
        };
        for hash in [0, 1, 2, u64::MAX] {
            let number = hash % threads.runtimes.len() as u64;
            assert_eq!(name_of(hash), format!("scrape-{number}"));
        }
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        threads.runtime(0).spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        drop(threads);
        assert!(receiver.recv().is_err(), "the drop cancels tasks");
    }
}

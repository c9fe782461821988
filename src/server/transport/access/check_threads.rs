//! Threads for password checks that do not slow down other requests.
//!
//! A check of a password takes up to a second of processor time. A flood of wrong passwords must
//! not slow down other requests. A low priority is not enough for that: a thread that becomes
//! ready waits until the check has had a time slice of some milliseconds. So a check runs first in
//! the scheduling class for idle processors, which any other thread preempts at once.
//!
//! A busy machine has no idle time. A check that has no result after [`IDLE_TIME`] also runs on a
//! thread with a low priority, and the first result counts. The next checks go there at once until
//! the idle thread is done.
//!
//! # Locks
//! A thread of the idle class that is preempted with a lock in its hands stops the threads that
//! wait for the lock. So the threads only compare, and take a lock only to receive a job. They live
//! until the server ends, because creating and ending a thread changes the address space under a
//! lock of the process.

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::mpsc;

/// Time in which a check should get its result from idle processor time.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// Increment of the nice value of the other threads: they get about a tenth of the processor time
/// of a busy thread next to them.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Error of a comparison without a result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompareError {
    #[error("cannot create thread: {0}")]
    Thread(#[from] io::Error),
    #[error("comparison panicked")]
    Panicked,
}

/// Threads of both kinds.
#[derive(Debug)]
pub(super) struct CheckThreads {
    idle: Threads,
    low_priority: Threads,
    num_threads: usize,
}

impl CheckThreads {
    /// Creates threads for this number of checks at the same time, when they are needed.
    pub(super) fn new(num_threads: usize) -> Self {
        let idle = Threads::new(use_idle_time, num_threads);
        Self { idle, low_priority: Threads::new(lower_priority, num_threads), num_threads }
    }

    /// Returns the result of `compare`, which may run twice.
    ///
    /// # Errors
    /// [`CompareError`].
    pub(super) async fn run<F>(&self, compare: F) -> Result<bool, CompareError>
    where
        F: Fn() -> bool + Clone + Send + 'static,
    {
        let (sender, mut results) = mpsc::unbounded_channel();
        if self.idle.jobs() < self.num_threads {
            self.idle.run(compare.clone(), sender.clone())?;
            if let Ok(result) = tokio::time::timeout(IDLE_TIME, results.recv()).await {
                return result.flatten().ok_or(CompareError::Panicked);
            }
        }
        self.low_priority.run(compare, sender)?;
        results.recv().await.flatten().ok_or(CompareError::Panicked)
    }
}

/// Threads of one kind, created with the first job.
#[derive(Debug)]
struct Threads {
    prepare: fn(),
    num_threads: usize,
    /// Number of jobs that run or wait.
    jobs: Arc<AtomicUsize>,
    sender: Mutex<Option<Sender<Job>>>,
}

impl Threads {
    /// `prepare` sets the priority of a thread.
    fn new(prepare: fn(), num_threads: usize) -> Self {
        Self { prepare, num_threads, jobs: Arc::default(), sender: Mutex::new(None) }
    }

    fn jobs(&self) -> usize {
        self.jobs.load(Ordering::Relaxed)
    }

    /// Sends the result of `compare`, or `None` if it panics.
    fn run(
        &self,
        compare: impl FnOnce() -> bool + Send + 'static,
        results: mpsc::UnboundedSender<Option<bool>>,
    ) -> io::Result<()> {
        let mut sender = self.sender.lock();
        let sender = match &mut *sender {
            Some(sender) => sender,
            none => none.insert(self.start()?),
        };
        self.jobs.fetch_add(1, Ordering::Relaxed);
        let jobs = self.jobs.clone();
        let job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(compare)).ok();
            jobs.fetch_sub(1, Ordering::Relaxed);
            // An error is ignored: the other thread was faster.
            let _ = results.send(result);
        });
        // The threads receive as long as the sender exists.
        let _ = sender.send(job);
        Ok(())
    }

    /// Fewer threads than wanted are enough.
    fn start(&self) -> io::Result<Sender<Job>> {
        // The permits of the queue bound the number of jobs.
        let (sender, jobs) = crossbeam_channel::unbounded();
        for number in 0..self.num_threads {
            let (prepare, jobs) = (self.prepare, jobs.clone());
            let thread = std::thread::Builder::new().name("password-check".to_owned());
            match thread.spawn(move || run_jobs(prepare, &jobs)) {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sender)
    }
}

fn run_jobs(prepare: fn(), jobs: &Receiver<Job>) {
    prepare();
    for job in jobs {
        job();
    }
}

/// Lets the current thread run only when the processor has nothing else to do.
fn use_idle_time() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // An error is ignored: it costs only the priority.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}

fn lower_priority() {
    // An error is ignored: it costs only the priority.
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(test)]
mod tests {
    use super::CheckThreads;
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    /// Policy `SCHED_IDLE` of the kernel.
    const IDLE: &str = "5";

    /// Returns the policy of the current thread: field 41 of its `stat`. Source: proc_pid_stat(5).
    fn policy() -> String {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1;
        fields.split(' ').nth(38).unwrap().to_owned()
    }

    #[tokio::test]
    async fn check_runs_in_idle_time_unless_there_is_none() {
        let threads = CheckThreads::new(1);
        let (policies, used) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let compare = move || {
            policies.send(policy()).unwrap();
            if policy() == IDLE {
                // As if other threads took the processor.
                let _ = ended.lock().unwrap().recv();
            }
            true
        };
        assert!(threads.run(compare.clone()).await.unwrap());
        assert_eq!(used.try_iter().map(|policy| policy == IDLE).collect::<Vec<_>>(), [true, false]);
        assert!(threads.run(compare.clone()).await.unwrap());
        assert_ne!(used.try_iter().collect::<Vec<_>>(), [IDLE]);
        drop(end);
        while threads.idle.jobs() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(threads.run(compare).await.unwrap());
        assert_eq!(used.recv().unwrap(), IDLE);
    }

    #[tokio::test]
    async fn panic_of_a_check_affects_no_other() {
        let threads = CheckThreads::new(1);
        threads.run(|| panic!("this panic is part of the test")).await.unwrap_err();
        assert!(!threads.run(|| false).await.unwrap());
    }
}

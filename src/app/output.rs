//! Bounded queues in front of standard output and standard error, so that no thread waits for their
//! readers.
//!
//! [`Output::put`] copies a line into the queue and returns; a thread of the output writes. A line
//! is dropped and counted if the queue is full (the reader is slow) or if the write fails (the
//! reader has closed the pipe, the disk is full). Each line is a new attempt, because a named pipe
//! may get another reader and a disk may get free space.
//!
//! # Locking
//! A mutex guards the queue. It is held to copy or take a line, never during a write.

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum size of the queued lines, bytes.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// Maximum time of a flush without progress, and in total.
const MAX_FLUSH_STALL: Duration = Duration::from_secs(1);
const MAX_FLUSH: Duration = Duration::from_secs(5);
/// Maximum time of one poll for space in a non-blocking pipe.
const POLL_INTERVAL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Queue of lines and the thread that writes them. Clones share both.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Notified when a line is queued.
    queued: Condvar,
    /// Notified when a line is written or dropped.
    done: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
    /// Number of lines that left the queue, written or dropped.
    done: u64,
}

impl Output {
    /// Starts the thread `name`, which writes to a duplicate of `stream`.
    ///
    /// The thread calls `on_recovery` with the number of dropped lines after the next successful
    /// write that empties the queue.
    ///
    /// # Errors
    /// The system has no file descriptor or no thread left.
    pub(crate) fn start(
        name: &str,
        stream: impl AsFd,
        on_recovery: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        // A duplicate descriptor: the lock of the std stream would block other threads that print.
        let sink = Sink { file: File::from(stream.as_fd().try_clone_to_owned()?), is_torn: false };
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name(name.to_owned());
        let worker = Arc::clone(&shared);
        thread.spawn(move || worker.run(sink, &on_recovery))?;
        Ok(Self { shared })
    }

    /// Queues a line, which ends with its line break. Does not wait for the write.
    pub(crate) fn put(&self, line: &[u8]) {
        let mut queue = self.shared.queue.lock();
        // An empty queue accepts a line that is larger than the limit.
        if queue.bytes > 0 && queue.bytes + line.len() > MAX_QUEUED_BYTES {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.to_vec());
        drop(queue);
        self.shared.queued.notify_one();
    }

    /// Waits until all queued lines are written or dropped, or until there is no progress for a
    /// second.
    pub(crate) fn flush(&self) {
        let end = Instant::now() + MAX_FLUSH;
        let mut queue = self.shared.queue.lock();
        while queue.is_writing || !queue.lines.is_empty() {
            let done = queue.done;
            let stall = end.min(Instant::now() + MAX_FLUSH_STALL);
            while queue.done == done {
                if self.shared.done.wait_until(&mut queue, stall).timed_out() {
                    return;
                }
            }
        }
    }

    /// Returns the number of dropped lines.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn run(&self, mut sink: Sink, on_recovery: &dyn Fn(u64)) {
        let mut reported = 0;
        loop {
            let line = self.next_line();
            let is_written = sink.write_line(&line).is_ok();
            if !is_written {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            let is_idle = self.line_done();
            let dropped = self.dropped.load(Ordering::Relaxed);
            if is_written && is_idle && dropped > reported {
                on_recovery(dropped - reported);
                reported = dropped;
            }
        }
    }

    fn next_line(&self) -> Vec<u8> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.len();
                queue.is_writing = true;
                return line;
            }
            self.queued.wait(&mut queue);
        }
    }

    /// Returns `true` if the queue is empty.
    fn line_done(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_writing = false;
        queue.done += 1;
        self.done.notify_all();
        queue.lines.is_empty()
    }
}

/// Output file and the state of its last line.
struct Sink {
    file: File,
    /// Whether the last write failed in the middle of a line.
    is_torn: bool,
}

impl Sink {
    /// Writes a complete line. Blocks while the reader does not read.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write(b"\n")?;
        }
        self.write(line)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_writable(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for space in a non-blocking pipe. Its reader may have set it to non-blocking.
    fn wait_writable(&self) {
        let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
        if poll(&mut fds, Some(&POLL_INTERVAL)).is_err() {
            // If poll fails, retry at intervals instead of spinning.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_QUEUED_BYTES, Output};
    use parking_lot::Mutex;
    use std::fs::{File, OpenOptions};
    use std::io::{PipeReader, Read, pipe};
    use std::sync::Arc;

    fn ignore(_: u64) {}

    fn read(reader: &mut PipeReader, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn lines_arrive_in_order_and_flush_waits_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let output = Output::start("test", File::create(&path).unwrap(), ignore).unwrap();
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        lines.iter().for_each(|line| output.put(line.as_bytes()));
        output.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines.concat());
        assert_eq!(output.dropped(), 0);
    }

    #[test]
    fn closed_pipe_drops_lines_and_counts_them() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = Output::start("test", writer, ignore).unwrap();
        for _ in 0..3 {
            output.put(b"nobody reads this\n");
        }
        output.flush();
        assert_eq!(output.dropped(), 3);
    }

    #[test]
    fn full_disk_drops_lines_and_counts_them() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Output::start("test", full, ignore).unwrap();
        output.put(b"there is no space for this\n");
        output.flush();
        assert_eq!(output.dropped(), 1);
    }

    #[test]
    fn blocked_pipe_bounds_the_queue_and_resumes() {
        let (mut reader, writer) = pipe().unwrap();
        let recovered = Arc::new(Mutex::new(0));
        let recovered_writer = Arc::clone(&recovered);
        let output =
            Output::start("test", writer, move |dropped| *recovered_writer.lock() += dropped)
                .unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let lines = 4 * MAX_QUEUED_BYTES / line.len();
        (0..lines).for_each(|_| output.put(&line));
        let dropped = output.dropped();
        // The pipe and the queue hold less than two megabytes together.
        assert!(dropped > lines as u64 / 2, "{dropped} of {lines}");
        let written = lines - dropped as usize;
        assert_eq!(read(&mut reader, written * line.len()), line.repeat(written));
        output.put(b"again\n");
        assert_eq!(read(&mut reader, 6), b"again\n");
        output.flush();
        assert_eq!(output.dropped(), dropped);
        while *recovered.lock() < dropped {
            std::thread::yield_now();
        }
    }

    #[test]
    fn nonblocking_pipe_is_waited_for() {
        let (mut reader, writer) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let output = Output::start("test", writer, ignore).unwrap();
        let line = [b"y".repeat(200_000), b"\n".to_vec()].concat();
        output.put(&line);
        assert_eq!(read(&mut reader, line.len()), line);
        output.flush();
        assert_eq!(output.dropped(), 0);
    }
}

//! Memory of the list of recent rejections under a flood, and the accuracy of its counts.
//!
//! ```text
//! cargo bench --bench rejections -- [--rate 100000] [--seconds 20]
//! ```
//!
//! Threads record rejected requests of many senders, with details of changing length, so that most
//! requests have an entry of their own. Prints the reached rate, the growth of the resident memory
//! after a tenth of the time, and the number of kept and dropped entries. Panics if the counts of
//! kept and dropped entries together are not those of the recorded requests.

use narthex::ingest::rejection_log::RejectionLog;
use narthex::ingest::rejection_log::entry::{DataSender, RequestOrigin, RequestRejection};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const THREADS: u8 = 4;
/// Number of requests that a thread records before it looks at the clock.
const BATCH: u64 = 64;

/// Options of the command line.
struct Plan {
    /// Requests per second of all threads together.
    rate: u64,
    seconds: u64,
}

fn main() {
    let plan = Plan::from_args();
    let log = RejectionLog::default();
    let warm_up = Duration::from_secs(plan.seconds) / 10;
    let mut recorded = flood(&log, plan.rate, warm_up);
    let (before, started) = (resident_kib(), Instant::now());
    let measured = flood(&log, plan.rate, warm_up * 9);
    recorded += measured;
    let (grown, time) = (resident_kib().saturating_sub(before), started.elapsed());
    let recent = log.newest(usize::MAX);
    let kept: u64 = recent.entries.iter().map(|entry| entry.count).sum();
    assert_eq!(kept + recent.dropped_count, recorded, "every request must be counted once");
    println!("requests per second     {:.0}", measured as f64 / time.as_secs_f64());
    println!("growth of memory, KiB   {grown}");
    println!("entries kept            {}", recent.entries.len());
    println!("entries dropped         {}", recent.dropped_entries);
}

impl Plan {
    fn from_args() -> Self {
        let mut plan = Self { rate: 100_000, seconds: 20 };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            let number = value.parse().expect("value must be a number");
            match flag.as_str() {
                "--rate" => plan.rate = number,
                "--seconds" => plan.seconds = number,
                other => panic!("unknown flag {other}"),
            }
        }
        plan
    }
}

/// Records rejected requests at `rate` for `time`. Returns their number.
fn flood(log: &RejectionLog, rate: u64, time: Duration) -> u64 {
    let started = Instant::now();
    let requests = rate * time.as_millis() as u64 / 1000 / u64::from(THREADS);
    let interval = Duration::from_secs_f64(f64::from(THREADS) / rate as f64);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for request in 0..requests {
                    let sender = DataSender::Client([192, 0, thread, request as u8].into());
                    let origin = RequestOrigin { protocol: "http", sender, user: None };
                    let detail = "x".repeat(request as usize % 100);
                    let now_ms = started.elapsed().as_millis() as i64;
                    log.record_request(&origin, RequestRejection::TooLarge, &detail, now_ms);
                    if request % BATCH == 0 {
                        let due = interval.mul_f64(request as f64);
                        thread::sleep(due.saturating_sub(started.elapsed()));
                    }
                }
            });
        }
    });
    requests * u64::from(THREADS)
}

/// Returns the resident memory of this process, KiB.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has this file");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}

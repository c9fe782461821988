//! A flood of rejections from many threads.

use super::RejectionLog;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::rejection_log::entry::{DataSender, RequestOrigin};
use crate::ingest::rejections::RejectedItems;
use std::time::{Duration, Instant};

const THREADS: u8 = 4;
/// Rejected requests per second, all threads together.
const RATE: u64 = 100_000;

fn rejected(name: &str) -> WriteOutcome {
    let mut outcome = WriteOutcome::default();
    let (kind, reason) = (ItemKind::Sample, RejectReason::BadLabels);
    let items = RejectedItems { kind, reason, count: 3, detail: &"no metric name" };
    outcome.rejections.add_all(items, [("job", name)].into_iter());
    outcome
}

/// Records at `RATE` for `time`. Returns the number of recorded items.
fn flood(log: &RejectionLog, time: Duration) -> u64 {
    let started = Instant::now();
    let requests = RATE * time.as_millis() as u64 / 1000 / u64::from(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for request in 0..requests {
                    // Senders in turn, so that most entries cannot be joined.
                    let host = [192, 0, thread, request as u8];
                    let origin = RequestOrigin {
                        protocol: "remote_write_1.0",
                        sender: DataSender::Client(host.into()),
                        user: None,
                    };
                    let outcome = rejected(&"x".repeat(request as usize % 100));
                    log.record_outcome(&origin, &outcome, started.elapsed().as_millis() as i64);
                    let due =
                        Duration::from_nanos(request * 1_000_000_000 * u64::from(THREADS) / RATE);
                    if request % 64 == 0 {
                        std::thread::sleep(due.saturating_sub(started.elapsed()));
                    }
                }
            });
        }
    });
    requests * u64::from(THREADS) * 3
}

fn kept_and_dropped(log: &RejectionLog) -> u64 {
    let recent = log.newest(usize::MAX);
    recent.entries.iter().map(|entry| entry.count).sum::<u64>() + recent.dropped_count
}

#[test]
fn concurrent_rejections_are_all_counted() {
    let log = RejectionLog::default();
    let items = flood(&log, Duration::from_millis(50));
    assert_eq!(kept_and_dropped(&log), items);
}

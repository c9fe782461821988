//! Scrapes that storage does not accept, or only in part.

use crate::scrape::pool::status::TargetHealth;
use crate::scrape::pool::tests::bench::{Bench, ScriptedResponse};
use crate::scrape::pool::tests::loops::{pass, target, ticks};
use crate::testing::crash_disk::{CrashDisk, DiskCall};
use crate::tsdb::db::SeriesLimit;
use std::sync::Arc;
use std::time::Duration;

/// Number of intervals until a full disk is found to have space again, which is tried once a
/// second of real time.
const MAX_INTERVALS: usize = 100;

#[tokio::test(start_paused = true)]
async fn full_disk_is_the_error_of_its_targets_and_nothing_is_sent_later() {
    let disk = CrashDisk::new();
    let bench = Bench::with(|options| options.disk = Arc::new(disk.clone()));
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\nb 2\n"));
    bench.start(std::slice::from_ref(&one));
    pass(2.0).await;
    disk.set_free_bytes(Some(0));
    pass(1.0).await;
    assert!(bench.last_error().starts_with("cannot store scrape: "), "{}", bench.last_error());
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    pass(2.0).await;
    assert!(bench.last_error().contains("read-only"), "{}", bench.last_error());
    assert!(bench.metric("narthex_scrapes_not_stored_total{reason=\"wal\"} 1"));
    assert!(bench.metric("narthex_scrapes_not_stored_total{reason=\"read_only\"} 2"));
    // The scrape whose write failed is in memory, and is written when there is space.
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..3), vec![]));

    disk.set_free_bytes(None);
    let mut missed = 2;
    loop {
        std::thread::sleep(Duration::from_millis(100));
        pass(1.0).await;
        if bench.last_error().is_empty() {
            break;
        }
        missed += 1;
        assert!(missed < MAX_INTERVALS, "{}", bench.last_error());
    }
    pass(2.0).await;
    let back = 3 + missed as i64;
    let times = [ticks(&one, 0..3), ticks(&one, back..back + 3)].concat();
    assert_eq!(bench.times("a", "one:1"), (times.clone(), vec![]));
    assert_eq!(bench.times("up", "one:1"), (times, vec![]));
    // The series that vanished meanwhile ends with the first scrape that is stored.
    assert_eq!(bench.times("b", "one:1"), (ticks(&one, 0..3), ticks(&one, back..back + 1)));
    assert_eq!(bench.targets.requests.lock().len(), missed + 6);
}

#[tokio::test(start_paused = true)]
async fn failed_wal_is_the_error_of_its_targets() {
    let disk = CrashDisk::new();
    let bench = Bench::with(|options| options.disk = Arc::new(disk.clone()));
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.start(std::slice::from_ref(&one));
    pass(1.0).await;
    disk.fail_with_eio(DiskCall::Append, 1);
    pass(3.0).await;
    assert!(bench.last_error().contains("WAL failed"), "{}", bench.last_error());
    assert!(bench.metric("narthex_scrapes_not_stored_total{reason=\"wal\"} 3"));
    bench.scraper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn series_limit_is_an_error_of_the_target_which_stays_up() {
    let limit = SeriesLimit { max: 6, is_dry_run: false };
    let bench = Bench::with(|options| options.series_limit = limit);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.start(std::slice::from_ref(&one));
    pass(1.0).await;
    assert_eq!(bench.last_error(), "");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\nb 2\nc 3\n"));
    pass(1.0).await;
    let status = bench.scraper.snapshot()[0].active[0].state.status();
    assert_eq!(status.health, TargetHealth::Up);
    assert!(status.last_error.contains("limit of active series"), "{}", status.last_error);
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..2), vec![]));
    assert_eq!(bench.times("b", "one:1"), (vec![], vec![]));
    assert!(bench.metric("narthex_scrape_rejected_samples_total{reason=\"series_limit\"} 2"));
}

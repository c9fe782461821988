//! Loops and pools of one job.

use crate::model::labels::{Labels, LabelsBuilder};
use crate::scrape::plan::offset::target_hash;
use crate::scrape::pool::job::{TargetSet, TargetSpec};
use crate::scrape::pool::status::TargetHealth;
use crate::scrape::pool::tests::bench::{Bench, INTERVAL, START_MS, ScriptedResponse};
use crate::scrape::tests::log::CapturedLog;
use std::sync::Arc;
use std::time::Duration;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

pub(super) fn target(instance: &str) -> TargetSpec {
    let labels = labels(&[("instance", instance), ("job", "j")]);
    let url = format!("http://{instance}/metrics");
    TargetSpec {
        hash: target_hash(&labels, &url),
        labels,
        discovered: Arc::new([("__address__".to_owned(), instance.to_owned())]),
        url: url.into(),
        unix_socket: None,
        interval: INTERVAL,
        timeout: Duration::from_secs(5),
        scrape_native_histograms: false,
        convert_classic_histograms: false,
        always_scrape_classic_histograms: false,
    }
}

/// Returns a target with the same labels and another URL.
fn other_url(target: &TargetSpec, url: &str) -> TargetSpec {
    TargetSpec { hash: target_hash(&target.labels, url), url: url.into(), ..target.clone() }
}

/// Position of a target in its interval, ms.
fn offset_ms(target: &TargetSpec) -> i64 {
    crate::scrape::plan::offset::offset(target.hash, 0, INTERVAL).as_millis() as i64
}

pub(super) async fn pass(intervals: f64) {
    tokio::time::sleep(INTERVAL.mul_f64(intervals)).await;
}

/// Times of ticks, ms since the start.
pub(super) fn ticks(target: &TargetSpec, numbers: std::ops::Range<i64>) -> Vec<i64> {
    numbers.map(|number| offset_ms(target) + number * 10_000).collect()
}

#[tokio::test(start_paused = true)]
async fn target_is_scraped_at_its_offset_in_every_interval() {
    let bench = Bench::new(0);
    let (one, two) = (target("one:1"), target("two:2"));
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.targets.set(&two.url, ScriptedResponse::ConnectionRefused);
    bench.start(&[one.clone(), two.clone()]);
    pass(4.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..4), vec![]));
    assert_eq!(bench.times("up", "two:2").0, ticks(&two, 0..4));
    let snapshot = bench.scraper.snapshot();
    let states: Vec<_> = snapshot[0].active.iter().map(|target| target.state.status()).collect();
    assert_eq!((states[0].health, states[0].last_error.as_str()), (TargetHealth::Up, ""));
    assert_eq!(states[0].last_scrape_ms, Some(START_MS + ticks(&one, 3..4)[0]));
    assert_eq!(states[1].health, TargetHealth::Down);
    assert_eq!(states[1].last_error, "connection refused");
    let request = bench.targets.requests.lock()[0].clone();
    assert_eq!(request.timeout_header(), "5");
    assert_eq!(request.accept_encoding, "gzip");
    bench.scraper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn removed_target_gets_markers_at_the_time_of_its_next_tick() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.start(std::slice::from_ref(&one));
    pass(2.0).await;
    bench.sync(&[]);
    // They are due an interval and a tenth after the tick that would have followed.
    let due = Duration::from_millis(ticks(&one, 3..4)[0] as u64) + INTERVAL / 10;
    tokio::time::sleep(due - 2 * INTERVAL - Duration::from_millis(10)).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..2), vec![]), "not yet");
    pass(0.1).await;
    for name in ["a", "up", "scrape_samples_scraped"] {
        let found = bench.times(name, "one:1");
        assert_eq!(found, (ticks(&one, 0..2), ticks(&one, 2..3)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn target_that_returns_keeps_its_samples_without_markers() {
    for window_ms in [0, 7_200_000] {
        let bench = Bench::new(window_ms);
        let one = target("one:1");
        bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
        bench.start(std::slice::from_ref(&one));
        pass(2.0).await;
        bench.sync(&[]);
        pass(0.5).await;
        bench.sync(std::slice::from_ref(&one));
        pass(4.0).await;
        let (live, stale) = bench.times("a", "one:1");
        assert_eq!(stale, [0_i64; 0], "window {window_ms}");
        assert!(live.len() >= 5, "{live:?}");
        bench.scraper.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn target_that_was_never_scraped_gets_no_markers() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.start(std::slice::from_ref(&one));
    bench.sync(&[]);
    pass(5.0).await;
    assert_eq!(bench.samples("up", "one:1"), []);
}

#[tokio::test(start_paused = true)]
async fn removed_job_gets_markers() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.start(std::slice::from_ref(&one));
    pass(1.0).await;
    bench.scraper.apply(Vec::new());
    assert!(bench.scraper.snapshot().is_empty());
    pass(4.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..1), ticks(&one, 1..2)));
    assert!(!bench.metric("prometheus_target_scrape_pool_targets{scrape_job=\"j\"} 1"));
}

/// The first loop gives way to the second one, as it does for a target that is gone and back.
#[tokio::test(start_paused = true)]
async fn job_that_is_removed_and_added_again_has_no_gap_and_no_markers() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Delayed("a 1\n", Duration::from_secs(3)));
    bench.start(std::slice::from_ref(&one));
    tokio::time::sleep(Duration::from_millis(offset_ms(&one) as u64 + 1000)).await;
    bench.scraper.apply(Vec::new());
    bench.start(std::slice::from_ref(&one));
    pass(4.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..4), vec![]));
    assert_eq!(bench.times("up", "one:1"), (ticks(&one, 0..4), vec![]));
}

#[tokio::test(start_paused = true)]
async fn stop_cancels_exchanges_and_writes_no_markers() {
    let bench = Bench::new(0);
    let (one, two) = (target("one:1"), target("two:2"));
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.targets.set(&two.url, ScriptedResponse::Hang);
    bench.start(&[one.clone(), two.clone()]);
    pass(1.0).await;
    bench.scraper.stop().await;
    pass(5.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..1), vec![]));
    assert_eq!(bench.times("up", "one:1").1, [0_i64; 0]);
    bench.sync(&[one]);
    assert!(bench.scraper.snapshot().is_empty(), "a stopped scraper stays stopped");
}

#[tokio::test(start_paused = true)]
async fn target_that_hangs_until_the_timeout_misses_no_tick() {
    let bench = Bench::new(0);
    let mut one = target("one:1");
    one.timeout = INTERVAL;
    bench.targets.set(&one.url, ScriptedResponse::Hang);
    bench.start(std::slice::from_ref(&one));
    pass(5.0).await;
    let times = bench.times("up", "one:1").0;
    assert_eq!(times, ticks(&one, 0..4), "each is stored when it has timed out");
    bench.scraper.stop().await;
    let status = bench.samples("up", "one:1");
    assert!(status.iter().all(|(_, v)| *v == 0.0), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn scrape_in_progress_is_stored_although_the_target_is_gone() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Delayed("a 1\n", Duration::from_secs(3)));
    bench.start(std::slice::from_ref(&one));
    tokio::time::sleep(Duration::from_millis(offset_ms(&one) as u64 + 1000)).await;
    bench.sync(&[]);
    pass(1.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..1), vec![]));
    pass(3.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..1), ticks(&one, 1..2)));
}

#[tokio::test(start_paused = true)]
async fn reload_without_changes_touches_nothing() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.start(std::slice::from_ref(&one));
    for _ in 0..40 {
        pass(0.1).await;
        bench.scraper.apply(vec![bench.job("")]);
        bench.sync(std::slice::from_ref(&one));
    }
    assert_eq!(bench.times("a", "one:1").0.len(), 4);
    assert!(bench.metric("prometheus_target_scrape_pool_reloads_total 0"));
    let added: Vec<f64> =
        bench.samples("scrape_series_added", "one:1").into_iter().map(|(_, v)| v).collect();
    assert_eq!(added, [1.0, 0.0, 0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn reload_of_limits_keeps_the_cache() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\nb 2\n"));
    bench.start(std::slice::from_ref(&one));
    pass(2.0).await;
    let mut job = bench.job("");
    Arc::make_mut(&mut job.config).limits.samples = 1;
    bench.scraper.apply(vec![job]);
    pass(1.0).await;
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..2), ticks(&one, 2..3)));
    bench.scraper.apply(vec![bench.job("")]);
    pass(1.0).await;
    assert_eq!(bench.times("a", "one:1").0.len(), 3);
    let added: Vec<f64> =
        bench.samples("scrape_series_added", "one:1").into_iter().map(|(_, v)| v).collect();
    assert_eq!(added, [2.0, 0.0, 0.0, 0.0]);
    pass(3.0).await;
    assert_eq!(bench.times("a", "one:1").1.len(), 1, "only that of the failed scrape");
}

#[tokio::test(start_paused = true)]
async fn reload_of_other_keys_starts_again_without_a_gap() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\n"));
    bench.start(std::slice::from_ref(&one));
    pass(2.0).await;
    bench.targets.set(&one.url, ScriptedResponse::Body("b 2\n"));
    bench.scraper.apply(vec![bench.job("other")]);
    pass(4.0).await;
    assert_eq!(bench.times("up", "one:1"), (ticks(&one, 0..6), vec![]));
    assert_eq!(bench.times("b", "one:1").0, ticks(&one, 2..6));
    // The new cache does not know this series, so the old loop ends it later.
    assert_eq!(bench.times("a", "one:1"), (ticks(&one, 0..2), ticks(&one, 2..3)));
    assert!(bench.metric("prometheus_target_scrape_pool_reloads_total 1"));
}

#[tokio::test(start_paused = true)]
async fn too_many_targets_fail_all_of_them() {
    let bench = Bench::new(0);
    let (one, two) = (target("one:1"), target("two:2"));
    for target in [&one, &two] {
        bench.targets.set(&target.url, ScriptedResponse::Body("a 1\n"));
    }
    let mut job = bench.job("");
    job.target_limit = 1;
    bench.scraper.apply(vec![job]);
    bench.sync(&[one.clone(), two.clone()]);
    pass(1.0).await;
    for active in &bench.scraper.snapshot()[0].active {
        assert_eq!(
            active.state.status().last_error,
            "target_limit exceeded (number of targets: 2, limit: 1)"
        );
    }
    assert!(bench.targets.requests.lock().is_empty());
    bench.sync(std::slice::from_ref(&one));
    pass(1.0).await;
    assert_eq!(bench.times("a", "one:1").0, ticks(&one, 1..2));
    assert!(bench.metric("prometheus_target_scrape_pool_exceeded_target_limit_total 1"));
}

#[tokio::test(start_paused = true)]
async fn equal_targets_are_scraped_once_and_equal_labels_counted() {
    let bench = Bench::new(0);
    let one = target("one:1");
    bench.start(&[one.clone(), one.clone(), other_url(&one, "http://one:1/other")]);
    assert_eq!(bench.scraper.snapshot()[0].active.len(), 2);
    assert!(bench.metric("narthex_scrape_pool_targets_with_equal_labels{scrape_job=\"j\"} 1"));
    bench.sync(&[one]);
    assert!(bench.metric("narthex_scrape_pool_targets_with_equal_labels{scrape_job=\"j\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn equal_labels_in_two_jobs_are_counted() {
    let bench = Bench::new(0);
    let mut other = bench.job("");
    other.name = "k".into();
    bench.scraper.apply(vec![bench.job(""), other]);
    bench.sync(&[target("one:1")]);
    for (job, count) in [("j", 0), ("k", 1)] {
        let name = "narthex_scrape_pool_targets_with_equal_labels";
        assert!(bench.metric(&format!("{name}{{scrape_job=\"{job}\"}} {count}")), "{job}");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_labels_are_warned_of_when_their_number_changes() {
    let log = CapturedLog::default();
    let _guard = tracing::dispatcher::set_default(&log.dispatch());
    let bench = Bench::new(0);
    let (one, different) = (target("one:1"), target("two:2"));
    let [second, third] = ["http://one:1/second", "http://one:1/third"];
    let (second, third) = (other_url(&one, second), other_url(&one, third));
    let warnings = || log.lines("targets have equal labels");
    bench.start(&[one.clone(), different.clone()]);
    assert_eq!(warnings(), [""; 0]);
    for _ in 0..2 {
        bench.sync(&[one.clone(), second.clone(), different.clone()]);
        let warnings = warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let labels = "labels={instance=\"one:1\", job=\"j\"}";
        for part in ["WARN", "job=\"j\"", "targets=1", labels, &one.url, &second.url] {
            assert!(warnings[0].contains(part), "{part} in {warnings:?}");
        }
    }
    bench.sync(&[one.clone(), second.clone(), third]);
    assert!(warnings()[1].contains("targets=2"), "{:?}", warnings());
    bench.sync(&[one.clone(), different]);
    assert_eq!(warnings().len(), 2);
    bench.sync(&[one, second]);
    assert!(warnings()[2].contains("targets=1"), "{:?}", warnings());
    bench.scraper.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_targets_are_capped_and_counted() {
    let bench = Bench::new(0);
    bench.start(&[]);
    let dropped = |count| TargetSet {
        dropped: vec![Arc::from(Vec::new()); count],
        dropped_count: count,
        failed: 3,
        ..TargetSet::default()
    };
    bench.scraper.update(|_| Some(dropped(1500)));
    let snapshot = bench.scraper.snapshot();
    assert_eq!((snapshot[0].dropped.len(), snapshot[0].dropped_count), (1000, 1500));
    assert!(bench.metric("prometheus_target_sync_failed_total{scrape_job=\"j\"} 3"));
    bench.scraper.update(|_| None);
    assert_eq!(bench.scraper.snapshot()[0].dropped_count, 1500);
}

#[tokio::test(start_paused = true)]
async fn share_of_the_sample_limit_is_shown_and_warned_of_once() {
    let log = CapturedLog::default();
    let _guard = tracing::dispatcher::set_default(&log.dispatch());
    let bench = Bench::new(0);
    let (one, two) = (target("one:1"), target("two:2"));
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\nb 2\nc 3\n"));
    bench.targets.set(&two.url, ScriptedResponse::Body("a 1\n"));
    let mut job = bench.job("");
    Arc::make_mut(&mut job.config).limits.samples = 4;
    bench.scraper.apply(vec![job]);
    bench.sync(&[one.clone(), two.clone()]);
    let name = "narthex_target_sample_limit_fill_ratio{scrape_job=\"j\"}";
    let warnings = || log.lines("80 % of its sample_limit");
    pass(1.0).await;
    assert!(bench.metric(&format!("{name} 0.75")));
    assert_eq!(warnings(), [""; 0]);
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\nb 2\nc 3\nd 4\n"));
    pass(2.0).await;
    assert!(bench.metric(&format!("{name} 1.0")));
    bench.targets.set(&one.url, ScriptedResponse::Body("a 1\nb 2\nc 3\nd 4\ne 5\n"));
    pass(1.0).await;
    assert!(bench.metric(&format!("{name} 1.25")));
    // A scrape that has no complete body says nothing about the number of samples.
    bench.targets.set(&one.url, ScriptedResponse::ConnectionRefused);
    pass(1.0).await;
    assert!(bench.metric(&format!("{name} 1.25")));
    let warnings = warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for part in ["WARN", "job=\"j\"", "url=\"http://one:1/metrics\"", "samples=4", "sample_limit=4"]
    {
        assert!(warnings[0].contains(part), "{part} in {warnings:?}");
    }
    bench.sync(std::slice::from_ref(&two));
    pass(0.1).await;
    assert!(bench.metric(&format!("{name} 0.25")), "the other target is gone");
    bench.scraper.apply(vec![bench.job("")]);
    pass(1.0).await;
    assert!(!bench.metric(&format!("{name} 0.25")), "there is no limit");
    bench.scraper.stop().await;
}

//! Kills and immediate exits at every step of block maintenance, while several senders write.
//!
//! The time of the senders runs fast: a few dozen requests fill a block. A fail point pauses
//! maintenance. Writes are acknowledged and visible to reads during the pause, because no request
//! waits for background work. Then the process is killed. After the next start, exactly the
//! acknowledged samples are stored, nothing is unfinished, and maintenance continues.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rand::RngExt;
use tempfile::TempDir;

use crate::support::admin::{self, Admin};
use crate::support::data::{BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::ledger::Ledger;
use crate::support::metrics::Metrics;
use crate::support::points::Points;
use crate::support::remote::Remote;
use crate::support::samples::LabelSet;
use crate::support::wait::wait_until;
use crate::support::wire::{Label, Sample, TimeSeries, WriteRequest};
use crate::support::{blocks, dir};

const SENDERS: usize = 8;

/// Time between two requests, ms.
const STEP: i64 = 120_000;

/// Number of series of each sender.
const OWN_SERIES: usize = 4;

/// Number of requests that must succeed during a pause.
const DURING_PAUSE: usize = 40;

/// Retention beyond the time of a slow run, which may exceed the default of 15 days.
const KEEP_ALL: &str = "--storage.tsdb.retention.time=10y";

/// Exit code of the action `exit` of a fail point.
const EXIT_CODE: i32 = 86;

/// Time of the requests. It does not get far ahead of requests in flight, which would become too
/// old.
#[derive(Default)]
struct Clock {
    state: Mutex<Times>,
    is_slow: AtomicBool,
    is_ahead: AtomicBool,
    is_far_ahead: AtomicBool,
}

#[derive(Default)]
struct Times {
    next: i64,
    in_flight: BTreeSet<i64>,
}

impl Clock {
    /// Maximum time between the oldest and the newest request in flight, ms.
    const LEAD: i64 = HOUR / 2;

    /// Returns the time of a new request relative to [`BEGIN`], ms.
    fn start_request(&self) -> i64 {
        std::thread::sleep(self.pause());
        loop {
            let mut times = self.state.lock().expect("no sender panicked");
            let time = times.next;
            if times.in_flight.first().is_none_or(|first| time < first + Clock::LEAD) {
                times.next += self.step();
                times.in_flight.insert(time);
                return time;
            }
            drop(times);
            std::thread::yield_now();
        }
    }

    /// Pause of a sender before a request. On a busy machine, maintenance and admin operations
    /// would get no CPU time otherwise.
    fn pause(&self) -> Duration {
        let is_long =
            self.is_slow.load(Ordering::SeqCst) || self.is_far_ahead.load(Ordering::SeqCst);
        let is_short = self.is_ahead.load(Ordering::SeqCst);
        Duration::from_millis(if is_long { 20 } else { 2 * u64::from(is_short) })
    }

    fn finish_request(&self, time: i64) {
        self.state.lock().expect("no sender panicked").in_flight.remove(&time);
    }

    fn step(&self) -> i64 {
        let is_slow = self.is_slow.load(Ordering::SeqCst) || self.is_ahead.load(Ordering::SeqCst);
        if is_slow { STEP / 100 } else { STEP }
    }

    /// Leaves pauses between maintenance runs for admin operations.
    fn slow_down(&self) {
        self.is_slow.store(true, Ordering::SeqCst);
    }

    fn speed_up(&self) {
        self.is_slow.store(false, Ordering::SeqCst);
    }

    /// Slows time down if it is hours ahead of the newest block. Head compaction would never finish
    /// otherwise.
    fn wait_for_blocks(&self, data: &Path) {
        // Blocks of out-of-order samples overlap the head.
        let newest = blocks::blocks(data)
            .iter()
            .filter(|block| block.is_in_order())
            .map(|block| block.end() - BEGIN)
            .max()
            .unwrap_or(0);
        let next = self.state.lock().expect("no sender panicked").next;
        self.is_ahead.store(next - newest > 5 * HOUR, Ordering::SeqCst);
        self.is_far_ahead.store(next - newest > 8 * HOUR, Ordering::SeqCst);
    }
}

/// State of the senders across all processes of a directory.
#[derive(Default)]
struct Traffic {
    ledger: Ledger,
    clock: Clock,
    acknowledged: AtomicUsize,
}

impl Traffic {
    /// Writes until a request gets no response. Returns the start of that request.
    fn send(&self, sender: usize, remote: &Remote) -> Instant {
        loop {
            let time = self.clock.start_request();
            let request = request(sender, time);
            self.ledger.sending(&request);
            let started = Instant::now();
            let response = remote.try_write(&request);
            self.clock.finish_request(time);
            let Ok(response) = response else { return started };
            assert_eq!(response.status, 204, "valid write at {time}: {}", response.text());
            self.ledger.acknowledged(&request);
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until `more` further requests succeed.
    fn wait_for_acks(&self, more: usize) {
        let end = self.acknowledged.load(Ordering::SeqCst) + more;
        wait_until("acknowledged requests", || self.acknowledged.load(Ordering::SeqCst) >= end);
    }
}

/// Returns a request with a sample of each series of the sender, one of a new series, and an
/// out-of-order one.
fn request(sender: usize, time: i64) -> WriteRequest {
    let sample = || Sample {
        bits: Some(rand::rng().random::<u64>() & !(1 << 63) | 1),
        timestamp: BEGIN + time,
    };
    let series = |labels: &[(&str, &str)]| TimeSeries {
        labels: labels
            .iter()
            .map(|&(name, value)| Label { name: name.to_owned(), value: value.to_owned() })
            .collect(),
        samples: vec![sample()],
        ..TimeSeries::default()
    };
    let own = |number: usize| {
        series(&[
            ("__name__", "own"),
            ("number", &number.to_string()),
            ("sender", &sender.to_string()),
        ])
    };
    let mut timeseries: Vec<TimeSeries> = (0..OWN_SERIES).map(own).collect();
    timeseries.push(series(&[("__name__", "once"), ("time", &time.to_string())]));
    let mut ooo = series(&[("__name__", "ooo"), ("sender", &sender.to_string())]);
    ooo.samples.iter_mut().for_each(|sample| sample.timestamp -= ooo_delay(time));
    timeseries.push(ooo);
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// Delay of the out-of-order sample of a request, ms: in turn none, half an hour and an hour. The
/// odd milliseconds avoid duplicate timestamps, because request times are multiples of
/// [`STEP`] / 100.
fn ooo_delay(time: i64) -> i64 {
    let turn = time / (STEP / 100) % 3;
    turn * (HOUR / 2 + 1)
}

/// End of a process at a fail point.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The fail point pauses maintenance, and the process is killed later.
    Killed,
    /// The fail point ends the process.
    Exited,
}

/// Data directory across server processes.
struct Campaign {
    temp_dir: TempDir,
    flags: Vec<String>,
    traffic: Traffic,
}

impl Campaign {
    fn new(flags: &[&str]) -> Campaign {
        let flags =
            [admin::ENABLE, "--web.enable-lifecycle", "--storage.tsdb.wal-segment-size=64KB"]
                .iter()
                .chain(flags);
        let flags = flags.map(|&flag| flag.to_owned()).collect();
        Campaign { temp_dir: dir::temp(), flags, traffic: Traffic::default() }
    }

    fn data(&self) -> PathBuf {
        self.temp_dir.path().join("data")
    }

    fn launch(&self) -> Launch {
        self.flags.iter().fold(Launch::narthex(&self.data()), |launch, flag| launch.flag(flag))
    }

    fn marker(&self, point: &str) -> PathBuf {
        self.temp_dir.path().join(point)
    }

    fn launch_paused_at(&self, point: &str, at: u32) -> Launch {
        let setting = format!("{point}@{at}=pause:{}", self.marker(point).display());
        self.launch().env("NARTHEX_FAULT_POINTS", setting)
    }

    /// Lets all senders write until `wait` returns, then kills the server. Returns `true` if a
    /// request was in flight.
    fn write_until(&self, server: Server, wait: impl FnOnce(&Server)) -> bool {
        let remote = server.remote();
        std::thread::scope(|scope| {
            // Dropped if `wait` panics, so that the senders end.
            let mut server = server;
            let sender = |id| {
                let remote = remote.clone();
                scope.spawn(move || self.traffic.send(id, &remote))
            };
            let senders: Vec<_> = (0..SENDERS).map(sender).collect();
            let guard = self.limit_clock(scope);
            wait(&server);
            let killed = server.program.kill();
            drop(guard);
            let unanswered =
                senders.into_iter().map(|sender| sender.join().expect("no sender panicked"));
            unanswered.filter(|started| *started < killed).count() > 0
        })
    }

    /// Lets all senders write until the process exits at a fail point.
    fn write_until_exit(&self, point: &str, at: u32) {
        let server =
            self.launch().env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=exit")).start();
        let remote = server.remote();
        let status = std::thread::scope(|scope| {
            let mut server = server;
            for id in 0..SENDERS {
                let remote = remote.clone();
                scope.spawn(move || self.traffic.send(id, &remote));
            }
            let _guard = self.limit_clock(scope);
            server.program.wait_exit()
        });
        assert_eq!(status.code(), Some(EXIT_CODE), "{point}");
    }

    /// Slows the time of the senders down to the pace of head compaction, until dropped.
    fn limit_clock<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Sender<()> {
        let (guard, ended) = channel();
        scope.spawn(move || {
            while ended.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                self.traffic.clock.wait_for_blocks(&self.data());
            }
        });
        guard
    }

    /// Waits for the pause at the fail point. Asserts that writes, reads and a reload succeed
    /// during the pause.
    fn assert_served_during_pause(&self, server: &Server, point: &str) {
        wait_for_file(&self.marker(point));
        for _ in 0..2 {
            let acknowledged = self.traffic.ledger.acknowledged_so_far();
            let unseen = acknowledged.beyond(&server.remote().read_all_points());
            assert!(
                unseen.count() == 0,
                "acknowledged but not visible during the pause at {point}: {unseen:?}"
            );
            self.traffic.wait_for_acks(DURING_PAUSE);
        }
        let reloaded = server.http.post("/-/reload", &[], b"");
        assert_eq!(reloaded.status, 200, "reload during the pause at {point}: {}", reloaded.text());
        assert!(self.marker(point).exists(), "no pause at {point}");
    }

    /// Starts a server. Asserts that all acknowledged samples are stored, only sent ones, and that
    /// nothing is unfinished.
    fn start_and_check(&self, context: &str) -> Server {
        let server = self.launch().start();
        self.traffic.ledger.check(&server.remote().read_all_points(), context);
        self.wait_for_no_leftovers(context);
        server
    }

    /// Waits until no unfinished files exist. Maintenance after the start may still create some.
    fn wait_for_no_leftovers(&self, context: &str) {
        wait_until(&format!("removal of unfinished files, {context}"), || {
            blocks::leftovers(&self.data()).is_empty()
        });
    }

    /// Waits for further head compactions, checks the data and shuts the server down.
    fn finish(&self, context: &str) {
        self.traffic.clock.speed_up();
        let server = self.start_and_check(context);
        self.write_until(server, |server| {
            wait_for_metric(server, "prometheus_tsdb_head_truncations_total", 2.0);
        });
        let server = self.start_and_check(&format!("{context}, after further compactions"));
        assert_eq!(
            Metrics::of(&server.http).sum("narthex_tsdb_blocks_quarantined_total"),
            Some(0.0),
            "{context}"
        );
        server.stop();
        blocks::assert_no_leftovers(&self.data(), context);
    }
}

fn wait_for_file(marker: &Path) {
    wait_until(&format!("the fail point {}", marker.display()), || marker.exists());
}

fn wait_for_metric(server: &Server, name: &str, min: f64) {
    wait_until(&format!("{name} of at least {min}"), || {
        Metrics::of(&server.http).sum(name) >= Some(min)
    });
}

/// Ends processes at the first and at later hits of a fail point that writes trigger, and checks
/// the data.
fn assert_survives_at(point: &str) {
    for (at, end) in [(1, End::Killed), (2, End::Exited), (3, End::Killed)] {
        // Only a kill with a request in flight counts.
        while !assert_survives(point, at, end) {}
    }
}

/// Ends one process and checks the data. Returns `true` if a request was in flight.
fn assert_survives(point: &str, at: u32, end: End) -> bool {
    let campaign = Campaign::new(&[KEEP_ALL]);
    let counts = match end {
        End::Killed => {
            let server = campaign.launch_paused_at(point, at).start();
            campaign
                .write_until(server, |server| campaign.assert_served_during_pause(server, point))
        }
        End::Exited => {
            campaign.write_until_exit(point, at);
            true
        }
    };
    campaign.finish(&format!("{end:?} at {point}@{at}"));
    counts
}

#[test]
fn samples_survive_end_in_block_write() {
    assert_survives_at("block.write");
}

#[test]
fn samples_survive_end_before_block_rename() {
    assert_survives_at("block.before_rename");
}

#[test]
fn samples_survive_end_after_block_rename() {
    assert_survives_at("block.after_rename");
}

#[test]
fn samples_survive_end_before_head_truncation() {
    assert_survives_at("head.before_truncate");
}

#[test]
fn samples_survive_end_in_checkpoint_write() {
    assert_survives_at("checkpoint.write");
}

#[test]
fn samples_survive_end_before_checkpoint_rename() {
    assert_survives_at("checkpoint.before_rename");
}

#[test]
fn samples_survive_end_after_checkpoint_rename() {
    assert_survives_at("checkpoint.after_rename");
}

#[test]
fn samples_survive_end_in_wal_truncation() {
    assert_survives_at("wal.truncate");
}

#[test]
fn samples_survive_end_in_block_compaction() {
    assert_survives_at("compact.write");
}

#[test]
fn samples_survive_end_before_deletion_of_parents() {
    assert_survives_at("compact.before_delete");
}

#[test]
fn samples_survive_end_before_ooo_block_write() {
    assert_survives_at("ooo.before_block");
}

#[test]
fn samples_survive_end_after_ooo_block_write() {
    assert_survives_at("ooo.after_block");
}

#[test]
fn samples_survive_end_before_wbl_truncation() {
    assert_survives_at("ooo.before_wbl_truncate");
}

/// Retention of the retention test: five blocks.
const RETENTION: i64 = 10 * HOUR;

#[test]
fn retention_deletes_old_blocks_only_and_permanently() {
    for end in [End::Killed, End::Exited] {
        let context = format!("{end:?} in retention");
        let campaign = Campaign::new(&["--storage.tsdb.retention.time=10h"]);
        let point = "retention.delete";
        match end {
            End::Killed => {
                campaign.write_until(campaign.launch_paused_at(point, 1).start(), |server| {
                    wait_for_file(&campaign.marker(point));
                    campaign.traffic.wait_for_acks(DURING_PAUSE);
                    assert_retained(&campaign, &server.remote());
                });
            }
            End::Exited => campaign.write_until_exit(point, 1),
        }
        for time in ["after the end", "after a kill"] {
            let server = campaign.launch().start();
            assert_retained(&campaign, &server.remote());
            let mint = oldest_block_start(&campaign.data());
            let returned = server.remote().read_all_points().filter(|_, t| t < mint);
            assert!(
                returned.count() == 0,
                "{context}, {time}: older than all blocks: {returned:?}"
            );
            campaign.wait_for_no_leftovers(&context);
            campaign.write_until(server, |server| {
                wait_for_metric(server, "prometheus_tsdb_time_retentions_total", 1.0)
            });
        }
        let server = campaign.launch().start();
        assert_retained(&campaign, &server.remote());
        // The kill may have cut off a run that had written blocks and not yet deleted old ones. A
        // head that still has a block to write makes another one expire.
        wait_until(&format!("expired blocks to be deleted, {context}"), || {
            head_span(&server) < 3 * HOUR && span_of_block_ends(&campaign.data()) < RETENTION
        });
        assert_retained(&campaign, &server.remote());
        server.stop();
        let outline = blocks::outline(&campaign.data());
        assert!(span_of_block_ends(&campaign.data()) < RETENTION, "{context}: {outline}");
    }
}

/// Time between the oldest and the newest sample of the head, ms.
fn head_span(server: &Server) -> i64 {
    let metrics = Metrics::of(&server.http);
    let time = |name| metrics.sum(name).expect("the head has samples") as i64;
    time("prometheus_tsdb_head_max_time") - time("prometheus_tsdb_head_min_time")
}

/// Time between the end of the oldest block and that of the newest block of in-order samples, ms.
fn span_of_block_ends(data: &Path) -> i64 {
    let blocks = blocks::blocks(data);
    let in_order = blocks.iter().filter(|block| block.is_in_order());
    let newest = in_order.map(blocks::Block::end).max().expect("blocks of in-order samples exist");
    let oldest = blocks.iter().map(blocks::Block::end).min().expect("blocks exist");
    newest - oldest
}

/// Minimum time of the oldest block.
fn oldest_block_start(data: &Path) -> i64 {
    blocks::blocks(data).iter().map(blocks::Block::begin).min().expect("blocks exist")
}

/// Asserts that all acknowledged samples within the retention are stored, and only sent ones.
fn assert_retained(campaign: &Campaign, remote: &Remote) {
    let acknowledged = campaign.traffic.ledger.acknowledged_so_far();
    let newest = acknowledged.max_time().expect("acknowledged samples");
    let returned = remote.read_all_points();
    let lost = acknowledged.from(newest - RETENTION).beyond(&returned);
    assert!(lost.count() == 0, "acknowledged samples within the retention are lost: {lost:?}");
    let foreign = returned.filter(|labels, t| !campaign.traffic.ledger.was_sent(labels, t));
    assert!(foreign.count() == 0, "samples that were never sent: {foreign:?}");
}

#[test]
fn snapshot_blocks_no_request_and_is_complete_or_absent() {
    for (at, end) in [(1, End::Killed), (2, End::Killed), (1, End::Exited)] {
        let context = format!("{end:?} at snapshot.write@{at}");
        let point = "snapshot.write";
        let campaign = Campaign::new(&[KEEP_ALL]);
        let launch = match end {
            End::Killed => campaign.launch_paused_at(point, at),
            End::Exited => {
                campaign.launch().env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=exit"))
            }
        };
        let mut server = launch.start();
        if let End::Killed = end {
            campaign.write_until(server, |server| {
                wait_for_metric(server, "prometheus_tsdb_head_truncations_total", 2.0);
                campaign.traffic.clock.slow_down();
                spawn_snapshot(server);
                campaign.assert_served_during_pause(server, point);
            });
        } else {
            server.remote().write_ok(&acknowledged_request(&campaign));
            spawn_snapshot(&server);
            assert_eq!(server.program.wait_exit().code(), Some(EXIT_CODE), "{context}");
        }
        let server = campaign.start_and_check(&context);
        assert_eq!(
            blocks::names(&campaign.data().join("snapshots")),
            Vec::<String>::new(),
            "{context}"
        );
        let name = Admin::of(&server.http).snapshot();
        let copy = dir::copy_to_temp(&campaign.data().join("snapshots").join(name));
        server.stop();
        let restored = Launch::narthex(copy.path()).start();
        campaign
            .traffic
            .ledger
            .check(&restored.remote().read_all_points(), &format!("{context}, a later snapshot"));
        drop(restored);
        campaign.finish(&context);
    }
}

/// Requests a snapshot in a thread that ends with the server.
fn spawn_snapshot(server: &Server) {
    let http = server.http.clone();
    std::thread::spawn(move || Admin::of(&http).try_snapshot().map(drop));
}

/// Returns a request and records it as acknowledged. The caller must send it.
fn acknowledged_request(campaign: &Campaign) -> WriteRequest {
    let time = campaign.traffic.clock.start_request();
    let request = request(0, time);
    campaign.traffic.clock.finish_request(time);
    campaign.traffic.ledger.sending(&request);
    campaign.traffic.ledger.acknowledged(&request);
    request
}

/// Selector of the deletion tests: some series of every sender. They delete samples of the first
/// two blocks.
const DELETED: &str = "{__name__=\"own\",number=~\"1|2\"}";
const DELETED_TO: i64 = BEGIN + 3 * HOUR;

fn is_deleted(labels: &LabelSet, t: i64) -> bool {
    let has = |name: &str, value: &str| labels.contains(&(name.to_owned(), value.to_owned()));
    has("__name__", "own") && (has("number", "1") || has("number", "2")) && t <= DELETED_TO
}

/// Asserts that all other samples are stored, and that the deletion applies to all or none of the
/// samples of each block.
fn assert_deletion_atomic(campaign: &Campaign, remote: &Remote, context: &str) -> Points {
    let acknowledged = campaign.traffic.ledger.acknowledged_so_far();
    let returned = remote.read_all_points();
    let lost = acknowledged.filter(|labels, t| !is_deleted(labels, t)).beyond(&returned);
    assert!(lost.count() == 0, "{context}: acknowledged samples are lost: {lost:?}");
    for start in [BEGIN, BEGIN + 2 * HOUR] {
        let part = acknowledged.between(start, start + 2 * HOUR).filter(is_deleted);
        let missing = part.beyond(&returned).count();
        let is_atomic = missing == 0 || missing == part.count();
        assert!(is_atomic, "{context}: {missing} of {} are deleted", part.count());
    }
    let foreign = returned.filter(|labels, t| !campaign.traffic.ledger.was_sent(labels, t));
    assert!(foreign.count() == 0, "{context}: samples that were never sent: {foreign:?}");
    returned
}

fn assert_deleted(campaign: &Campaign, remote: &Remote, context: &str) {
    let returned = assert_deletion_atomic(campaign, remote, context);
    let remaining = returned.filter(is_deleted);
    assert!(remaining.count() == 0, "{context}: deleted samples are returned: {remaining:?}");
}

/// Creates a directory with the two blocks of the deletion tests, before block compaction.
fn with_two_blocks() -> Campaign {
    let campaign = Campaign::new(&[KEEP_ALL, "--storage.tsdb.max-block-duration=2h"]);
    let server = campaign.launch().start();
    campaign.write_until(server, |server| {
        wait_for_metric(server, "prometheus_tsdb_head_truncations_total", 2.0)
    });
    campaign.traffic.clock.slow_down();
    campaign
}

#[test]
fn killed_deletion_is_atomic_per_block_and_blocks_no_request() {
    for (at, end) in [(1, End::Killed), (2, End::Killed), (1, End::Exited)] {
        let context = format!("{end:?} at tombstones.write@{at}");
        let point = "tombstones.write";
        let campaign = with_two_blocks();
        if let End::Killed = end {
            campaign.write_until(campaign.launch_paused_at(point, at).start(), |server| {
                spawn_deletion(server);
                wait_for_file(&campaign.marker(point));
                campaign.traffic.wait_for_acks(DURING_PAUSE);
                assert_deletion_atomic(
                    &campaign,
                    &server.remote(),
                    &format!("during the pause, {context}"),
                );
                campaign.traffic.wait_for_acks(DURING_PAUSE);
            });
        } else {
            let mut server =
                campaign.launch().env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=exit")).start();
            spawn_deletion(&server);
            assert_eq!(server.program.wait_exit().code(), Some(EXIT_CODE), "{context}");
        }
        let server = campaign.launch().start();
        assert_deletion_atomic(&campaign, &server.remote(), &context);
        campaign.wait_for_no_leftovers(&context);
        // An acknowledged deletion survives a kill.
        Admin::of(&server.http).delete(DELETED, BEGIN, DELETED_TO);
        assert_deleted(&campaign, &server.remote(), &context);
        campaign.write_until(server, |_| campaign.traffic.wait_for_acks(DURING_PAUSE));
        let server = campaign.launch().start();
        assert_deleted(&campaign, &server.remote(), &format!("{context}, restarted"));
        server.stop();
    }
}

fn spawn_deletion(server: &Server) {
    let http = server.http.clone();
    std::thread::spawn(move || Admin::of(&http).try_delete(DELETED, BEGIN, DELETED_TO).map(drop));
}

#[test]
fn killed_tombstone_cleanup_restores_nothing_and_blocks_nothing() {
    for point in ["block.write", "block.after_rename", "compact.before_delete"] {
        let context = format!("cleaning of tombstones killed at {point}");
        let campaign = with_two_blocks();
        let server = campaign.launch().start();
        Admin::of(&server.http).delete(DELETED, BEGIN, DELETED_TO);
        server.stop();
        // Without senders, the cleaning of tombstones reaches the fail point first.
        let server = campaign.launch_paused_at(point, 1).start();
        let http = server.http.clone();
        std::thread::spawn(move || Admin::of(&http).try_clean_tombstones().map(drop));
        wait_for_file(&campaign.marker(point));
        campaign.write_until(server, |server| {
            for _ in 0..2 {
                campaign.traffic.wait_for_acks(DURING_PAUSE);
                assert_deleted(
                    &campaign,
                    &server.remote(),
                    &format!("during the pause, {context}"),
                );
            }
        });
        let server = campaign.launch().start();
        assert_deleted(&campaign, &server.remote(), &context);
        campaign.wait_for_no_leftovers(&context);
        Admin::of(&server.http).clean_tombstones();
        assert_deleted(&campaign, &server.remote(), &format!("{context}, cleaned"));
        let has_tombstones = |block: &blocks::Block| block.stat("numTombstones") > 0;
        assert!(
            !blocks::blocks(&campaign.data()).iter().any(has_tombstones),
            "{context}: blocks still have tombstones"
        );
        server.stop();
        campaign.wait_for_no_leftovers(&context);
    }
}

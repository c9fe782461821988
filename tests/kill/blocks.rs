//! kill -9, and an end at once, at every step of the work on blocks, while several senders write.
//!
//! The senders' time runs fast: a few dozen requests fill a block. A fault point holds the work
//! where it is; meanwhile writes are acknowledged and reads see them, for no request waits for work
//! in the background; then the process is killed. After the next start all that was acknowledged is
//! there, nothing else is, nothing half-done is left, and the work goes on.

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

/// Milliseconds of data from a request to the next.
const STEP: i64 = 120_000;

/// Series that belong to one sender.
const OWN_SERIES: usize = 4;

/// So many requests more are answered while the work is held.
const WHILE_HELD: usize = 40;

/// The time of a starved run goes beyond the 15 days of the default.
const KEEP_ALL: &str = "--storage.tsdb.retention.time=10y";

/// The code with which a fault point ends the process.
const EXIT_CODE: i32 = 86;

/// The time of the requests; none gets far ahead of one that is under way, which would then be too
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
    under_way: BTreeSet<i64>,
}

impl Clock {
    /// Milliseconds between the oldest request under way and the newest.
    const LEAD: i64 = HOUR / 2;

    /// The time of a request, after [`BEGIN`].
    fn begin(&self) -> i64 {
        std::thread::sleep(self.pause());
        loop {
            let mut times = self.state.lock().expect("no sender panicked");
            let time = times.next;
            if times.under_way.first().is_none_or(|first| time < first + Clock::LEAD) {
                times.next += self.step();
                times.under_way.insert(time);
                return time;
            }
            drop(times);
            std::thread::yield_now();
        }
    }

    /// On a busy machine the senders leave the work on blocks no processor, and an order no turn.
    fn pause(&self) -> Duration {
        let is_long =
            self.is_slow.load(Ordering::SeqCst) || self.is_far_ahead.load(Ordering::SeqCst);
        let is_short = self.is_ahead.load(Ordering::SeqCst);
        Duration::from_millis(if is_long { 20 } else { 2 * u64::from(is_short) })
    }

    fn end(&self, time: i64) {
        self.state.lock().expect("no sender panicked").under_way.remove(&time);
    }

    fn step(&self) -> i64 {
        let is_slow = self.is_slow.load(Ordering::SeqCst) || self.is_ahead.load(Ordering::SeqCst);
        if is_slow { STEP / 100 } else { STEP }
    }

    /// From now on the work on blocks has pauses, in which an order has its turn.
    fn slow_down(&self) {
        self.is_slow.store(true, Ordering::SeqCst);
    }

    fn speed_up(&self) {
        self.is_slow.store(false, Ordering::SeqCst);
    }

    /// Lets time run slower where it is hours ahead of the newest block: else the work on the head
    /// would never come to its end.
    fn wait_for_blocks(&self, data: &Path) {
        // Blocks of late samples reach into the time of the head.
        let is_of_head = |block: &&blocks::Block| block.meta["compaction"]["hints"].is_null();
        let newest = blocks::blocks(data)
            .iter()
            .filter(is_of_head)
            .map(|block| block.end() - BEGIN)
            .max()
            .unwrap_or(0);
        let next = self.state.lock().expect("no sender panicked").next;
        self.is_ahead.store(next - newest > 5 * HOUR, Ordering::SeqCst);
        self.is_far_ahead.store(next - newest > 8 * HOUR, Ordering::SeqCst);
    }
}

/// What the senders share over all lives of a directory.
#[derive(Default)]
struct Traffic {
    ledger: Ledger,
    clock: Clock,
    answered: AtomicUsize,
}

impl Traffic {
    /// Writes until no answer comes; when the request that got none was begun.
    fn send(&self, sender: usize, remote: &Remote) -> Instant {
        loop {
            let time = self.clock.begin();
            let request = request(sender, time);
            self.ledger.sending(&request);
            let begun = Instant::now();
            let answer = remote.try_write(&request);
            self.clock.end(time);
            let Ok(answer) = answer else { return begun };
            assert_eq!(
                answer.status,
                204,
                "a good write at {time} was answered: {}",
                answer.text()
            );
            self.ledger.acknowledged(&request);
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until so many more requests are answered.
    fn wait_for_answers(&self, more: usize) {
        let quota = self.answered.load(Ordering::SeqCst) + more;
        wait_until("the senders to be answered", || self.answered.load(Ordering::SeqCst) >= quota);
    }
}

/// A sample of each of a sender's series, and one of a series that is there only once.
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
    let mut late = series(&[("__name__", "late"), ("sender", &sender.to_string())]);
    late.samples.iter_mut().for_each(|sample| sample.timestamp -= lateness(time));
    timeseries.push(late);
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// How late a sample of a request is: by turns not at all, half an hour and an hour. The odd
/// milliseconds keep it from meeting another one, as the times of all requests are multiples of
/// [`STEP`] / 100.
fn lateness(time: i64) -> i64 {
    let turn = time / (STEP / 100) % 3;
    turn * (HOUR / 2 + 1)
}

/// How a life ends at a fault point.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The point holds the work; the process is killed after a while.
    Killed,
    /// The point ends the process.
    Exited,
}

/// A data directory through its lives.
struct Campaign {
    place: TempDir,
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
        Campaign { place: dir::temp(), flags, traffic: Traffic::default() }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn launch(&self) -> Launch {
        self.flags.iter().fold(Launch::narthex(&self.data()), |launch, flag| launch.flag(flag))
    }

    fn marker(&self, point: &str) -> PathBuf {
        self.place.path().join(point)
    }

    fn launch_held_at(&self, point: &str, at: u32) -> Launch {
        let setting = format!("{point}@{at}=pause:{}", self.marker(point).display());
        self.launch().env("NARTHEX_FAULT_POINTS", setting)
    }

    /// Lets all senders write until `moment` returns, then kills. Whether a request was under way.
    fn live(&self, server: Server, moment: impl FnOnce(&Server)) -> bool {
        let remote = server.remote();
        std::thread::scope(|scope| {
            // Dropped where `moment` panics, so that the senders end.
            let mut server = server;
            let sender = |id| {
                let remote = remote.clone();
                scope.spawn(move || self.traffic.send(id, &remote))
            };
            let senders: Vec<_> = (0..SENDERS).map(sender).collect();
            let guard = self.guard(scope);
            moment(&server);
            let killed = server.program.kill();
            drop(guard);
            let unanswered =
                senders.into_iter().map(|sender| sender.join().expect("a sender ends"));
            unanswered.filter(|begun| *begun < killed).count() > 0
        })
    }

    /// Lets all senders write until the process ends itself at a fault point.
    fn live_until_exit(&self, point: &str, at: u32) {
        let server =
            self.launch().env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=exit")).start();
        let remote = server.remote();
        let status = std::thread::scope(|scope| {
            let mut server = server;
            for id in 0..SENDERS {
                let remote = remote.clone();
                scope.spawn(move || self.traffic.send(id, &remote));
            }
            let _guard = self.guard(scope);
            server.program.wait_exit()
        });
        assert_eq!(status.code(), Some(EXIT_CODE), "{point}");
    }

    /// Holds the time of the senders to what the blocks can follow, until dropped.
    fn guard<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Sender<()> {
        let (guard, ended) = channel();
        scope.spawn(move || {
            while ended.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                self.traffic.clock.wait_for_blocks(&self.data());
            }
        });
        guard
    }

    /// The work reaches the point; while it is held there, writes are answered, reads see them, and
    /// a reload is carried out.
    fn hold(&self, server: &Server, point: &str) {
        wait_for_file(&self.marker(point));
        for _ in 0..2 {
            let acknowledged = self.traffic.ledger.acknowledged_so_far();
            let unseen = acknowledged.beyond(&server.remote().read_all_points());
            assert!(
                unseen.count() == 0,
                "acknowledged and not seen while held at {point}: {unseen:?}"
            );
            self.traffic.wait_for_answers(WHILE_HELD);
        }
        let reloaded = server.http.post("/-/reload", &[], b"");
        assert_eq!(reloaded.status, 200, "a reload while held at {point}: {}", reloaded.text());
        assert!(self.marker(point).exists(), "the work was not held at {point}");
    }

    /// A start after which everything acknowledged is there, nothing that was not sent, and nothing
    /// half-done.
    fn start_and_check(&self, what: &str) -> Server {
        let server = self.launch().start();
        self.traffic.ledger.check(&server.remote().read_all_points(), what);
        self.wait_for_no_leftovers(what);
        server
    }

    /// What was left half-done is gone; the work that is under way after the start comes to its
    /// end.
    fn wait_for_no_leftovers(&self, what: &str) {
        wait_until(&format!("nothing half-done to be left, {what}"), || {
            blocks::leftovers(&self.data()).is_empty()
        });
    }

    /// The head is compacted again after all this, and a clean end.
    fn finish(&self, what: &str) {
        self.traffic.clock.speed_up();
        let server = self.start_and_check(what);
        self.live(server, |server| {
            wait_for_metric(server, "prometheus_tsdb_head_truncations_total", 2.0);
        });
        let server = self.start_and_check(&format!("{what}, gone on"));
        assert_eq!(
            Metrics::of(&server.http).sum("narthex_tsdb_blocks_quarantined_total"),
            Some(0.0),
            "{what}"
        );
        server.stop();
        blocks::assert_no_leftovers(&self.data(), what);
    }
}

fn wait_for_file(marker: &Path) {
    wait_until(&format!("the fault point {}", marker.display()), || marker.exists());
}

fn wait_for_metric(server: &Server, name: &str, least: f64) {
    wait_until(&format!("{name} to be {least}"), || {
        Metrics::of(&server.http).sum(name) >= Some(least)
    });
}

/// Directories that end at a point of the work that writes set off: at its first time, and at a
/// later one.
fn survives_at(point: &str) {
    for (at, end) in [(1, End::Killed), (2, End::Exited), (3, End::Killed)] {
        // Only a kill amid requests counts.
        while !survives_once(point, at, end) {}
    }
}

/// Whether the end came amid requests.
fn survives_once(point: &str, at: u32, end: End) -> bool {
    let campaign = Campaign::new(&[KEEP_ALL]);
    let counts = match end {
        End::Killed => {
            let server = campaign.launch_held_at(point, at).start();
            campaign.live(server, |server| campaign.hold(server, point))
        }
        End::Exited => {
            campaign.live_until_exit(point, at);
            true
        }
    };
    campaign.finish(&format!("{end:?} at {point}@{at}"));
    counts
}

#[test]
fn nothing_is_lost_while_a_block_is_written() {
    survives_at("block.write");
}

#[test]
fn nothing_is_lost_before_a_block_gets_its_name() {
    survives_at("block.before_rename");
}

#[test]
fn nothing_is_lost_after_a_block_got_its_name() {
    survives_at("block.after_rename");
}

#[test]
fn nothing_is_lost_before_the_head_gives_up_what_is_in_a_block() {
    survives_at("head.before_truncate");
}

#[test]
fn nothing_is_lost_while_a_checkpoint_is_written() {
    survives_at("checkpoint.write");
}

#[test]
fn nothing_is_lost_before_a_checkpoint_gets_its_name() {
    survives_at("checkpoint.before_rename");
}

#[test]
fn nothing_is_lost_after_a_checkpoint_got_its_name() {
    survives_at("checkpoint.after_rename");
}

#[test]
fn nothing_is_lost_while_the_log_is_shortened() {
    survives_at("wal.truncate");
}

#[test]
fn nothing_is_lost_while_blocks_are_compacted() {
    survives_at("compact.write");
}

#[test]
fn nothing_is_lost_before_compacted_blocks_are_removed() {
    survives_at("compact.before_delete");
}

#[test]
fn nothing_is_lost_before_late_samples_are_in_a_block() {
    survives_at("ooo.before_block");
}

#[test]
fn nothing_is_lost_after_late_samples_are_in_blocks() {
    survives_at("ooo.after_block");
}

#[test]
fn nothing_is_lost_before_the_log_of_late_samples_is_shortened() {
    survives_at("ooo.before_wbl_truncate");
}

/// The retention of the test of it: five blocks.
const RETENTION: i64 = 10 * HOUR;

#[test]
fn what_retention_removes_is_gone_for_good_and_nothing_else() {
    for end in [End::Killed, End::Exited] {
        let what = format!("{end:?} in retention");
        let campaign = Campaign::new(&["--storage.tsdb.retention.time=10h"]);
        let point = "retention.delete";
        match end {
            End::Killed => {
                campaign.live(campaign.launch_held_at(point, 1).start(), |server| {
                    wait_for_file(&campaign.marker(point));
                    campaign.traffic.wait_for_answers(WHILE_HELD);
                    see_what_is_kept(&campaign, &server.remote());
                });
            }
            End::Exited => campaign.live_until_exit(point, 1),
        }
        for time in ["after that", "once more"] {
            let server = campaign.launch().start();
            see_what_is_kept(&campaign, &server.remote());
            let begin = oldest_kept(&campaign.data());
            let risen = server.remote().read_all_points().filter(|_, t| t < begin);
            assert!(risen.count() == 0, "{what}, {time}: older than every block: {risen:?}");
            campaign.wait_for_no_leftovers(&what);
            campaign.live(server, |server| {
                wait_for_metric(server, "prometheus_tsdb_time_retentions_total", 1.0)
            });
        }
        let server = campaign.launch().start();
        see_what_is_kept(&campaign, &server.remote());
        // The kill may have cut off a run that had written blocks and not yet deleted old ones.
        wait_until(&format!("expired blocks to be deleted, {what}"), || {
            span_of_block_ends(&campaign.data()) < RETENTION
        });
        see_what_is_kept(&campaign, &server.remote());
        server.stop();
        let outline = blocks::outline(&campaign.data());
        assert!(span_of_block_ends(&campaign.data()) < RETENTION, "{what}: {outline}");
    }
}

/// Time between the end of the oldest block and that of the newest block of in-order samples, ms.
fn span_of_block_ends(data: &Path) -> i64 {
    let blocks = blocks::blocks(data);
    let of_head = blocks.iter().filter(|block| block.meta["compaction"]["hints"].is_null());
    let newest = of_head.map(blocks::Block::end).max().expect("blocks of in-order samples exist");
    let oldest = blocks.iter().map(blocks::Block::end).min().expect("blocks exist");
    newest - oldest
}

/// Where the oldest block begins.
fn oldest_kept(data: &Path) -> i64 {
    blocks::blocks(data).iter().map(blocks::Block::begin).min().expect("there are blocks")
}

/// What no retention may have taken is there, and nothing that was not sent.
fn see_what_is_kept(campaign: &Campaign, remote: &Remote) {
    let acknowledged = campaign.traffic.ledger.acknowledged_so_far();
    let newest = acknowledged.max_time().expect("something was acknowledged");
    let returned = remote.read_all_points();
    let lost = acknowledged.from(newest - RETENTION).beyond(&returned);
    assert!(lost.count() == 0, "acknowledged, young and lost: {lost:?}");
    let foreign = returned.filter(|labels, t| !campaign.traffic.ledger.was_sent(labels, t));
    assert!(foreign.count() == 0, "never sent: {foreign:?}");
}

#[test]
fn a_snapshot_holds_up_nothing_and_is_whole_or_not_there() {
    for (at, end) in [(1, End::Killed), (2, End::Killed), (1, End::Exited)] {
        let what = format!("{end:?} at snapshot.write@{at}");
        let point = "snapshot.write";
        let campaign = Campaign::new(&[KEEP_ALL]);
        let launch = match end {
            End::Killed => campaign.launch_held_at(point, at),
            End::Exited => {
                campaign.launch().env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=exit"))
            }
        };
        let mut server = launch.start();
        if let End::Killed = end {
            campaign.live(server, |server| {
                wait_for_metric(server, "prometheus_tsdb_head_truncations_total", 2.0);
                campaign.traffic.clock.slow_down();
                ask_for_snapshot(server);
                campaign.hold(server, point);
            });
        } else {
            server.remote().write_ok(&acknowledged_one(&campaign));
            ask_for_snapshot(&server);
            assert_eq!(server.program.wait_exit().code(), Some(EXIT_CODE), "{what}");
        }
        let server = campaign.start_and_check(&what);
        assert_eq!(
            blocks::names(&campaign.data().join("snapshots")),
            Vec::<String>::new(),
            "{what}"
        );
        let name = Admin::of(&server.http).snapshot();
        let copy = dir::copy_to_temp(&campaign.data().join("snapshots").join(name));
        server.stop();
        let restored = Launch::narthex(copy.path()).start();
        campaign
            .traffic
            .ledger
            .check(&restored.remote().read_all_points(), &format!("{what}, a snapshot after that"));
        drop(restored);
        campaign.finish(&what);
    }
}

/// Takes a snapshot in a thread that ends with the server.
fn ask_for_snapshot(server: &Server) {
    let http = server.http.clone();
    std::thread::spawn(move || Admin::of(&http).try_snapshot().map(drop));
}

/// A request that counts as acknowledged, as its caller sees to it.
fn acknowledged_one(campaign: &Campaign) -> WriteRequest {
    let time = campaign.traffic.clock.begin();
    let request = request(0, time);
    campaign.traffic.clock.end(time);
    campaign.traffic.ledger.sending(&request);
    campaign.traffic.ledger.acknowledged(&request);
    request
}

/// What the tests of deletions delete: some series of every sender, in the first two blocks.
const DELETED: &str = "{__name__=\"own\",number=~\"1|2\"}";
const DELETED_TO: i64 = BEGIN + 3 * HOUR;

fn is_deleted(labels: &LabelSet, t: i64) -> bool {
    let has = |name: &str, value: &str| labels.contains(&(name.to_owned(), value.to_owned()));
    has("__name__", "own") && (has("number", "1") || has("number", "2")) && t <= DELETED_TO
}

/// Everything else is there; of what was to be deleted either all or nothing is in each block.
fn see_all_or_none(campaign: &Campaign, remote: &Remote, what: &str) -> Points {
    let acknowledged = campaign.traffic.ledger.acknowledged_so_far();
    let returned = remote.read_all_points();
    let lost = acknowledged.filter(|labels, t| !is_deleted(labels, t)).beyond(&returned);
    assert!(lost.count() == 0, "{what}: acknowledged and lost: {lost:?}");
    for begin in [BEGIN, BEGIN + 2 * HOUR] {
        let part = acknowledged.between(begin, begin + 2 * HOUR).filter(is_deleted);
        let rest = part.beyond(&returned).count();
        assert!(rest == 0 || rest == part.count(), "{what}: {rest} of {} are gone", part.count());
    }
    let foreign = returned.filter(|labels, t| !campaign.traffic.ledger.was_sent(labels, t));
    assert!(foreign.count() == 0, "{what}: never sent: {foreign:?}");
    returned
}

fn see_it_deleted(campaign: &Campaign, remote: &Remote, what: &str) {
    let returned = see_all_or_none(campaign, remote, what);
    let back = returned.filter(is_deleted);
    assert!(back.count() == 0, "{what}: deleted, yet there: {back:?}");
}

/// A directory with the blocks in which is to be deleted, and no level-2 block yet.
fn with_two_blocks() -> Campaign {
    let campaign = Campaign::new(&[KEEP_ALL, "--storage.tsdb.max-block-duration=2h"]);
    let server = campaign.launch().start();
    campaign.live(server, |server| {
        wait_for_metric(server, "prometheus_tsdb_head_truncations_total", 2.0)
    });
    campaign.traffic.clock.slow_down();
    campaign
}

#[test]
fn killed_deletion_is_atomic_per_block_and_blocks_no_request() {
    for (at, end) in [(1, End::Killed), (2, End::Killed), (1, End::Exited)] {
        let what = format!("{end:?} at tombstones.write@{at}");
        let point = "tombstones.write";
        let campaign = with_two_blocks();
        if let End::Killed = end {
            campaign.live(campaign.launch_held_at(point, at).start(), |server| {
                ask_for_deletion(server);
                wait_for_file(&campaign.marker(point));
                campaign.traffic.wait_for_answers(WHILE_HELD);
                see_all_or_none(&campaign, &server.remote(), &format!("held, {what}"));
                campaign.traffic.wait_for_answers(WHILE_HELD);
            });
        } else {
            let mut server =
                campaign.launch().env("NARTHEX_FAULT_POINTS", format!("{point}@{at}=exit")).start();
            ask_for_deletion(&server);
            assert_eq!(server.program.wait_exit().code(), Some(EXIT_CODE), "{what}");
        }
        let server = campaign.launch().start();
        see_all_or_none(&campaign, &server.remote(), &what);
        campaign.wait_for_no_leftovers(&what);
        // An answered one holds, over a kill too.
        Admin::of(&server.http).delete(DELETED, BEGIN, DELETED_TO);
        see_it_deleted(&campaign, &server.remote(), &what);
        campaign.live(server, |_| campaign.traffic.wait_for_answers(WHILE_HELD));
        let server = campaign.launch().start();
        see_it_deleted(&campaign, &server.remote(), &format!("{what}, started again"));
        server.stop();
    }
}

fn ask_for_deletion(server: &Server) {
    let http = server.http.clone();
    std::thread::spawn(move || Admin::of(&http).try_delete(DELETED, BEGIN, DELETED_TO).map(drop));
}

#[test]
fn killed_tombstone_cleanup_restores_nothing_and_blocks_nothing() {
    for point in ["block.write", "block.after_rename", "compact.before_delete"] {
        let what = format!("clean-up killed at {point}");
        let campaign = with_two_blocks();
        let server = campaign.launch().start();
        Admin::of(&server.http).delete(DELETED, BEGIN, DELETED_TO);
        server.stop();
        // No sender yet: the clean-up is what reaches the point first.
        let server = campaign.launch_held_at(point, 1).start();
        let http = server.http.clone();
        std::thread::spawn(move || Admin::of(&http).try_clean_tombstones().map(drop));
        wait_for_file(&campaign.marker(point));
        campaign.live(server, |server| {
            for _ in 0..2 {
                campaign.traffic.wait_for_answers(WHILE_HELD);
                see_it_deleted(&campaign, &server.remote(), &format!("held, {what}"));
            }
        });
        let server = campaign.launch().start();
        see_it_deleted(&campaign, &server.remote(), &what);
        campaign.wait_for_no_leftovers(&what);
        Admin::of(&server.http).clean_tombstones();
        see_it_deleted(&campaign, &server.remote(), &format!("{what}, cleaned"));
        let has_tombstones = |block: &blocks::Block| block.stat("numTombstones") > 0;
        assert!(
            !blocks::blocks(&campaign.data()).iter().any(has_tombstones),
            "{what}: blocks still have tombstones"
        );
        server.stop();
        campaign.wait_for_no_leftovers(&what);
    }
}

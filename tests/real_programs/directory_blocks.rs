//! Blocks are Prometheus's: each program opens, compacts, cleans and hands back what the other
//! wrote, and answers the same.
//!
//! Every comparison is of whole sets whose count is known. Debian's Prometheus deletes nothing
//! here: its retention is a century.

use std::path::{Path, PathBuf};

use crate::support::admin::{self, Admin};
use crate::support::data::{self, BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::{LabelSet, Samples};
use crate::support::wait::wait_until;
use crate::support::{blocks, dir, dump, promtool};

/// A turn of one program: after each, the blocks are those of [`OUTLINES`].
const TURN: i64 = 7 * HOUR;

/// The blocks of 7, 14, 21, 28 and 35 hours of data, by Prometheus's rules: a head of more than
/// three hours loses two, and what is older than the newest block is put together where it fills 6
/// or 18 hours.
const OUTLINES: [&str; 5] = [
    "0-2 2-4",
    "0-6/2 6-8 8-10 10-12",
    "0-6/2 6-12/2 12-14 14-16 16-18",
    "0-18/3 18-24/2 24-26",
    "0-18/3 18-24/2 24-30/2 30-32",
];

const DAY: i64 = 24 * HOUR;

/// How a server ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// SIGTERM.
    Stop,
    /// kill -9.
    Kill,
}

impl End {
    fn of(self, server: Server) -> String {
        match self {
            End::Stop => server.stop(),
            End::Kill => server.kill(),
        }
    }
}

/// A directory of a test, which does not exist yet, in a place that goes with the test.
struct Place {
    _place: tempfile::TempDir,
    data: PathBuf,
}

impl Place {
    fn new() -> Place {
        let place = dir::temp();
        let data = place.path().join("data");
        Place { _place: place, data }
    }

    fn copy_of(data: &Path) -> Place {
        let place = Place::new();
        dir::copy(data, &place.data);
        place
    }
}

/// The samples of one turn; whatever comes after the last turn belongs to it.
fn of_turn(sent: &Samples, turn: usize) -> Samples {
    let begin = BEGIN + i64::try_from(turn).expect("small") * TURN;
    sent.between(begin, begin + TURN)
}

/// Writes half an hour of data a request.
fn feed(server: &Server, part: &Samples) {
    for request in part.to_requests(HOUR / 2) {
        server.remote().write_ok(&request);
    }
}

/// Samples of a few series every ten minutes.
fn archive(name: &str, begin: i64, end: i64) -> Samples {
    let mut samples = Samples::new();
    for number in 0..4 {
        let labels: LabelSet = vec![
            ("__name__".to_owned(), name.to_owned()),
            ("number".to_owned(), number.to_string()),
        ];
        for t in (begin..end).step_by(600_000) {
            samples.add(&labels, t, ((t - BEGIN) as f64 / (f64::from(number) + 3.0)).to_bits());
        }
    }
    samples
}

/// Moves the blocks of one folder to another.
fn move_blocks(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for block in blocks::blocks(from) {
        std::fs::rename(&block.path, to.join(&block.ulid)).expect("a block can be moved");
    }
}

/// Prometheus says of its end by a signal, and of the lock that a kill left, that they were;
/// narthex says of data as old as this that no retention takes it.
fn says_nothing_bad(log: &str, what: &str) {
    let loud = ["level=error", "level=warn", "level=ERROR", "level=WARN"];
    let expected =
        ["Received SIGTERM", "A lockfile from a previous execution", "until a retention is set"];
    let is = |line: &str, texts: &[&str]| texts.iter().any(|text| line.contains(text));
    let bad = log.lines().find(|line| is(line, &loud) && !is(line, &expected));
    assert!(bad.is_none(), "{what}: {bad:?}");
}

/// Debian's Prometheus on a copy of a directory says nothing bad and answers with the samples.
fn prometheus_agrees(data: &Path, expected: &Samples, what: &str) {
    let copy = Place::copy_of(data);
    let server = Launch::prometheus(&copy.data, "").start();
    server.assert_holds(expected, what);
    says_nothing_bad(&server.kill(), what);
}

/// Waits until a Prometheus has loaded the blocks that lie there and its head begins behind them:
/// before that, one of its reads may find neither the new block nor what it was made of.
fn prometheus_settles(server: &Server, data: &Path) {
    wait_until("prometheus to have loaded its blocks", || {
        let blocks = blocks::blocks(data);
        let newest = blocks.iter().map(blocks::Block::end).max().unwrap_or(0);
        let metrics = Metrics::of(&server.http);
        let is_loaded = metrics.sum("prometheus_tsdb_blocks_loaded") == Some(blocks.len() as f64);
        is_loaded && metrics.sum("prometheus_tsdb_head_min_time") >= Some(newest as f64)
    });
}

/// All of promtool's commands that read a directory give what is expected of it.
fn promtool_agrees(data: &Path, expected: &Samples, what: &str) {
    blocks::assert_counts(data, expected, what);
    promtool::assert_agrees_on_blocks(data, what);
    dump::dump(data)
        .with_one_nan()
        .assert_equals(&expected.with_one_nan(), &format!("promtool tsdb dump, {what}"));
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn narthex_blocks_are_read_by_promtool_compacted_by_prometheus() {
    let sent = data::assorted(3 * TURN);
    let mut fed = of_turn(&sent, 0);
    fed.add_all(&of_turn(&sent, 1));
    for end in [End::Stop, End::Kill] {
        let what = format!("narthex, {end:?}");
        let place = Place::new();
        let narthex = Launch::narthex(&place.data).start();
        feed(&narthex, &fed);
        blocks::wait_for_outline(&place.data, OUTLINES[1]);
        narthex.assert_holds(&fed, &what);
        says_nothing_bad(&end.of(narthex), &what);
        promtool_agrees(&place.data, &fed, &what);

        let copy = Place::copy_of(&place.data);
        let prometheus = Launch::prometheus(&copy.data, "").start();
        prometheus.assert_holds(&fed, &format!("prometheus on what was left by {what}"));
        feed(&prometheus, &of_turn(&sent, 2));
        blocks::wait_for_outline(&copy.data, OUTLINES[2]);
        prometheus_settles(&prometheus, &copy.data);
        prometheus
            .assert_holds(&sent, &format!("prometheus, having compacted what was left by {what}"));
        says_nothing_bad(&prometheus.kill(), &what);

        let narthex = Launch::narthex(&place.data).start();
        narthex.assert_holds(&fed, &format!("{what}, started again"));
        says_nothing_bad(&narthex.stop(), &what);
        blocks::assert_no_leftovers(&place.data, &what);
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn both_programs_compact_one_directory_in_turn() {
    let sent = data::assorted(5 * TURN);
    for narthex_begins in [0, 1] {
        let place = Place::new();
        let mut expected = Samples::new();
        let ends = [End::Kill, End::Stop, End::Stop, End::Kill, End::Kill];
        for (turn, end) in ends.into_iter().enumerate() {
            let is_narthex = turn % 2 == narthex_begins;
            let server = if is_narthex {
                Launch::narthex(&place.data).start()
            } else {
                Launch::prometheus(&place.data, "").start()
            };
            let what = format!("turn {turn}, narthex: {is_narthex}");
            server.assert_holds(&expected, &format!("{what}, before"));
            let part = of_turn(&sent, turn);
            feed(&server, &part);
            expected.add_all(&part);
            blocks::wait_for_outline(&place.data, OUTLINES[turn]);
            if !is_narthex {
                prometheus_settles(&server, &place.data);
            }
            server.assert_holds(&expected, &format!("{what}, after"));
            says_nothing_bad(&end.of(server), &what);
            promtool_agrees(&place.data, &expected, &what);
        }
        assert!(expected.count() + 10 > sent.count(), "{} of {}", expected.count(), sent.count());
        let narthex = Launch::narthex(&place.data).start();
        narthex.assert_holds(&expected, "narthex in the end");
        narthex.stop();
        blocks::assert_no_leftovers(&place.data, "in the end");
        prometheus_agrees(&place.data, &expected, "prometheus in the end");
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn blocks_that_promtool_made_are_read_and_compacted() {
    let old = archive("old", BEGIN - 4 * DAY, BEGIN - DAY);
    let made = Place::new();
    promtool::create_blocks(&old, &made.data);
    assert_eq!(blocks::blocks(&made.data).len(), 36);
    let place = Place::new();
    move_blocks(&made.data, &place.data);

    // As it is where the retention is 15 days.
    let narthex =
        Launch::narthex(&place.data).flag("--storage.tsdb.max-block-duration=36h").start();
    narthex.assert_holds(&old, "narthex on promtool's blocks");
    let new = of_turn(&data::assorted(TURN), 0);
    feed(&narthex, &new);
    // These three days touch five ranges of 18 hours.
    wait_until("the old blocks to be compacted", || {
        blocks::blocks(&place.data).iter().filter(|block| block.end() <= BEGIN).count() == 5
    });
    let mut expected = old;
    expected.add_all(&new);
    narthex.assert_holds(&expected, "narthex, having compacted promtool's blocks");
    says_nothing_bad(&narthex.stop(), "narthex on promtool's blocks");
    let level = |block: &blocks::Block| block.level();
    assert_eq!(
        blocks::blocks(&place.data).iter().map(level).collect::<Vec<_>>(),
        [2, 3, 3, 3, 3, 1, 1]
    );
    blocks::assert_no_leftovers(&place.data, "promtool's blocks, compacted");
    promtool_agrees(&place.data, &expected, "promtool's blocks, compacted");
    prometheus_agrees(&place.data, &expected, "promtool's blocks, compacted");
}

/// A directory with many small blocks, others that overlap them, and deletions in blocks and head;
/// what is in it.
fn long_run_of_prometheus(place: &Place) -> Samples {
    let small = |data: &Path| {
        let launch = Launch::prometheus(data, "")
            .flag("--storage.tsdb.min-block-duration=10m")
            .flag(admin::ENABLE);
        launch.flag("--storage.tsdb.max-block-duration=90m").start()
    };
    let mut expected = data::assorted(6 * HOUR);
    let prometheus = small(&place.data);
    for request in expected.to_requests(HOUR / 12) {
        prometheus.remote().write_ok(&request);
    }
    // 90 minutes, 30 and 10.
    blocks::wait_for_outline(
        &place.data,
        "0-1.5/3 1.5-3/3 3-4.5/3 4.5-5/2 5-5.5/2 5.5-5.666666666666667 5.666666666666667-5.833333333333333",
    );
    prometheus.stop();

    // Other series, and series that are there already at other times.
    let mut late = archive("late", BEGIN + HOUR, BEGIN + 3 * HOUR);
    for (labels, t, bits) in expected.between(BEGIN + 2 * HOUR, BEGIN + 5 * HOUR).iter().step_by(7)
    {
        if f64::from_bits(bits).is_finite() {
            late.add(labels, t + 100, bits);
        }
    }
    let made = Place::new();
    promtool::create_blocks(&late, &made.data);
    move_blocks(&made.data, &place.data);
    expected.add_all(&late);

    let prometheus = small(&place.data);
    for (series, from, to) in [
        ("3", HOUR / 2, 3 * HOUR),
        ("8", HOUR, 7 * HOUR),
        ("10", 5 * HOUR, 6 * HOUR),
        ("12", -HOUR, 7 * HOUR),
    ] {
        Admin::of(&prometheus.http).delete(
            &format!("{{series=\"{series}\"}}"),
            BEGIN + from,
            BEGIN + to,
        );
        let is_gone = |labels: &LabelSet, t: i64| {
            labels.contains(&("series".to_owned(), series.to_owned()))
                && (BEGIN + from..=BEGIN + to).contains(&t)
        };
        expected = expected.filter(|labels, t| !is_gone(labels, t));
    }
    prometheus.assert_holds(&expected, "prometheus in the long run");
    prometheus.kill();
    expected
}

fn overlapping(data: &Path) -> usize {
    let blocks = blocks::blocks(data);
    blocks.windows(2).filter(|pair| pair[0].end() > pair[1].begin()).count()
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn prometheus_blocks_are_read_cleaned_and_compacted() {
    let place = Place::new();
    let mut expected = long_run_of_prometheus(&place);
    assert!(
        overlapping(&place.data) > 0 && blocks::blocks(&place.data).len() > 5,
        "{}",
        blocks::outline(&place.data)
    );
    let has_tombstones = |block: &blocks::Block| block.stat("numTombstones") > 0;
    assert!(blocks::blocks(&place.data).iter().any(has_tombstones), "no block has tombstones");

    let narthex = Launch::narthex(&place.data).flag(admin::ENABLE).start();
    narthex.assert_holds(&expected, "narthex after the long run");
    Admin::of(&narthex.http).clean_tombstones();
    assert!(
        !blocks::blocks(&place.data).iter().any(has_tombstones),
        "blocks still have tombstones"
    );
    narthex.assert_holds(&expected, "narthex, cleaned");
    let more = data::assorted(5 * TURN).between(BEGIN + 7 * HOUR, BEGIN + 2 * TURN);
    feed(&narthex, &more);
    expected.add_all(&more);
    wait_until("the overlapping blocks to be merged", || {
        overlapping(&place.data) == 0 && blocks::outline(&place.data).contains("10-12")
    });
    narthex.assert_holds(&expected, "narthex, having compacted");
    assert_eq!(
        Metrics::of(&narthex.http).sum("prometheus_tsdb_compactions_failed_total"),
        Some(0.0)
    );
    says_nothing_bad(&narthex.stop(), "narthex after the long run");
    blocks::assert_no_leftovers(&place.data, "after the long run");
    promtool_agrees(&place.data, &expected, "after the long run");
    prometheus_agrees(&place.data, &expected, "after the long run");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn prometheus_starts_on_a_snapshot_of_narthex() {
    let place = Place::new();
    let narthex = Launch::narthex(&place.data).flag(admin::ENABLE).start();
    let sent = of_turn(&data::assorted(TURN), 0);
    feed(&narthex, &sent);
    blocks::wait_for_outline(&place.data, OUTLINES[0]);
    let admin = Admin::of(&narthex.http);
    // In blocks and in the head.
    admin.delete("{series=\"1\"}", BEGIN + HOUR, BEGIN + 5 * HOUR);
    let is_gone = |labels: &LabelSet, t: i64| {
        labels.contains(&("series".to_owned(), "1".to_owned()))
            && (BEGIN + HOUR..=BEGIN + 5 * HOUR).contains(&t)
    };
    let expected = sent.filter(|labels, t| !is_gone(labels, t));
    let whole = place.data.join("snapshots").join(admin.snapshot());
    let old = place.data.join("snapshots").join(admin.snapshot_of_blocks());
    assert_eq!(blocks::names(&place.data.join("snapshots")).len(), 2);
    // What comes later is not in them.
    feed(&narthex, &data::assorted(2 * TURN).between(BEGIN + TURN, BEGIN + 2 * TURN));
    narthex.stop();

    blocks::assert_counts(&old, &sent, "the snapshot of the blocks");
    prometheus_agrees(&whole, &expected, "the snapshot");
    prometheus_agrees(
        &old,
        &expected.between(BEGIN, BEGIN + 4 * HOUR),
        "the snapshot of the blocks",
    );
    for (snapshot, expected) in
        [(&whole, expected.clone()), (&old, expected.between(BEGIN, BEGIN + 4 * HOUR))]
    {
        promtool::assert_agrees_on_blocks(snapshot, "a snapshot");
        let copy = Place::copy_of(snapshot);
        let restored = Launch::narthex(&copy.data).start();
        restored.assert_holds(&expected, "narthex on a snapshot");
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn each_program_starts_from_the_head_snapshot_of_the_other() {
    let feature = "--enable-feature=memory-snapshot-on-shutdown";
    let sent = data::assorted(4 * TURN);
    let place = Place::new();
    let mut expected = Samples::new();
    for (turn, outline) in OUTLINES.iter().enumerate().take(4) {
        let is_narthex = turn % 2 == 0;
        let launch = if is_narthex {
            Launch::narthex(&place.data)
        } else {
            Launch::prometheus(&place.data, "")
        };
        let what = format!("turn {turn}, narthex: {is_narthex}");
        let server = launch.flag(feature).start();
        server.assert_holds(&expected, &format!("{what}, from the other's snapshot"));
        assert_eq!(
            Metrics::of(&server.http).sum("prometheus_tsdb_snapshot_replay_error_total"),
            Some(0.0),
            "{what}"
        );
        let part = of_turn(&sent, turn);
        feed(&server, &part);
        expected.add_all(&part);
        blocks::wait_for_outline(&place.data, outline);
        if !is_narthex {
            prometheus_settles(&server, &place.data);
        }
        server.assert_holds(&expected, &what);
        says_nothing_bad(&server.stop(), &what);
        let snapshots = blocks::names(&place.data)
            .into_iter()
            .filter(|name| name.starts_with("chunk_snapshot."));
        assert_eq!(snapshots.count(), 1, "{what}");
        // Whoever does not take the snapshot reads the log.
        prometheus_agrees(&place.data, &expected, &format!("{what}, without the snapshot"));
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn data_older_than_default_retention_stays_until_one_is_set() {
    let mut old = archive("old", BEGIN - 20 * DAY, BEGIN - 19 * DAY);
    old.add_all(&archive("old", BEGIN - DAY, BEGIN - DAY / 2));
    let place = Place::new();
    promtool::create_blocks(&old, &place.data);
    let narthex = Launch::narthex(&place.data).start();
    let new = of_turn(&data::assorted(TURN), 0);
    feed(&narthex, &new);
    let has_old = || {
        blocks::blocks(&place.data).first().is_some_and(|block| block.begin() < BEGIN - 15 * DAY)
    };
    let has_new = || blocks::outline(&place.data).ends_with(OUTLINES[0]);
    wait_until("the head to be compacted", has_new);
    let mut all = old;
    all.add_all(&new);
    narthex.assert_holds(&all, "before a retention is given");
    narthex.stop();

    let narthex = Launch::narthex(&place.data).start();
    let more = data::assorted(2 * TURN).between(BEGIN + TURN, BEGIN + 2 * TURN);
    feed(&narthex, &more);
    wait_until("more of the head to be compacted", || {
        blocks::outline(&place.data).contains("10-12")
    });
    all.add_all(&more);
    narthex.assert_holds(&all, "after another start");
    let log = narthex.stop();
    assert!(has_old(), "{}", blocks::outline(&place.data));
    let says =
        |line: &str| line.contains("level=WARN") && line.contains("until a retention is set");
    assert!(log.lines().any(says), "nothing is said of the retention: {log}");

    let narthex = Launch::narthex(&place.data).flag("--storage.tsdb.retention.time=15d").start();
    wait_until("the old blocks to go", || !has_old());
    narthex.assert_holds(&all.from(BEGIN - 15 * DAY), "with a retention");
    narthex.stop();
    blocks::assert_no_leftovers(&place.data, "with a retention");
}

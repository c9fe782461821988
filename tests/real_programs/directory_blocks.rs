//! Blocks are those of Prometheus: each program opens, compacts and cleans the blocks of the other
//! one, and returns the same samples.
//!
//! Comparisons are of complete sets with a known count. Debian's Prometheus has a retention of 100
//! years, so it deletes nothing.

use std::path::{Path, PathBuf};

use crate::support::admin::{self, Admin};
use crate::support::data::{self, BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::{LabelSet, Samples};
use crate::support::wait::wait_until;
use crate::support::{blocks, dir, dump, promtool};

/// Time range that one program writes, ms. After each, the blocks are those of [`OUTLINES`].
const TURN: i64 = 7 * HOUR;

/// Blocks of 7, 14, 21, 28 and 35 hours of data by the rules of Prometheus. A head of more than
/// three hours is compacted by two, and blocks older than the newest one are merged if they fill 6
/// or 18 hours.
const OUTLINES: [&str; 5] = [
    "0-2 2-4",
    "0-6/2 6-8 8-10 10-12",
    "0-6/2 6-12/2 12-14 14-16 16-18",
    "0-18/3 18-24/2 24-26",
    "0-18/3 18-24/2 24-30/2 30-32",
];

const DAY: i64 = 24 * HOUR;

/// End of a server process.
#[derive(Debug, Clone, Copy)]
enum End {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
}

impl End {
    fn apply(self, server: Server) -> String {
        match self {
            End::Stop => server.stop(),
            End::Kill => server.kill(),
        }
    }
}

/// Data directory that does not exist yet, in a temporary directory.
struct TestDir {
    _temp_dir: tempfile::TempDir,
    data: PathBuf,
}

impl TestDir {
    fn new() -> TestDir {
        let temp_dir = dir::temp();
        let data = temp_dir.path().join("data");
        TestDir { _temp_dir: temp_dir, data }
    }

    fn copy_of(data: &Path) -> TestDir {
        let test_dir = TestDir::new();
        dir::copy(data, &test_dir.data);
        test_dir
    }
}

/// Returns the samples of one turn. Samples after the last turn belong to it.
fn of_turn(sent: &Samples, turn: usize) -> Samples {
    let start = BEGIN + i64::try_from(turn).expect("a small number") * TURN;
    sent.between(start, start + TURN)
}

/// Writes half an hour of data per request.
fn feed(server: &Server, part: &Samples) {
    for request in part.to_requests(HOUR / 2) {
        server.remote().write_ok(&request);
    }
}

/// Returns samples of a few series, every ten minutes.
fn archive(name: &str, start: i64, end: i64) -> Samples {
    let mut samples = Samples::new();
    for number in 0..4 {
        let labels: LabelSet = vec![
            ("__name__".to_owned(), name.to_owned()),
            ("number".to_owned(), number.to_string()),
        ];
        for t in (start..end).step_by(600_000) {
            samples.add(&labels, t, ((t - BEGIN) as f64 / (f64::from(number) + 3.0)).to_bits());
        }
    }
    samples
}

/// Moves the blocks of one directory to another one.
fn move_blocks(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be created");
    for block in blocks::blocks(from) {
        std::fs::rename(&block.path, to.join(&block.ulid)).expect("a block can be moved");
    }
}

/// Asserts that a log has only expected warnings: Prometheus warns of its end by a signal and of a
/// lock file after a kill, narthex of data older than the default retention.
fn assert_no_warnings(log: &str, context: &str) {
    let warnings = ["level=error", "level=warn", "level=ERROR", "level=WARN"];
    let expected =
        ["Received SIGTERM", "A lockfile from a previous execution", "until a retention is set"];
    let has = |line: &str, texts: &[&str]| texts.iter().any(|text| line.contains(text));
    let warning = log.lines().find(|line| has(line, &warnings) && !has(line, &expected));
    assert!(warning.is_none(), "{context}: {warning:?}");
}

/// Asserts that Debian's Prometheus on a copy of the directory returns the samples and logs no
/// warning.
fn assert_prometheus_agrees(data: &Path, expected: &Samples, context: &str) {
    let copy = TestDir::copy_of(data);
    let server = Launch::prometheus(&copy.data, "").start();
    server.assert_holds(expected, context);
    assert_no_warnings(&server.kill(), context);
}

/// Waits until Prometheus has loaded its blocks and its head starts after them. Before that, a read
/// may miss both a new block and its sources.
fn wait_for_loaded_blocks(server: &Server, data: &Path) {
    wait_until("loaded blocks of prometheus", || {
        let blocks = blocks::blocks(data);
        let newest = blocks.iter().map(blocks::Block::end).max().unwrap_or(0);
        let metrics = Metrics::of(&server.http);
        let is_loaded = metrics.sum("prometheus_tsdb_blocks_loaded") == Some(blocks.len() as f64);
        is_loaded && metrics.sum("prometheus_tsdb_head_min_time") >= Some(newest as f64)
    });
}

/// Asserts that all commands of promtool that read a directory return the expected results.
fn assert_promtool_agrees(data: &Path, expected: &Samples, context: &str) {
    blocks::assert_counts(data, expected, context);
    promtool::assert_agrees_on_blocks(data, context);
    dump::dump(data)
        .with_one_nan()
        .assert_equals(&expected.with_one_nan(), &format!("promtool tsdb dump, {context}"));
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn blocks_of_narthex_are_compacted_by_prometheus() {
    let sent = data::assorted(3 * TURN);
    let mut written = of_turn(&sent, 0);
    written.add_all(&of_turn(&sent, 1));
    for end in [End::Stop, End::Kill] {
        let context = format!("narthex, {end:?}");
        let test_dir = TestDir::new();
        let narthex = Launch::narthex(&test_dir.data).start();
        feed(&narthex, &written);
        blocks::wait_for_outline(&test_dir.data, OUTLINES[1]);
        narthex.assert_holds(&written, &context);
        assert_no_warnings(&end.apply(narthex), &context);
        assert_promtool_agrees(&test_dir.data, &written, &context);

        let copy = TestDir::copy_of(&test_dir.data);
        let prometheus = Launch::prometheus(&copy.data, "").start();
        prometheus.assert_holds(&written, &format!("prometheus on the directory of {context}"));
        feed(&prometheus, &of_turn(&sent, 2));
        blocks::wait_for_outline(&copy.data, OUTLINES[2]);
        wait_for_loaded_blocks(&prometheus, &copy.data);
        prometheus.assert_holds(
            &sent,
            &format!("prometheus after compaction of the directory of {context}"),
        );
        assert_no_warnings(&prometheus.kill(), &context);

        let narthex = Launch::narthex(&test_dir.data).start();
        narthex.assert_holds(&written, &format!("{context}, restarted"));
        assert_no_warnings(&narthex.stop(), &context);
        blocks::assert_no_leftovers(&test_dir.data, &context);
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn both_programs_compact_one_directory_in_turn() {
    let sent = data::assorted(5 * TURN);
    for narthex_parity in [0, 1] {
        let test_dir = TestDir::new();
        let mut expected = Samples::new();
        let ends = [End::Kill, End::Stop, End::Stop, End::Kill, End::Kill];
        for (turn, end) in ends.into_iter().enumerate() {
            let is_narthex = turn % 2 == narthex_parity;
            let server = if is_narthex {
                Launch::narthex(&test_dir.data).start()
            } else {
                Launch::prometheus(&test_dir.data, "").start()
            };
            let context = format!("turn {turn}, narthex: {is_narthex}");
            server.assert_holds(&expected, &format!("{context}, before"));
            let part = of_turn(&sent, turn);
            feed(&server, &part);
            expected.add_all(&part);
            blocks::wait_for_outline(&test_dir.data, OUTLINES[turn]);
            if !is_narthex {
                wait_for_loaded_blocks(&server, &test_dir.data);
            }
            server.assert_holds(&expected, &format!("{context}, after"));
            assert_no_warnings(&end.apply(server), &context);
            assert_promtool_agrees(&test_dir.data, &expected, &context);
        }
        assert!(expected.count() + 10 > sent.count(), "{} of {}", expected.count(), sent.count());
        let narthex = Launch::narthex(&test_dir.data).start();
        narthex.assert_holds(&expected, "narthex at the end");
        narthex.stop();
        blocks::assert_no_leftovers(&test_dir.data, "at the end");
        assert_prometheus_agrees(&test_dir.data, &expected, "prometheus at the end");
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn blocks_of_promtool_are_read_and_compacted() {
    let old = archive("old", BEGIN - 4 * DAY, BEGIN - DAY);
    let created = TestDir::new();
    promtool::create_blocks(&old, &created.data);
    assert_eq!(blocks::blocks(&created.data).len(), 36);
    let test_dir = TestDir::new();
    move_blocks(&created.data, &test_dir.data);

    // The maximum block duration of a retention of 15 days.
    let narthex =
        Launch::narthex(&test_dir.data).flag("--storage.tsdb.max-block-duration=36h").start();
    narthex.assert_holds(&old, "narthex on promtool's blocks");
    let new = of_turn(&data::assorted(TURN), 0);
    feed(&narthex, &new);
    // The three days overlap five ranges of 18 hours.
    wait_until("compaction of the old blocks", || {
        blocks::blocks(&test_dir.data).iter().filter(|block| block.end() <= BEGIN).count() == 5
    });
    let mut expected = old;
    expected.add_all(&new);
    narthex.assert_holds(&expected, "narthex after compaction of promtool's blocks");
    assert_no_warnings(&narthex.stop(), "narthex on promtool's blocks");
    let level = |block: &blocks::Block| block.level();
    assert_eq!(
        blocks::blocks(&test_dir.data).iter().map(level).collect::<Vec<_>>(),
        [2, 3, 3, 3, 3, 1, 1]
    );
    blocks::assert_no_leftovers(&test_dir.data, "promtool's blocks, compacted");
    assert_promtool_agrees(&test_dir.data, &expected, "promtool's blocks, compacted");
    assert_prometheus_agrees(&test_dir.data, &expected, "promtool's blocks, compacted");
}

/// Writes a directory with many small blocks, overlapping blocks, and deletions in blocks and head.
/// Returns its samples.
fn write_long_run_of_prometheus(test_dir: &TestDir) -> Samples {
    let small = |data: &Path| {
        let launch = Launch::prometheus(data, "")
            .flag("--storage.tsdb.min-block-duration=10m")
            .flag(admin::ENABLE);
        launch.flag("--storage.tsdb.max-block-duration=90m").start()
    };
    let mut expected = data::assorted(6 * HOUR);
    let prometheus = small(&test_dir.data);
    for request in expected.to_requests(HOUR / 12) {
        prometheus.remote().write_ok(&request);
    }
    // Blocks of 90, 30 and 10 minutes.
    blocks::wait_for_outline(
        &test_dir.data,
        "0-1.5/3 1.5-3/3 3-4.5/3 4.5-5/2 5-5.5/2 5.5-5.666666666666667 5.666666666666667-5.833333333333333",
    );
    prometheus.stop();

    // New series, and known series at other timestamps.
    let mut overlapping = archive("late", BEGIN + HOUR, BEGIN + 3 * HOUR);
    for (labels, t, bits) in expected.between(BEGIN + 2 * HOUR, BEGIN + 5 * HOUR).iter().step_by(7)
    {
        if f64::from_bits(bits).is_finite() {
            overlapping.add(labels, t + 100, bits);
        }
    }
    let created = TestDir::new();
    promtool::create_blocks(&overlapping, &created.data);
    move_blocks(&created.data, &test_dir.data);
    expected.add_all(&overlapping);

    let prometheus = small(&test_dir.data);
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
        let is_deleted = |labels: &LabelSet, t: i64| {
            labels.contains(&("series".to_owned(), series.to_owned()))
                && (BEGIN + from..=BEGIN + to).contains(&t)
        };
        expected = expected.filter(|labels, t| !is_deleted(labels, t));
    }
    prometheus.assert_holds(&expected, "prometheus after the long run");
    prometheus.kill();
    expected
}

fn num_overlapping(data: &Path) -> usize {
    let blocks = blocks::blocks(data);
    blocks.windows(2).filter(|pair| pair[0].end() > pair[1].begin()).count()
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn prometheus_blocks_are_read_cleaned_and_compacted() {
    let test_dir = TestDir::new();
    let mut expected = write_long_run_of_prometheus(&test_dir);
    assert!(
        num_overlapping(&test_dir.data) > 0 && blocks::blocks(&test_dir.data).len() > 5,
        "{}",
        blocks::outline(&test_dir.data)
    );
    let has_tombstones = |block: &blocks::Block| block.stat("numTombstones") > 0;
    assert!(blocks::blocks(&test_dir.data).iter().any(has_tombstones), "no block has tombstones");

    let narthex = Launch::narthex(&test_dir.data).flag(admin::ENABLE).start();
    narthex.assert_holds(&expected, "narthex after the long run");
    Admin::of(&narthex.http).clean_tombstones();
    assert!(
        !blocks::blocks(&test_dir.data).iter().any(has_tombstones),
        "blocks still have tombstones"
    );
    narthex.assert_holds(&expected, "narthex without tombstones");
    let more = data::assorted(5 * TURN).between(BEGIN + 7 * HOUR, BEGIN + 2 * TURN);
    feed(&narthex, &more);
    expected.add_all(&more);
    wait_until("compaction of overlapping blocks", || {
        num_overlapping(&test_dir.data) == 0 && blocks::outline(&test_dir.data).contains("10-12")
    });
    narthex.assert_holds(&expected, "narthex after compaction");
    assert_eq!(
        Metrics::of(&narthex.http).sum("prometheus_tsdb_compactions_failed_total"),
        Some(0.0)
    );
    assert_no_warnings(&narthex.stop(), "narthex after the long run");
    blocks::assert_no_leftovers(&test_dir.data, "after the long run");
    assert_promtool_agrees(&test_dir.data, &expected, "after the long run");
    assert_prometheus_agrees(&test_dir.data, &expected, "after the long run");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn prometheus_starts_on_snapshot_of_narthex() {
    let test_dir = TestDir::new();
    let narthex = Launch::narthex(&test_dir.data).flag(admin::ENABLE).start();
    let sent = of_turn(&data::assorted(TURN), 0);
    feed(&narthex, &sent);
    blocks::wait_for_outline(&test_dir.data, OUTLINES[0]);
    let admin = Admin::of(&narthex.http);
    // In blocks and in the head.
    admin.delete("{series=\"1\"}", BEGIN + HOUR, BEGIN + 5 * HOUR);
    let is_deleted = |labels: &LabelSet, t: i64| {
        labels.contains(&("series".to_owned(), "1".to_owned()))
            && (BEGIN + HOUR..=BEGIN + 5 * HOUR).contains(&t)
    };
    let expected = sent.filter(|labels, t| !is_deleted(labels, t));
    let complete = test_dir.data.join("snapshots").join(admin.snapshot());
    let blocks_only = test_dir.data.join("snapshots").join(admin.snapshot_of_blocks());
    assert_eq!(blocks::names(&test_dir.data.join("snapshots")).len(), 2);
    // Later samples are not in the snapshots.
    feed(&narthex, &data::assorted(2 * TURN).between(BEGIN + TURN, BEGIN + 2 * TURN));
    narthex.stop();

    blocks::assert_counts(&blocks_only, &sent, "snapshot of the blocks");
    assert_prometheus_agrees(&complete, &expected, "snapshot");
    assert_prometheus_agrees(
        &blocks_only,
        &expected.between(BEGIN, BEGIN + 4 * HOUR),
        "snapshot of the blocks",
    );
    for (snapshot, expected) in
        [(&complete, expected.clone()), (&blocks_only, expected.between(BEGIN, BEGIN + 4 * HOUR))]
    {
        promtool::assert_agrees_on_blocks(snapshot, "a snapshot");
        let copy = TestDir::copy_of(snapshot);
        let restored = Launch::narthex(&copy.data).start();
        restored.assert_holds(&expected, "narthex on a snapshot");
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn each_program_starts_from_chunk_snapshot_of_the_other() {
    let feature = "--enable-feature=memory-snapshot-on-shutdown";
    let sent = data::assorted(4 * TURN);
    let test_dir = TestDir::new();
    let mut expected = Samples::new();
    for (turn, outline) in OUTLINES.iter().enumerate().take(4) {
        let is_narthex = turn % 2 == 0;
        let launch = if is_narthex {
            Launch::narthex(&test_dir.data)
        } else {
            Launch::prometheus(&test_dir.data, "")
        };
        let context = format!("turn {turn}, narthex: {is_narthex}");
        let server = launch.flag(feature).start();
        server
            .assert_holds(&expected, &format!("{context}, from the snapshot of the other program"));
        assert_eq!(
            Metrics::of(&server.http).sum("prometheus_tsdb_snapshot_replay_error_total"),
            Some(0.0),
            "{context}"
        );
        let part = of_turn(&sent, turn);
        feed(&server, &part);
        expected.add_all(&part);
        blocks::wait_for_outline(&test_dir.data, outline);
        if !is_narthex {
            wait_for_loaded_blocks(&server, &test_dir.data);
        }
        server.assert_holds(&expected, &context);
        assert_no_warnings(&server.stop(), &context);
        let snapshots = blocks::names(&test_dir.data)
            .into_iter()
            .filter(|name| name.starts_with("chunk_snapshot."));
        assert_eq!(snapshots.count(), 1, "{context}");
        // A start without the feature replays the WAL.
        assert_prometheus_agrees(
            &test_dir.data,
            &expected,
            &format!("{context}, without the snapshot"),
        );
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn data_older_than_default_retention_stays_until_one_is_set() {
    let mut old = archive("old", BEGIN - 20 * DAY, BEGIN - 19 * DAY);
    old.add_all(&archive("old", BEGIN - DAY, BEGIN - DAY / 2));
    let test_dir = TestDir::new();
    promtool::create_blocks(&old, &test_dir.data);
    let narthex = Launch::narthex(&test_dir.data).start();
    let new = of_turn(&data::assorted(TURN), 0);
    feed(&narthex, &new);
    let has_old = || {
        blocks::blocks(&test_dir.data).first().is_some_and(|block| block.begin() < BEGIN - 15 * DAY)
    };
    let has_new = || blocks::outline(&test_dir.data).ends_with(OUTLINES[0]);
    wait_until("head compaction", has_new);
    let mut all = old;
    all.add_all(&new);
    narthex.assert_holds(&all, "without a configured retention");
    narthex.stop();

    let narthex = Launch::narthex(&test_dir.data).start();
    let more = data::assorted(2 * TURN).between(BEGIN + TURN, BEGIN + 2 * TURN);
    feed(&narthex, &more);
    wait_until("further head compaction", || blocks::outline(&test_dir.data).contains("10-12"));
    all.add_all(&more);
    narthex.assert_holds(&all, "after a restart");
    let log = narthex.stop();
    assert!(has_old(), "{}", blocks::outline(&test_dir.data));
    let is_warning =
        |line: &str| line.contains("level=WARN") && line.contains("until a retention is set");
    assert!(log.lines().any(is_warning), "no warning about the retention: {log}");

    let narthex = Launch::narthex(&test_dir.data).flag("--storage.tsdb.retention.time=15d").start();
    wait_until("deletion of the old blocks", || !has_old());
    narthex.assert_holds(&all.from(BEGIN - 15 * DAY), "with a configured retention");
    narthex.stop();
    blocks::assert_no_leftovers(&test_dir.data, "with a configured retention");
}

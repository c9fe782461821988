//! Corrupted blocks under the real binary: flipped bits, truncated and missing files, and leftovers
//! of a crash.
//!
//! narthex starts on each of these directories. A read returns the written samples, or fails and
//! names the block. A block that cannot be opened is in the quarantine, and the log and a metric
//! report it. Other blocks and the head are readable, and writes continue. Offsets are random and
//! the seed is printed; the engine tests cover every byte of a small block.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::RngExt;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::admin::{self, Admin};
use crate::support::blocks::{self, Block};
use crate::support::data::{self, BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::samples::{LabelSet, Samples};
use crate::support::seed::seeded;
use crate::support::wait::wait_until;
use crate::support::wire::{Matcher, Query, ReadRequest, WriteRequest};
use crate::support::{damage, dir};

/// Number of flipped bits for each file.
const FLIPS: usize = 8;

/// Data directory with two blocks of two hours and a head. A part of one series is deleted in both
/// blocks.
struct Written {
    temp_dir: TempDir,
    sent: Samples,
    /// Sent samples without the deleted ones.
    expected: Samples,
}

impl Written {
    fn new() -> Written {
        let temp_dir = dir::temp();
        let server = Launch::narthex(temp_dir.path()).flag(admin::ENABLE).start();
        let sent = data::assorted(7 * HOUR);
        server.remote().write_all(&sent);
        blocks::wait_for_outline(temp_dir.path(), "0-2 2-4");
        let deleted = BEGIN + HOUR..=BEGIN + 3 * HOUR;
        Admin::of(&server.http).delete("{series=\"1\"}", *deleted.start(), *deleted.end());
        let series = ("series".to_owned(), "1".to_owned());
        let expected = sent.filter(|labels, t| !(labels.contains(&series) && deleted.contains(&t)));
        server.assert_holds(&expected, "before the corruption");
        server.stop();
        Written { temp_dir, sent, expected }
    }

    /// Corrupts one block of a copy, checks reads, writes and a restart, and returns the outcome.
    fn corrupt(
        &self,
        block: usize,
        change: impl FnOnce(&Block),
        context: &str,
    ) -> CorruptionOutcome {
        let copy = dir::copy_to_temp(self.temp_dir.path());
        let block = blocks::blocks(copy.path()).swap_remove(block);
        change(&block);
        let server = Launch::narthex(copy.path()).start();
        let case = Case { written: self, data: copy.path(), block, context };
        let outcome = case.outcome(&server);
        case.assert_continues(server, outcome);
        outcome
    }
}

/// Effect of a corrupted block.
#[derive(Debug, Clone, Copy, PartialEq)]
enum CorruptionOutcome {
    /// The block is in the quarantine.
    Quarantined,
    /// Reads of the block fail.
    ReadError,
    /// Reads return the written samples: no read uses the corrupted bytes.
    Undetected,
}

/// Started server on a directory with one corrupted block.
struct Case<'a> {
    written: &'a Written,
    data: &'a Path,
    block: Block,
    context: &'a str,
}

impl Case<'_> {
    fn outcome(&self, server: &Server) -> CorruptionOutcome {
        self.assert_rest_readable(server);
        if !self.block.path.exists() {
            self.assert_quarantined(server);
            return CorruptionOutcome::Quarantined;
        }
        let response = server.remote().ask(&read_all_request(MIN_TIME, MAX_TIME));
        if response.status == 200 {
            server.assert_holds(&self.written.expected, self.context);
            return CorruptionOutcome::Undetected;
        }
        assert_eq!(response.status, 500, "{}: {}", self.context, response.text());
        assert!(
            response.text().contains(&self.block.ulid),
            "{}: {}",
            self.context,
            response.text()
        );
        self.wait_for_report(server);
        CorruptionOutcome::ReadError
    }

    /// Asserts that samples before and after the block are returned.
    fn assert_rest_readable(&self, server: &Server) {
        for (from, to) in [(MIN_TIME, self.begin() - 1), (self.end(), MAX_TIME)] {
            let returned = server.remote().read(&[Matcher::regex("__name__", ".+")], from, to);
            let expected = self.written.expected.between(from, to);
            returned.assert_equals(&expected, &format!("{}, from {from} to {to}", self.context));
        }
    }

    /// Asserts that the block is in the quarantine, and that reads return only samples that were
    /// sent: the WAL may still have some of its range.
    fn assert_quarantined(&self, server: &Server) {
        let names = blocks::names(&self.data.join("quarantine"));
        let is_quarantined = names.iter().any(|name| name.contains(&self.block.ulid));
        assert!(is_quarantined, "{}: {names:?}", self.context);
        let returned = server.remote().read_all();
        returned.assert_within(&self.written.sent, self.context);
        assert_eq!(
            Metrics::of(&server.http).sum("narthex_tsdb_blocks_quarantined_total"),
            Some(1.0),
            "{}",
            self.context
        );
        self.wait_for_report(server);
    }

    /// Waits until the log names the block: it may follow the response.
    fn wait_for_report(&self, server: &Server) {
        wait_until(&format!("a log line about the block, {}", self.context), || {
            self.is_reported(&server.program.log())
        });
    }

    fn is_reported(&self, log: &str) -> bool {
        let is_warning = |line: &str| line.contains("level=WARN") || line.contains("level=ERROR");
        log.lines().any(|line| is_warning(line) && line.contains(&self.block.ulid))
    }

    /// Asserts that a write is accepted, and that the data is unchanged after a restart.
    fn assert_continues(&self, server: Server, outcome: CorruptionOutcome) {
        let newest = self.written.sent.max_time().expect("samples were sent");
        let another = WriteRequest::one(&[("__name__", "another")], &[(newest + 1, 1.0)]);
        server.remote().write_ok(&another);
        let mut expected = self.written.expected.clone();
        expected.add_request(&another);
        let log = server.kill();
        assert!(!log.contains("panicked"), "{}: {log}", self.context);

        let server = Launch::narthex(self.data).start();
        let begin = self.end();
        let returned = server.remote().read(&[Matcher::regex("__name__", ".+")], begin, MAX_TIME);
        returned.assert_equals(
            &expected.from(begin),
            &format!("{}, after another start", self.context),
        );
        if outcome == CorruptionOutcome::Undetected {
            server.assert_holds(&expected, &format!("{}, after another start", self.context));
        }
        assert!(!server.stop().contains("panicked"), "{}", self.context);
    }

    /// Start of the block before the corruption.
    fn begin(&self) -> i64 {
        BEGIN + self.hours().start * HOUR
    }

    fn end(&self) -> i64 {
        BEGIN + self.hours().end * HOUR
    }

    fn hours(&self) -> Range<i64> {
        if self.block.begin() < BEGIN + 2 * HOUR { 0..2 } else { 2..4 }
    }
}

fn read_all_request(start: i64, end: i64) -> ReadRequest {
    let query = Query { start, end, matchers: vec![Matcher::regex("__name__", ".+")], hints: None };
    ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

fn length(file: &Path) -> u64 {
    file.metadata().expect("the file exists").len()
}

/// Flips bits at random offsets of a file of a block and returns the outcomes.
fn flip_bits(file: &str) -> Vec<CorruptionOutcome> {
    let written = Written::new();
    let mut rng = seeded(&format!("flips in {file}"));
    let mut outcomes = Vec::new();
    for flip in 0..FLIPS {
        let offset: f64 = rng.random();
        let bit = rng.random_range(0..8);
        let change = |block: &Block| {
            let file = block.file(file);
            damage::flip(&file, (offset * length(&file) as f64) as u64, bit);
        };
        outcomes.push(written.corrupt(
            flip % 2,
            change,
            &format!("bit {bit} of {file} flipped at {offset} of its length"),
        ));
    }
    println!("{file}: {outcomes:?}");
    outcomes
}

#[test]
fn flipped_bit_in_index_returns_no_wrong_sample() {
    let outcomes = flip_bits("index");
    let is_detected = |outcome: &CorruptionOutcome| *outcome != CorruptionOutcome::Undetected;
    assert!(outcomes.iter().any(is_detected), "{outcomes:?}");
}

#[test]
fn flipped_bit_in_chunk_segment_returns_no_wrong_sample() {
    let outcomes = flip_bits("chunks/000001");
    let is_detected = |outcome: &CorruptionOutcome| *outcome != CorruptionOutcome::Undetected;
    assert!(outcomes.iter().any(is_detected), "{outcomes:?}");
}

#[test]
fn flipped_bit_in_tombstones_returns_no_deleted_sample() {
    let outcomes = flip_bits("tombstones");
    let is_detected = |outcome: &CorruptionOutcome| *outcome != CorruptionOutcome::Undetected;
    assert!(outcomes.iter().all(is_detected), "{outcomes:?}");
}

#[test]
fn block_with_truncated_or_missing_file_is_detected() {
    let written = Written::new();
    for name in ["index", "chunks/000001", "tombstones"] {
        for part in [0, 1, 2] {
            let change = |block: &Block| {
                damage::cut(&block.file(name), length(&block.file(name)) * part / 3)
            };
            let outcome = written.corrupt(0, change, &format!("{name} truncated at {part}/3"));
            assert_ne!(outcome, CorruptionOutcome::Undetected, "{name} truncated at {part}/3");
        }
    }
    for name in ["index", "chunks/000001"] {
        let change =
            |block: &Block| fs::remove_file(block.file(name)).expect("a file can be removed");
        let outcome = written.corrupt(1, change, &format!("{name} missing"));
        assert_ne!(outcome, CorruptionOutcome::Undetected, "{name} missing");
    }
    let change = |block: &Block| {
        fs::remove_dir_all(block.file("chunks")).expect("a directory can be removed")
    };
    assert_ne!(
        written.corrupt(0, change, "chunks missing"),
        CorruptionOutcome::Undetected,
        "chunks missing"
    );
}

fn meta_json(block: &Block) -> PathBuf {
    block.file("meta.json")
}

/// Writes a block's `meta.json` with one change.
fn edit_meta(block: &Block, change: impl FnOnce(&mut Value)) {
    let mut meta = block.meta.clone();
    change(&mut meta);
    fs::write(block.file("meta.json"), meta.to_string()).expect("a file can be written");
}

/// Description of a change of `meta.json`, and the change.
type MetaChange = (&'static str, fn(&Block));

#[test]
fn block_with_invalid_meta_json_is_quarantined() {
    let written = Written::new();
    let changes: [MetaChange; 6] = [
        ("no meta.json", |block| fs::remove_file(meta_json(block)).expect("a file can be removed")),
        ("an empty meta.json", |block| damage::cut(&meta_json(block), 0)),
        ("half a meta.json", |block| damage::cut(&meta_json(block), length(&meta_json(block)) / 2)),
        ("a list in meta.json", |block| {
            fs::write(meta_json(block), "[]").expect("a file can be written")
        }),
        ("another block's name", |block| {
            edit_meta(block, |meta| meta["ulid"] = "01ARZ3NDEKTSV4RRFFQ69G5FAV".into())
        }),
        ("another version", |block| edit_meta(block, |meta| meta["version"] = 7.into())),
    ];
    for (number, (context, change)) in changes.into_iter().enumerate() {
        assert_eq!(
            written.corrupt(number % 2, change, context),
            CorruptionOutcome::Quarantined,
            "{context}"
        );
    }
}

/// A start does not compare the whole index with `meta.json`: a read detects the difference, or
/// uses the index.
#[test]
fn block_with_too_short_meta_range_returns_no_wrong_sample() {
    let written = Written::new();
    let changes: [MetaChange; 2] = [
        ("a start within its chunks", |block| {
            edit_meta(block, |meta| meta["minTime"] = (block.begin() + HOUR).into())
        }),
        ("an end within its chunks", |block| {
            edit_meta(block, |meta| meta["maxTime"] = (block.end() - HOUR).into())
        }),
    ];
    for (context, change) in changes {
        let copy = dir::copy_to_temp(written.temp_dir.path());
        change(&blocks::blocks(copy.path()).swap_remove(0));
        let server = Launch::narthex(copy.path()).start();
        server.remote().read_all().assert_within(&written.sent, context);
        let later =
            server.remote().read(&[Matcher::regex("__name__", ".+")], BEGIN + 2 * HOUR, MAX_TIME);
        later.assert_equals(&written.expected.from(BEGIN + 2 * HOUR), context);
        server.stop();
    }
}

/// Creates a directory with a file that is no part of a block.
fn create_stray_dir(dir: PathBuf) {
    fs::create_dir_all(&dir).expect("a directory can be created");
    fs::write(dir.join("00000000"), [1; 100]).expect("a file can be written");
}

#[test]
fn unfinished_directories_are_removed_at_start() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.temp_dir.path());
    let block = blocks::blocks(copy.path()).swap_remove(0);
    for ending in ["tmp-for-creation", "tmp-for-deletion", "tmp"] {
        let unfinished = copy.path().join(format!("01ARZ3NDEKTSV4RRFFQ69G5FAV.{ending}"));
        dir::copy(&block.path, &unfinished);
    }
    create_stray_dir(copy.path().join("wal/checkpoint.00000099.tmp"));
    create_stray_dir(copy.path().join("chunk_snapshot.000099.0000000000.tmp"));
    let found = blocks::leftovers(copy.path());
    assert_eq!(found.len(), 5, "{found:?}");
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&written.expected, "with leftovers");
    blocks::assert_no_leftovers(copy.path(), "after a start");
    assert_eq!(blocks::outline(copy.path()), "0-2 2-4");
    server.stop();
}

#[test]
fn directory_without_block_is_quarantined() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.temp_dir.path());
    create_stray_dir(copy.path().join("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&written.expected, "with a directory without a block");
    blocks::assert_no_leftovers(copy.path(), "with a directory without a block");
    let names = blocks::names(&copy.path().join("quarantine"));
    assert!(names.iter().any(|name| name.contains("01ARZ3NDEKTSV4RRFFQ69G5FAV")), "{names:?}");
    server.stop();
}

#[test]
fn parent_next_to_its_child_is_removed() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.temp_dir.path());
    let parents = blocks::blocks(copy.path());
    let server = Launch::narthex(copy.path()).start();
    let mut expected = written.expected.clone();
    let more = data::assorted(14 * HOUR).between(BEGIN + 7 * HOUR, BEGIN + 14 * HOUR);
    server.remote().write_all(&more);
    expected.add_all(&more);
    blocks::wait_for_outline(copy.path(), "0-6/2 6-8 8-10 10-12");
    server.kill();

    // As after a crash between the rename of the new block and the removal of its parents.
    for parent in &parents {
        dir::copy(&written.temp_dir.path().join(&parent.ulid), &parent.path);
    }
    // One of the parents is corrupted, too.
    damage::cut(&parents[1].file("index"), 100);
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&expected, "with parents");
    wait_until("removal of the parents", || blocks::leftovers(copy.path()).is_empty());
    assert_eq!(blocks::outline(copy.path()), "0-6/2 6-8 8-10 10-12");
    server.assert_holds(&expected, "without parents");
    let log = server.stop();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn directory_with_foreign_name_is_kept() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.temp_dir.path());
    let block = blocks::blocks(copy.path()).swap_remove(0);
    let foreign = ["kept-by-hand", "lost+found", "thanos"];
    for name in foreign {
        dir::copy(&block.path, &copy.path().join(name));
    }
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&written.expected, "with foreign directories");
    server.stop();
    for name in foreign {
        assert!(copy.path().join(name).join("index").exists(), "{name}");
    }
}

/// As in Prometheus.
#[test]
fn block_without_tombstone_file_has_no_tombstones() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.temp_dir.path());
    for block in blocks::blocks(copy.path()) {
        fs::remove_file(block.file("tombstones")).expect("a file can be removed");
    }
    let server = Launch::narthex(copy.path()).start();
    let is_deleted = |labels: &LabelSet, t: i64| written.expected.get(labels, t).is_none();
    let returned = server.remote().read_all().filter(is_deleted);
    server.remote().read_all().assert_within(&written.sent, "without tombstone files");
    assert!(returned.count() > 0 || !blocks::names(&copy.path().join("quarantine")).is_empty());
    server.stop();
}

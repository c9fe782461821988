//! Damage to blocks, on the real binary: flipped bits, cut and missing files, and what a crash may
//! leave of a directory.
//!
//! narthex starts on each of these directories. A read gives what was written or fails and names
//! the block's file, never anything else; a block that can't be opened is in the quarantine, and
//! the log and a metric say so; the other blocks and the head serve, and writes go on. The places
//! are random, their seed printed; every byte of a small block is tried in the engine's own tests.

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

/// Flipped bits in each kind of file.
const FLIPS: usize = 8;

/// A directory of narthex's with two blocks of two hours, a part of a series deleted in both, and a
/// head.
struct Written {
    place: TempDir,
    sent: Samples,
    /// What was sent without what was deleted.
    expected: Samples,
}

impl Written {
    fn new() -> Written {
        let place = dir::temp();
        let server = Launch::narthex(place.path()).flag(admin::ENABLE).start();
        let sent = data::assorted(7 * HOUR);
        server.remote().write_all(&sent);
        blocks::wait_for_outline(place.path(), "0-2 2-4");
        let deleted = BEGIN + HOUR..=BEGIN + 3 * HOUR;
        Admin::of(&server.http).delete("{series=\"1\"}", *deleted.start(), *deleted.end());
        let series = ("series".to_owned(), "1".to_owned());
        let expected = sent.filter(|labels, t| !(labels.contains(&series) && deleted.contains(&t)));
        server.assert_holds(&expected, "before any damage");
        server.stop();
        Written { place, sent, expected }
    }

    /// Damages one block of a copy, shows all that must hold of it, and tells how narthex took it.
    fn damaged(&self, block: usize, change: impl FnOnce(&Block), what: &str) -> Taken {
        let copy = dir::copy_to_temp(self.place.path());
        let block = blocks::blocks(copy.path()).swap_remove(block);
        change(&block);
        let server = Launch::narthex(copy.path()).start();
        let case = Case { written: self, data: copy.path(), block, what };
        let taken = case.taken(&server);
        case.goes_on(server, taken);
        taken
    }
}

/// How narthex takes a damaged block.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Taken {
    /// The block is in the quarantine.
    SetAside,
    /// Reads that need the block fail.
    Refused,
    /// Reads give what was written: the damage is where nothing is read.
    Unseen,
}

/// A started narthex on a directory with one damaged block.
struct Case<'a> {
    written: &'a Written,
    data: &'a Path,
    block: Block,
    what: &'a str,
}

impl Case<'_> {
    fn taken(&self, server: &Server) -> Taken {
        self.rest_serves(server);
        if !self.block.path.exists() {
            self.is_set_aside(server);
            return Taken::SetAside;
        }
        let answer = server.remote().ask(&all(MIN_TIME, MAX_TIME));
        if answer.status == 200 {
            server.assert_holds(&self.written.expected, self.what);
            return Taken::Unseen;
        }
        assert_eq!(answer.status, 500, "{}: {}", self.what, answer.text());
        assert!(answer.text().contains(&self.block.ulid), "{}: {}", self.what, answer.text());
        self.wait_until_said(server);
        Taken::Refused
    }

    /// What is before and behind the block.
    fn rest_serves(&self, server: &Server) {
        for (from, to) in [(MIN_TIME, self.begin() - 1), (self.end(), MAX_TIME)] {
            let returned = server.remote().read(&[Matcher::regex("__name__", ".+")], from, to);
            let expected = self.written.expected.between(from, to);
            returned.assert_equals(&expected, &format!("{}, from {from} to {to}", self.what));
        }
    }

    /// The block is kept as it was, and what is read of its time is only what its log may still
    /// have.
    fn is_set_aside(&self, server: &Server) {
        let kept = blocks::names(&self.data.join("quarantine"));
        assert!(kept.iter().any(|name| name.contains(&self.block.ulid)), "{}: {kept:?}", self.what);
        let returned = server.remote().read_all();
        returned.assert_within(&self.written.sent, self.what);
        assert_eq!(
            Metrics::of(&server.http).sum("narthex_tsdb_blocks_quarantined_total"),
            Some(1.0),
            "{}",
            self.what
        );
        self.wait_until_said(server);
    }

    /// The log of the process arrives a little after the answer.
    fn wait_until_said(&self, server: &Server) {
        wait_until(&format!("a word on the block, {}", self.what), || {
            self.is_said(&server.program.log())
        });
    }

    fn is_said(&self, log: &str) -> bool {
        let is_loud = |line: &str| line.contains("level=WARN") || line.contains("level=ERROR");
        log.lines().any(|line| is_loud(line) && line.contains(&self.block.ulid))
    }

    /// A write is taken, and another start finds everything as it was.
    fn goes_on(&self, server: Server, taken: Taken) {
        let newest = self.written.sent.max_time().expect("samples were sent");
        let another = WriteRequest::one(&[("__name__", "another")], &[(newest + 1, 1.0)]);
        server.remote().write_ok(&another);
        let mut expected = self.written.expected.clone();
        expected.add_request(&another);
        let log = server.kill();
        assert!(!log.contains("panicked"), "{}: {log}", self.what);

        let server = Launch::narthex(self.data).start();
        let begin = self.end();
        let returned = server.remote().read(&[Matcher::regex("__name__", ".+")], begin, MAX_TIME);
        returned
            .assert_equals(&expected.from(begin), &format!("{}, after another start", self.what));
        if taken == Taken::Unseen {
            server.assert_holds(&expected, &format!("{}, after another start", self.what));
        }
        assert!(!server.stop().contains("panicked"), "{}", self.what);
    }

    /// As it was before the damage.
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

fn all(start: i64, end: i64) -> ReadRequest {
    let query = Query { start, end, matchers: vec![Matcher::regex("__name__", ".+")], hints: None };
    ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

fn length(file: &Path) -> u64 {
    file.metadata().expect("the file is there").len()
}

/// Flips bits at random places of a file of a block; gives how often it was taken in which way.
fn flipped(file: &str) -> Vec<Taken> {
    let written = Written::new();
    let mut rng = seeded(&format!("flips in {file}"));
    let mut taken = Vec::new();
    for flip in 0..FLIPS {
        let place: f64 = rng.random();
        let bit = rng.random_range(0..8);
        let change = |block: &Block| {
            let file = block.file(file);
            damage::flip(&file, (place * length(&file) as f64) as u64, bit);
        };
        taken.push(written.damaged(
            flip % 2,
            change,
            &format!("bit {bit} of {file} flipped at {place} of its length"),
        ));
    }
    println!("{file}: {taken:?}");
    taken
}

#[test]
fn a_flipped_bit_in_an_index_is_never_a_wrong_answer() {
    let taken = flipped("index");
    assert!(taken.iter().any(|taken| *taken != Taken::Unseen), "{taken:?}");
}

#[test]
fn a_flipped_bit_in_a_chunk_segment_is_never_a_wrong_answer() {
    let taken = flipped("chunks/000001");
    assert!(taken.iter().any(|taken| *taken != Taken::Unseen), "{taken:?}");
}

#[test]
fn a_flipped_bit_in_a_tombstone_file_brings_nothing_back() {
    let taken = flipped("tombstones");
    assert!(taken.iter().all(|taken| *taken != Taken::Unseen), "{taken:?}");
}

#[test]
fn a_block_with_a_cut_or_missing_file_is_set_aside_or_refused() {
    let written = Written::new();
    for name in ["index", "chunks/000001", "tombstones"] {
        for part in [0, 1, 2] {
            let change = |block: &Block| {
                damage::cut(&block.file(name), length(&block.file(name)) * part / 3)
            };
            let taken = written.damaged(0, change, &format!("{name} cut at {part} thirds"));
            assert_ne!(taken, Taken::Unseen, "{name} cut at {part} thirds");
        }
    }
    for name in ["index", "chunks/000001"] {
        let change =
            |block: &Block| fs::remove_file(block.file(name)).expect("a file can be removed");
        let taken = written.damaged(1, change, &format!("{name} missing"));
        assert_ne!(taken, Taken::Unseen, "{name} missing");
    }
    let change =
        |block: &Block| fs::remove_dir_all(block.file("chunks")).expect("a folder can be removed");
    assert_ne!(written.damaged(0, change, "chunks missing"), Taken::Unseen, "chunks missing");
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

/// What is wrong with a `meta.json`, and how it is made so.
type MetaDamage = (&'static str, fn(&Block));

#[test]
fn a_block_with_a_wrong_meta_json_is_set_aside() {
    let written = Written::new();
    let changes: [MetaDamage; 6] = [
        ("no meta.json", |block| fs::remove_file(meta_json(block)).expect("a file can be removed")),
        ("an empty meta.json", |block| damage::cut(&meta_json(block), 0)),
        ("half a meta.json", |block| damage::cut(&meta_json(block), length(&meta_json(block)) / 2)),
        ("a meta.json of a list", |block| {
            fs::write(meta_json(block), "[]").expect("a file can be written")
        }),
        ("another block's name", |block| {
            edit_meta(block, |meta| meta["ulid"] = "01ARZ3NDEKTSV4RRFFQ69G5FAV".into())
        }),
        ("another version", |block| edit_meta(block, |meta| meta["version"] = 7.into())),
    ];
    for (number, (what, change)) in changes.into_iter().enumerate() {
        assert_eq!(written.damaged(number % 2, change, what), Taken::SetAside, "{what}");
    }
}

/// A start does not read all of an index to hold it against `meta.json`: there the read shows it,
/// or takes what the index has.
#[test]
fn block_with_too_short_meta_range_returns_no_wrong_sample() {
    let written = Written::new();
    let changes: [MetaDamage; 2] = [
        ("a begin within its chunks", |block| {
            edit_meta(block, |meta| meta["minTime"] = (block.begin() + HOUR).into())
        }),
        ("an end within its chunks", |block| {
            edit_meta(block, |meta| meta["maxTime"] = (block.end() - HOUR).into())
        }),
    ];
    for (what, change) in changes {
        let copy = dir::copy_to_temp(written.place.path());
        change(&blocks::blocks(copy.path()).swap_remove(0));
        let server = Launch::narthex(copy.path()).start();
        server.remote().read_all().assert_within(&written.sent, what);
        let later =
            server.remote().read(&[Matcher::regex("__name__", ".+")], BEGIN + 2 * HOUR, MAX_TIME);
        later.assert_equals(&written.expected.from(BEGIN + 2 * HOUR), what);
        server.stop();
    }
}

/// A folder with a file in it.
fn litter(folder: PathBuf) {
    fs::create_dir_all(&folder).expect("a directory can be made");
    fs::write(folder.join("00000000"), [1; 100]).expect("a file can be written");
}

#[test]
fn what_a_crash_left_half_done_is_gone_after_a_start() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.place.path());
    let block = blocks::blocks(copy.path()).swap_remove(0);
    for ending in ["tmp-for-creation", "tmp-for-deletion", "tmp"] {
        let folder = copy.path().join(format!("01ARZ3NDEKTSV4RRFFQ69G5FAV.{ending}"));
        dir::copy(&block.path, &folder);
    }
    litter(copy.path().join("wal/checkpoint.00000099.tmp"));
    litter(copy.path().join("chunk_snapshot.000099.0000000000.tmp"));
    let found = blocks::leftovers(copy.path());
    assert_eq!(found.len(), 5, "{found:?}");
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&written.expected, "with leftovers");
    blocks::assert_no_leftovers(copy.path(), "after a start");
    assert_eq!(blocks::outline(copy.path()), "0-2 2-4");
    server.stop();
}

#[test]
fn a_folder_without_a_block_is_set_aside_and_the_rest_serves() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.place.path());
    litter(copy.path().join("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&written.expected, "with a folder that is no block");
    blocks::assert_no_leftovers(copy.path(), "with a folder that is no block");
    let kept = blocks::names(&copy.path().join("quarantine"));
    assert!(kept.iter().any(|name| name.contains("01ARZ3NDEKTSV4RRFFQ69G5FAV")), "{kept:?}");
    server.stop();
}

#[test]
fn a_block_beside_the_one_that_was_made_of_it_is_removed() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.place.path());
    let parents = blocks::blocks(copy.path());
    let server = Launch::narthex(copy.path()).start();
    let mut expected = written.expected.clone();
    let more = data::assorted(14 * HOUR).between(BEGIN + 7 * HOUR, BEGIN + 14 * HOUR);
    server.remote().write_all(&more);
    expected.add_all(&more);
    blocks::wait_for_outline(copy.path(), "0-6/2 6-8 8-10 10-12");
    server.kill();

    // As after a crash between the new block's rename and its parents' removal.
    for parent in &parents {
        dir::copy(&written.place.path().join(&parent.ulid), &parent.path);
    }
    // A copy of one whose parent is itself damaged, too.
    damage::cut(&parents[1].file("index"), 100);
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&expected, "with parents");
    wait_until("the parents to go", || blocks::leftovers(copy.path()).is_empty());
    assert_eq!(blocks::outline(copy.path()), "0-6/2 6-8 8-10 10-12");
    server.assert_holds(&expected, "without parents");
    let log = server.stop();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_block_with_a_folder_of_another_name_is_left_alone() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.place.path());
    let block = blocks::blocks(copy.path()).swap_remove(0);
    let foreign = ["kept-by-hand", "lost+found", "thanos"];
    for name in foreign {
        dir::copy(&block.path, &copy.path().join(name));
    }
    let server = Launch::narthex(copy.path()).start();
    server.assert_holds(&written.expected, "with folders that are not its own");
    server.stop();
    for name in foreign {
        assert!(copy.path().join(name).join("index").exists(), "{name}");
    }
}

/// Deletions stay what they are where a block goes on without its file of them: as in Prometheus,
/// that is none.
#[test]
fn a_block_without_a_tombstone_file_has_no_deletions() {
    let written = Written::new();
    let copy = dir::copy_to_temp(written.place.path());
    for block in blocks::blocks(copy.path()) {
        fs::remove_file(block.file("tombstones")).expect("a file can be removed");
    }
    let server = Launch::narthex(copy.path()).start();
    let is_deleted = |labels: &LabelSet, t: i64| written.expected.get(labels, t).is_none();
    let back = server.remote().read_all().filter(is_deleted);
    server.remote().read_all().assert_within(&written.sent, "without tombstone files");
    assert!(back.count() > 0 || !blocks::names(&copy.path().join("quarantine")).is_empty());
    server.stop();
}

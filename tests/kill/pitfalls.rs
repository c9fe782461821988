//! Known faults of other databases in head compaction, each as the scenario that shows it.
//!
//! Series that end and return, samples on block boundaries, references whose records a checkpoint
//! must keep, deleted samples that return, and space that is not freed. Every scenario ends with
//! kills and restarts.

use std::ops::Range;

use crate::support::admin::{self, Admin};
use crate::support::data::{BEGIN, HOUR};
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::samples::{LabelSet, Samples};
use crate::support::wait::wait_until;
use crate::support::wire::{Matcher, WriteRequest};
use crate::support::{blocks, metrics};

const MINUTE: i64 = 60_000;

/// A server with its own directory, and the samples that it must return.
struct Scenario {
    temp_dir: tempfile::TempDir,
    server: Option<Server>,
    expected: Samples,
}

impl Scenario {
    fn begin() -> Scenario {
        let mut scenario =
            Scenario { temp_dir: dir::temp(), server: None, expected: Samples::new() };
        scenario.start();
        scenario
    }

    fn start(&mut self) {
        self.server = Some(Launch::narthex(self.temp_dir.path()).flag(admin::ENABLE).start());
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("a running server")
    }

    /// Writes a sample of one series for each minute since `BEGIN`.
    fn write(&mut self, name: &str, minutes: impl IntoIterator<Item = i64>) {
        let samples: Vec<(i64, f64)> = minutes
            .into_iter()
            .map(|minute| (BEGIN + minute * MINUTE, minute as f64 + 0.25))
            .collect();
        let request = WriteRequest::one(&[("__name__", name), ("job", "scenario")], &samples);
        self.server().remote().write_ok(&request);
        self.expected.add_request(&request);
    }

    /// Writes a sample per minute of each series, in requests of half an hour, and waits until all
    /// due ranges of the head are compacted.
    fn write_hours_of(&mut self, names: &[String], hours: Range<i64>) {
        let to_hour = hours.end;
        for half in hours.start * 2..to_hour * 2 {
            for name in names {
                self.write(name, half * 30..(half + 1) * 30);
            }
        }
        let due = (to_hour - 2).max(0) / 2 * 2;
        wait_until("head compaction", || {
            let newest = blocks::blocks(self.temp_dir.path()).iter().map(blocks::Block::end).max();
            let head =
                metrics::Metrics::of(&self.server().http).sum("prometheus_tsdb_head_min_time");
            due == 0
                || (newest >= Some(BEGIN + due * HOUR) && head >= Some((BEGIN + due * HOUR) as f64))
        });
    }

    /// Writes the series `time` like [`Self::write_hours_of`].
    fn write_hours(&mut self, hours: Range<i64>) {
        self.write_hours_of(&["time".to_owned()], hours);
    }

    fn delete(&mut self, name: &str, from_minute: i64, to_minute: i64) {
        let (from, to) = (BEGIN + from_minute * MINUTE, BEGIN + to_minute * MINUTE);
        Admin::of(&self.server().http).delete(&format!("{{__name__=\"{name}\"}}"), from, to);
        let label = ("__name__".to_owned(), name.to_owned());
        let is_kept =
            |labels: &LabelSet, t: i64| !(labels.contains(&label) && from <= t && t <= to);
        self.expected = self.expected.filter(is_kept);
    }

    fn check(&self, context: &str) {
        self.server().assert_holds(&self.expected, context);
    }

    fn kill_and_start(&mut self) {
        self.server.take().expect("a running server").kill();
        self.start();
    }

    /// Checks the data, also after further kills and restarts.
    fn end(mut self) {
        for context in ["at the end", "after a kill", "after another kill"] {
            self.check(context);
            self.kill_and_start();
        }
        self.check("after the last kill");
    }
}

#[test]
fn recreated_collected_series_is_complete_after_restart() {
    let mut scenario = Scenario::begin();
    scenario.write("returns", 0..50);
    scenario.write("returns_late", 0..50);
    scenario.write_hours(0..6);
    // The series has a new reference now, and the WAL still has records of the old one.
    scenario.write("returns", 5 * 60 + 10..5 * 60 + 40);
    scenario.kill_and_start();
    scenario.check("after the return of one series");
    scenario.write_hours(6..12);
    scenario.write("returns", 11 * 60 + 10..11 * 60 + 40);
    scenario.write("returns_late", 11 * 60 + 10..11 * 60 + 40);
    scenario.kill_and_start();
    scenario.check("after the return of both series");
    scenario.write_hours(12..18);
    scenario.end();
}

#[test]
fn samples_on_block_boundary_are_stored_once() {
    let mut scenario = Scenario::begin();
    let boundaries = [2, 4, 6].map(|hour| hour * HOUR);
    for boundary in boundaries {
        scenario.write_hours(boundary / HOUR - 2..boundary / HOUR);
        let samples = [-1, 0, 1].map(|off| (BEGIN + boundary + off, (boundary + off) as f64));
        let request = WriteRequest::one(&[("__name__", "boundary"), ("job", "scenario")], &samples);
        scenario.server().remote().write_ok(&request);
        scenario.expected.add_request(&request);
    }
    scenario.write_hours(6..14);
    blocks::wait_for_outline(scenario.temp_dir.path(), "0-6/2 6-8 8-10 10-12");
    for time in ["before", "after"] {
        for boundary in boundaries.map(|boundary| BEGIN + boundary) {
            for (from, to, count) in
                [(boundary, boundary, 1), (boundary - 1, boundary, 2), (boundary, boundary + 1, 2)]
            {
                let read = scenario.server().remote().read(
                    &[Matcher::equal("__name__", "boundary")],
                    from,
                    to,
                );
                assert_eq!(read.count(), count, "from {from} to {to} {time} a kill: {read:?}");
            }
        }
        blocks::assert_counts(scenario.temp_dir.path(), &scenario.expected, time);
        scenario.kill_and_start();
    }
    scenario.end();
}

#[test]
fn checkpoint_keeps_series_with_later_samples() {
    let mut scenario = Scenario::begin();
    // The records of these series are in the first segment only.
    for number in 0..20 {
        scenario.write(&format!("early_{number}"), [number]);
    }
    for hours in [0, 6, 12] {
        scenario.write_hours(hours..hours + 6);
        for number in 0..20 {
            scenario.write(&format!("early_{number}"), [(hours + 5) * 60 + 30 + number]);
        }
        scenario.check("before a kill");
        let wal = scenario.temp_dir.path().join("wal");
        if hours == 12 {
            wait_until("deletion of the first segment", || {
                !blocks::names(&wal).contains(&"00000000".to_owned())
            });
        }
        scenario.kill_and_start();
        scenario.check("after a kill");
    }
    scenario.end();
}

#[test]
fn deleted_samples_do_not_return() {
    let mut scenario = Scenario::begin();
    scenario.write_hours_of(&["deleted", "time"].map(str::to_owned), 0..6);
    // In blocks and in the head, and followed by later samples.
    scenario.delete("deleted", 60, 5 * 60 + 30);
    scenario.check("after the deletion");
    scenario.write("deleted", 6 * 60 + 10..6 * 60 + 30);
    scenario.kill_and_start();
    scenario.check("after the deletion and a kill");
    // Head compaction, checkpoint and block compaction follow.
    scenario.write_hours(6..14);
    blocks::wait_for_outline(scenario.temp_dir.path(), "0-6/2 6-8 8-10 10-12");
    let has_tombstones = |block: &blocks::Block| block.stat("numTombstones") > 0;
    assert!(
        !blocks::blocks(scenario.temp_dir.path()).iter().any(has_tombstones),
        "compacted blocks have tombstones"
    );
    scenario.end();
}

#[test]
fn deletion_frees_space() {
    let mut scenario = Scenario::begin();
    let mut names: Vec<String> = (0..30).map(|number| format!("large_{number}")).collect();
    names.push("time".to_owned());
    scenario.write_hours_of(&names, 0..8);
    blocks::wait_for_outline(scenario.temp_dir.path(), "0-2 2-4 4-6");
    let size = || -> u64 {
        let files = |block: &blocks::Block| {
            ["index", "chunks/000001"]
                .iter()
                .map(|name| block.file(name).metadata().map_or(0, |file| file.len()))
                .sum::<u64>()
        };
        blocks::blocks(scenario.temp_dir.path()).iter().map(files).sum()
    };
    let before = size();
    for number in 0..30 {
        Admin::of(&scenario.server().http).delete(
            &format!("{{__name__=\"large_{number}\"}}"),
            BEGIN,
            BEGIN + 8 * HOUR,
        );
    }
    Admin::of(&scenario.server().http).clean_tombstones();
    let after = size();
    assert!(after * 4 < before, "{after} of {before} bytes remain");
    // A block without samples is deleted.
    Admin::of(&scenario.server().http).delete("{__name__=\"time\"}", BEGIN, BEGIN + 2 * HOUR - 1);
    Admin::of(&scenario.server().http).clean_tombstones();
    assert_eq!(blocks::outline(scenario.temp_dir.path()), "2-4 4-6");
    let is_large = |labels: &LabelSet| labels[0].1.starts_with("large");
    scenario.expected =
        scenario.expected.filter(|labels, t| !is_large(labels) && t >= BEGIN + 2 * HOUR);
    scenario.end();
}

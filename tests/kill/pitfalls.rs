//! Faults that others had where the head becomes blocks, each as the story in which it showed.
//!
//! Series that end and come back, samples on the border of a block, references whose records a
//! checkpoint must keep, deletions that came back or whose space did not. Every story ends with a
//! kill and another start.

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

/// A narthex on a directory of its own, and all that it should answer.
struct Story {
    place: tempfile::TempDir,
    server: Option<Server>,
    expected: Samples,
}

impl Story {
    fn begin() -> Story {
        let mut story = Story { place: dir::temp(), server: None, expected: Samples::new() };
        story.start();
        story
    }

    fn start(&mut self) {
        self.server = Some(Launch::narthex(self.place.path()).flag(admin::ENABLE).start());
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it is started")
    }

    /// Samples of one series, in minutes from the begin on.
    fn write(&mut self, name: &str, minutes: impl IntoIterator<Item = i64>) {
        let samples: Vec<(i64, f64)> = minutes
            .into_iter()
            .map(|minute| (BEGIN + minute * MINUTE, minute as f64 + 0.25))
            .collect();
        let request = WriteRequest::one(&[("__name__", name), ("job", "story")], &samples);
        self.server().remote().write_ok(&request);
        self.expected.add_request(&request);
    }

    /// Lets time pass with a sample a minute of each of these series, half an hour a request, and
    /// waits until nothing of the head is due.
    fn pass_with(&mut self, names: &[String], hours: Range<i64>) {
        let to_hour = hours.end;
        for half in hours.start * 2..to_hour * 2 {
            for name in names {
                self.write(name, half * 30..(half + 1) * 30);
            }
        }
        let due = (to_hour - 2).max(0) / 2 * 2;
        wait_until("the head to be compacted", || {
            let newest = blocks::blocks(self.place.path()).iter().map(blocks::Block::end).max();
            let head =
                metrics::Metrics::of(&self.server().http).sum("prometheus_tsdb_head_min_time");
            due == 0
                || (newest >= Some(BEGIN + due * HOUR) && head >= Some((BEGIN + due * HOUR) as f64))
        });
    }

    /// The same with one series.
    fn pass(&mut self, hours: Range<i64>) {
        self.pass_with(&["time".to_owned()], hours);
    }

    fn delete(&mut self, name: &str, from_minute: i64, to_minute: i64) {
        let (from, to) = (BEGIN + from_minute * MINUTE, BEGIN + to_minute * MINUTE);
        Admin::of(&self.server().http).delete(&format!("{{__name__=\"{name}\"}}"), from, to);
        let label = ("__name__".to_owned(), name.to_owned());
        let stays = |labels: &LabelSet, t: i64| !(labels.contains(&label) && from <= t && t <= to);
        self.expected = self.expected.filter(stays);
    }

    fn check(&self, what: &str) {
        self.server().assert_holds(&self.expected, what);
    }

    fn kill_and_start(&mut self) {
        self.server.take().expect("it is started").kill();
        self.start();
    }

    /// All is there, and still after another start.
    fn end(mut self) {
        for what in ["in the end", "after a kill", "after another kill"] {
            self.check(what);
            self.kill_and_start();
        }
        self.check("after the last kill");
    }
}

#[test]
fn recreated_collected_series_is_complete_after_restart() {
    let mut story = Story::begin();
    story.write("comes_back", 0..50);
    story.write("comes_back_late", 0..50);
    story.pass(0..6);
    // It has another reference now, while the log still has records of the old one.
    story.write("comes_back", 5 * 60 + 10..5 * 60 + 40);
    story.kill_and_start();
    story.check("after it came back");
    story.pass(6..12);
    story.write("comes_back", 11 * 60 + 10..11 * 60 + 40);
    story.write("comes_back_late", 11 * 60 + 10..11 * 60 + 40);
    story.kill_and_start();
    story.check("after both came back");
    story.pass(12..18);
    story.end();
}

#[test]
fn samples_on_the_border_of_a_block_are_there_once() {
    let mut story = Story::begin();
    let borders = [2, 4, 6].map(|hour| hour * HOUR);
    for border in borders {
        story.pass(border / HOUR - 2..border / HOUR);
        let samples = [-1, 0, 1].map(|off| (BEGIN + border + off, (border + off) as f64));
        let request = WriteRequest::one(&[("__name__", "border"), ("job", "story")], &samples);
        story.server().remote().write_ok(&request);
        story.expected.add_request(&request);
    }
    story.pass(6..14);
    blocks::wait_for_outline(story.place.path(), "0-6/2 6-8 8-10 10-12");
    for time in ["before", "after"] {
        for border in borders.map(|border| BEGIN + border) {
            for (from, to, count) in
                [(border, border, 1), (border - 1, border, 2), (border, border + 1, 2)]
            {
                let read =
                    story.server().remote().read(&[Matcher::equal("__name__", "border")], from, to);
                assert_eq!(read.count(), count, "from {from} to {to} {time} a kill: {read:?}");
            }
        }
        blocks::assert_counts(story.place.path(), &story.expected, time);
        story.kill_and_start();
    }
    story.end();
}

#[test]
fn a_checkpoint_keeps_the_series_whose_samples_come_later() {
    let mut story = Story::begin();
    // Their records are in the first segment alone.
    for number in 0..20 {
        story.write(&format!("early_{number}"), [number]);
    }
    for hours in [0, 6, 12] {
        story.pass(hours..hours + 6);
        for number in 0..20 {
            story.write(&format!("early_{number}"), [(hours + 5) * 60 + 30 + number]);
        }
        story.check("before a kill");
        let log = story.place.path().join("wal");
        if hours == 12 {
            wait_until("the first segment to go", || {
                !blocks::names(&log).contains(&"00000000".to_owned())
            });
        }
        story.kill_and_start();
        story.check("after a kill");
    }
    story.end();
}

#[test]
fn what_was_deleted_does_not_come_back() {
    let mut story = Story::begin();
    story.pass_with(&["deleted", "time"].map(str::to_owned), 0..6);
    // In blocks and in the head; written to again after that.
    story.delete("deleted", 60, 5 * 60 + 30);
    story.check("after the deletion");
    story.write("deleted", 6 * 60 + 10..6 * 60 + 30);
    story.kill_and_start();
    story.check("after the deletion and a kill");
    // Through a compaction of the head, a checkpoint and a compaction of the blocks.
    story.pass(6..14);
    blocks::wait_for_outline(story.place.path(), "0-6/2 6-8 8-10 10-12");
    let has_tombstones = |block: &blocks::Block| block.stat("numTombstones") > 0;
    assert!(
        !blocks::blocks(story.place.path()).iter().any(has_tombstones),
        "deletions in compacted blocks"
    );
    story.end();
}

#[test]
fn the_space_of_what_was_deleted_comes_back() {
    let mut story = Story::begin();
    let mut names: Vec<String> = (0..30).map(|number| format!("large_{number}")).collect();
    names.push("time".to_owned());
    story.pass_with(&names, 0..8);
    blocks::wait_for_outline(story.place.path(), "0-2 2-4 4-6");
    let size = || -> u64 {
        let files = |block: &blocks::Block| {
            ["index", "chunks/000001"]
                .iter()
                .map(|name| block.file(name).metadata().map_or(0, |file| file.len()))
                .sum::<u64>()
        };
        blocks::blocks(story.place.path()).iter().map(files).sum()
    };
    let before = size();
    for number in 0..30 {
        Admin::of(&story.server().http).delete(
            &format!("{{__name__=\"large_{number}\"}}"),
            BEGIN,
            BEGIN + 8 * HOUR,
        );
    }
    Admin::of(&story.server().http).clean_tombstones();
    let after = size();
    assert!(after * 4 < before, "{after} of {before} bytes are left");
    // A block of which nothing is left goes as a whole.
    Admin::of(&story.server().http).delete("{__name__=\"time\"}", BEGIN, BEGIN + 2 * HOUR - 1);
    Admin::of(&story.server().http).clean_tombstones();
    assert_eq!(blocks::outline(story.place.path()), "2-4 4-6");
    let is_large = |labels: &LabelSet| labels[0].1.starts_with("large");
    story.expected = story.expected.filter(|labels, t| !is_large(labels) && t >= BEGIN + 2 * HOUR);
    story.end();
}

//! Damage to the log, on the real binary: cut anywhere in its last page, or with one bit flipped
//! anywhere.
//!
//! narthex starts on each of these directories. Nothing wrong is ever returned; nothing is missing
//! whose record ended before the damage; and the damage is said, in the log and in a metric. The
//! places are random, their seed printed; every place there is is tried in the engine's own tests,
//! without a process for each.

use std::path::Path;

use rand::RngExt;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::samples::Samples;
use crate::support::seed::seeded;
use crate::support::wire::WriteRequest;
use crate::support::{damage, data, dir};

/// Places of each kind of damage.
const PLACES: usize = 25;

/// A directory that narthex wrote, request by request, and was killed on.
struct Written {
    place: TempDir,
    sent: Samples,
    trail: Vec<Step>,
}

/// Where the log ended when a request was acknowledged.
struct Step {
    request: WriteRequest,
    segment: usize,
    length: u64,
}

impl Written {
    /// Several lives, so that the log has several segments; the head's chunks are full in between,
    /// so that some are in chunks_head.
    fn new() -> Written {
        let place = dir::temp();
        let sent = data::assorted(data::HOUR);
        let requests = sent.to_requests(data::HOUR / 60);
        let mut trail = Vec::new();
        for part in requests.chunks(requests.len().div_ceil(3)) {
            let server = Launch::narthex(place.path()).start();
            for request in part {
                server.remote().write_ok(request);
                let segments = dir::segments(place.path());
                let newest = segments.last().expect("there is a segment");
                let length = newest.metadata().expect("the segment is there").len();
                trail.push(Step { request: request.clone(), segment: segments.len() - 1, length });
            }
            server.kill();
        }
        Written { place, sent, trail }
    }

    /// What ended before that place of the log, and so must be there.
    fn before(&self, segment: usize, offset: u64) -> Samples {
        let mut samples = Samples::new();
        for step in
            self.trail.iter().filter(|step| (step.segment, step.length) <= (segment, offset))
        {
            samples.add_request(&step.request);
        }
        samples
    }

    /// Starts narthex on a copy with one segment changed, and holds what it returns against what
    /// was sent.
    fn read_damaged(
        &self,
        segment: usize,
        offset: u64,
        change: impl FnOnce(&Path),
        what: &str,
    ) -> Said {
        let copy = dir::copy_to_temp(self.place.path());
        let path = &dir::segments(copy.path())[segment];
        change(path);
        let server = Launch::narthex(copy.path()).start();
        let returned = server.remote().read_all();
        returned.assert_within(&self.sent, what);
        let lost = self.before(segment, offset).beyond(&returned);
        assert!(lost.count() == 0, "{what}: lost although it stood before: {lost:?}");
        let corruptions = Metrics::of(&server.http).sum("prometheus_tsdb_wal_corruptions_total");
        let log = self.take_another(server, copy.path(), &returned, what);
        Said {
            corruptions: corruptions.expect("the metric is there"),
            lines: Said::lines_about(path, &log),
            lost: self.sent.count() - returned.count(),
        }
    }

    /// After the repair it goes on as ever: a write is taken, and is there after a restart with
    /// what was found, which repairs nothing any more. What the server printed before that.
    fn take_another(&self, server: Server, data: &Path, found: &Samples, what: &str) -> String {
        let newest = self.sent.max_time().expect("samples were sent");
        let another = WriteRequest::one(&[("__name__", "another")], &[(newest + 1, 1.0)]);
        server.remote().write_ok(&another);
        let mut expected = found.clone();
        expected.add_request(&another);
        server.assert_holds(&expected, &format!("{what}, with another sample"));
        let log = server.kill();

        let server = Launch::narthex(data).start();
        server.assert_holds(&expected, &format!("{what}, after another start"));
        let corruptions = Metrics::of(&server.http).sum("prometheus_tsdb_wal_corruptions_total");
        assert_eq!(corruptions, Some(0.0), "{what}, after another start");
        server.stop();
        log
    }
}

/// What narthex said of the damage: in its metric, and by the segment's name in its log, as a
/// warning or worse; and the number of samples that are missing.
#[derive(Debug)]
struct Said {
    corruptions: f64,
    lines: usize,
    lost: usize,
}

impl Said {
    /// Whether it said anything; it must not be in one place only.
    fn anything(&self) -> bool {
        assert_eq!(self.corruptions >= 1.0, self.lines >= 1, "{self:?}");
        self.lines >= 1
    }

    fn lines_about(segment: &Path, log: &str) -> usize {
        let name =
            segment.file_name().and_then(|name| name.to_str()).expect("a segment has a name");
        let is_loud = |line: &str| line.contains("level=WARN") || line.contains("level=ERROR");
        log.lines().filter(|line| is_loud(line) && line.contains(name)).count()
    }
}

/// A random place of the log: its segment and the offset in it.
fn any_place(written: &Written, rng: &mut StdRng) -> (usize, u64) {
    let lengths: Vec<u64> = dir::segments(written.place.path())
        .iter()
        .map(|path| path.metadata().expect("the segment is there").len())
        .collect();
    let mut at = rng.random_range(0..lengths.iter().sum());
    for (segment, length) in lengths.into_iter().enumerate() {
        if at < length {
            return (segment, at);
        }
        at -= length;
    }
    unreachable!("the place is within the log");
}

#[test]
fn a_log_cut_anywhere_in_its_last_page_gives_what_stood_before() {
    let written = Written::new();
    let mut rng = seeded("cuts");
    let segments = dir::segments(written.place.path());
    let last = segments.len() - 1;
    let length = segments[last].metadata().expect("the segment is there").len();
    let page = (length - 1) / damage::PAGE * damage::PAGE;
    let records = damage::records(&segments[last]);
    for _ in 0..PLACES {
        let offset = rng.random_range(page..length);
        let what = format!("the last segment cut at {offset} of {length}");
        let said = written.read_damaged(last, offset, |path| damage::cut(path, offset), &what);
        // Between two records, nothing is torn.
        let is_torn = records.iter().any(|record| record.start < offset && offset < record.end);
        assert_eq!(said.anything(), is_torn, "{what}: {said:?}");
    }
}

#[test]
fn a_log_with_one_flipped_bit_gives_what_stood_before() {
    let written = Written::new();
    let mut rng = seeded("flips");
    for _ in 0..PLACES {
        let (segment, offset) = any_place(&written, &mut rng);
        let bit = rng.random_range(0..8);
        let what = format!("bit {bit} of byte {offset} of segment {segment} flipped");
        let said =
            written.read_damaged(segment, offset, |path| damage::flip(path, offset, bit), &what);
        // A bit of the type byte may be one that has no meaning; then nothing is missing, and there
        // is nothing to say.
        let may_be_silent =
            damage::is_type_byte(&dir::segments(written.place.path())[segment], offset);
        assert!(said.anything() || (may_be_silent && said.lost == 0), "{what}: {said:?}");
    }
}

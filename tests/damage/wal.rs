//! Corruption of the WAL under the real binary: truncation in the last page, or one flipped bit.
//!
//! narthex starts on each of these directories. It returns no wrong sample, and every sample whose
//! record ends before the corruption. Its log and a metric report the corruption. Offsets are
//! random and the seed is printed; the engine tests cover every offset without a process.

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

/// Number of corruptions of each kind.
const CORRUPTIONS: usize = 25;

/// Data directory of a killed narthex, and the requests that it acknowledged.
struct Written {
    temp_dir: TempDir,
    sent: Samples,
    trail: Vec<Step>,
}

/// End of the WAL when a request was acknowledged.
struct Step {
    request: WriteRequest,
    segment: usize,
    length: u64,
}

impl Written {
    /// Writes with several processes, so that the WAL has several segments. Chunks are cut in
    /// between, so that some are in `chunks_head/`.
    fn new() -> Written {
        let temp_dir = dir::temp();
        let sent = data::assorted(data::HOUR);
        let requests = sent.to_requests(data::HOUR / 60);
        let mut trail = Vec::new();
        for part in requests.chunks(requests.len().div_ceil(3)) {
            let server = Launch::narthex(temp_dir.path()).start();
            for request in part {
                server.remote().write_ok(request);
                let segments = dir::segments(temp_dir.path());
                let newest = segments.last().expect("a segment exists");
                let length = newest.metadata().expect("the segment has metadata").len();
                trail.push(Step { request: request.clone(), segment: segments.len() - 1, length });
            }
            server.kill();
        }
        Written { temp_dir, sent, trail }
    }

    /// Returns the samples whose records end before the offset.
    fn before(&self, segment: usize, offset: u64) -> Samples {
        let mut samples = Samples::new();
        for step in
            self.trail.iter().filter(|step| (step.segment, step.length) <= (segment, offset))
        {
            samples.add_request(&step.request);
        }
        samples
    }

    /// Starts narthex on a copy with one changed segment and compares its samples with the sent
    /// ones.
    fn read_corrupted(
        &self,
        segment: usize,
        offset: u64,
        change: impl FnOnce(&Path),
        context: &str,
    ) -> CorruptionReport {
        let copy = dir::copy_to_temp(self.temp_dir.path());
        let path = &dir::segments(copy.path())[segment];
        change(path);
        let server = Launch::narthex(copy.path()).start();
        let returned = server.remote().read_all();
        returned.assert_within(&self.sent, context);
        let lost = self.before(segment, offset).beyond(&returned);
        assert!(lost.count() == 0, "{context}: samples before the corruption are lost: {lost:?}");
        let corruptions = Metrics::of(&server.http).sum("prometheus_tsdb_wal_corruptions_total");
        let log = self.write_after_repair(server, copy.path(), &returned, context);
        CorruptionReport {
            corruptions: corruptions.expect("the metric exists"),
            lines: CorruptionReport::lines_about(path, &log),
            lost: self.sent.count() - returned.count(),
        }
    }

    /// Writes a sample after the repair and restarts: the sample and the `found` ones are stored,
    /// and nothing is repaired again. Returns the log of the first server.
    fn write_after_repair(
        &self,
        server: Server,
        data: &Path,
        found: &Samples,
        context: &str,
    ) -> String {
        let newest = self.sent.max_time().expect("samples were sent");
        let another = WriteRequest::one(&[("__name__", "another")], &[(newest + 1, 1.0)]);
        server.remote().write_ok(&another);
        let mut expected = found.clone();
        expected.add_request(&another);
        server.assert_holds(&expected, &format!("{context}, with another sample"));
        let log = server.kill();

        let server = Launch::narthex(data).start();
        server.assert_holds(&expected, &format!("{context}, after another start"));
        let corruptions = Metrics::of(&server.http).sum("prometheus_tsdb_wal_corruptions_total");
        assert_eq!(corruptions, Some(0.0), "{context}, after another start");
        server.stop();
        log
    }
}

/// Report of a corruption: value of the metric, and number of warnings and errors in the log that
/// name the segment.
#[derive(Debug)]
struct CorruptionReport {
    corruptions: f64,
    lines: usize,
    /// Number of missing samples.
    lost: usize,
}

impl CorruptionReport {
    /// Returns `true` if the corruption is reported. Log and metric must agree.
    fn is_reported(&self) -> bool {
        assert_eq!(self.corruptions >= 1.0, self.lines >= 1, "{self:?}");
        self.lines >= 1
    }

    fn lines_about(segment: &Path, log: &str) -> usize {
        let name =
            segment.file_name().and_then(|name| name.to_str()).expect("a segment has a name");
        let is_warning = |line: &str| line.contains("level=WARN") || line.contains("level=ERROR");
        log.lines().filter(|line| is_warning(line) && line.contains(name)).count()
    }
}

/// Returns a random segment of the WAL and a random offset in it.
fn random_offset(written: &Written, rng: &mut StdRng) -> (usize, u64) {
    let lengths: Vec<u64> = dir::segments(written.temp_dir.path())
        .iter()
        .map(|path| path.metadata().expect("the segment has metadata").len())
        .collect();
    let mut at = rng.random_range(0..lengths.iter().sum());
    for (segment, length) in lengths.into_iter().enumerate() {
        if at < length {
            return (segment, at);
        }
        at -= length;
    }
    unreachable!("the offset is within the WAL");
}

#[test]
fn wal_truncated_in_last_page_keeps_earlier_records() {
    let written = Written::new();
    let mut rng = seeded("cuts");
    let segments = dir::segments(written.temp_dir.path());
    let last = segments.len() - 1;
    let length = segments[last].metadata().expect("the segment has metadata").len();
    let page = (length - 1) / damage::PAGE * damage::PAGE;
    let records = damage::records(&segments[last]);
    for _ in 0..CORRUPTIONS {
        let offset = rng.random_range(page..length);
        let context = format!("last segment truncated at {offset} of {length}");
        let report =
            written.read_corrupted(last, offset, |path| damage::cut(path, offset), &context);
        // No record is torn between two records.
        let is_torn = records.iter().any(|record| record.start < offset && offset < record.end);
        assert_eq!(report.is_reported(), is_torn, "{context}: {report:?}");
    }
}

#[test]
fn wal_with_flipped_bit_keeps_earlier_records() {
    let written = Written::new();
    let mut rng = seeded("flips");
    for _ in 0..CORRUPTIONS {
        let (segment, offset) = random_offset(&written, &mut rng);
        let bit = rng.random_range(0..8);
        let context = format!("bit {bit} of byte {offset} of segment {segment} flipped");
        let report = written.read_corrupted(
            segment,
            offset,
            |path| damage::flip(path, offset, bit),
            &context,
        );
        // Some bits of the type byte have no meaning: then nothing is lost and nothing reported.
        let may_be_silent =
            damage::is_type_byte(&dir::segments(written.temp_dir.path())[segment], offset);
        assert!(
            report.is_reported() || (may_be_silent && report.lost == 0),
            "{context}: {report:?}"
        );
    }
}

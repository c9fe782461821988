//! Directories that Prometheus 3.14.0 wrote, Debian's version not being able to read some of them: narthex finds in them every
//! float sample that 3.14.0 finds, in blocks and in the head, bit for bit, and no other.
//!
//! `tests/golden/README.md` says how they were made. Native histograms are not compared. What was late when it was written and
//! still lies in `wbl/` is not read yet: [`late_floats`] takes from that log which samples these are.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use narthex::tsdb::wal::reader::SegmentReader;
use narthex::tsdb::wal::record::kind::RecordKind;
use narthex::tsdb::wal::record::samples::SamplesDecoder;
use narthex::tsdb::wal::record::series::SeriesDecoder;
use narthex::tsdb::wal::segment::list_segments;

use support::launch::Launch;
use support::samples::{LabelSet, Samples};
use support::{dir, export, golden};

/// Reads a case through the real binary, and once more after a restart on what it left behind.
fn is_read_as_by_prometheus(case: &str) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let expected = golden::expected_floats(case);
    read_twice(&data, case, |returned, what| returned.assert_equals(&expected, what));
}

/// Starts narthex on a directory twice and shows what it reads and exports.
fn read_twice(data: &Path, case: &str, check: impl Fn(&Samples, &str)) {
    for time in ["first", "second"] {
        let server = Launch::narthex(data).start();
        check(&server.remote().read_all(), &format!("{case}, {time} start"));
        check(&export::export_all(&server.http), &format!("{case}, exported at the {time} start"));
        server.stop();
    }
}

/// The same for a case with late samples, of which those that are in `wbl/` alone are left out.
fn is_read_but_for_what_is_in_the_wbl(case: &str) -> usize {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let late = late_floats(&data);
    let is_late = |labels: &LabelSet, t: i64| late.contains(&(labels.clone(), t));
    let expected = golden::expected_floats(case);
    let required = expected.filter(|labels, t| !is_late(labels, t));
    read_twice(&data, case, |returned, what| {
        let returned = with_late_values(returned, &expected);
        let missing = required.beyond(&returned);
        assert!(missing.count() == 0, "{what}: missing {missing:?}");
        returned.assert_within(&expected, what);
    });
    let left_out = expected.count() - required.count();
    println!("{case}: {left_out} of {} floats are in wbl/ alone", expected.count());
    left_out
}

/// The series and times of the floats that a directory's `wbl/` has.
fn late_floats(data: &Path) -> BTreeSet<(LabelSet, i64)> {
    let mut series = BTreeMap::new();
    for record in records(&data.join("wal")).iter().filter(|record| RecordKind::of(record) == RecordKind::Series) {
        for entry in SeriesDecoder::new(record).expect("it is a series record") {
            let entry = entry.expect("the record is whole");
            let labels: LabelSet =
                entry.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            series.insert(entry.series, labels);
        }
    }
    let mut late = BTreeSet::new();
    for record in records(&data.join("wbl")).iter().filter(|record| RecordKind::of(record) == RecordKind::Samples) {
        for sample in SamplesDecoder::new(record).expect("it is a record of samples") {
            let sample = sample.expect("the record is whole");
            late.insert((series[&sample.series].clone(), sample.sample.t));
        }
    }
    late
}

fn records(log: &Path) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for segment in list_segments(log).expect("the log can be listed") {
        let mut reader = SegmentReader::open(segment).expect("the segment can be opened");
        while let Some(record) = reader.next_record().expect("the segment is whole") {
            records.push(record.to_vec());
        }
    }
    records
}

/// Of `golden_ooo_same_time` some samples were sent twice, late with 1000 more; either is right. The late one for both.
fn with_late_values(returned: &Samples, expected: &Samples) -> Samples {
    let same_time = [("__name__".to_owned(), "golden_ooo_same_time".to_owned())];
    let mut changed = Samples::new();
    for (labels, t, bits) in returned.iter() {
        let late = (f64::from_bits(bits) + 1000.0).to_bits();
        let is_other = labels.as_slice() == same_time.as_slice() && expected.get(labels, t) == Some(late);
        changed.add(labels, t, if is_other { late } else { bits });
    }
    changed
}

#[test]
fn a_log_of_floats_after_a_kill() {
    is_read_as_by_prometheus("wal-killed");
}

#[test]
fn an_uncompressed_log() {
    is_read_as_by_prometheus("wal-uncompressed");
}

#[test]
fn a_log_compressed_with_zstd() {
    is_read_as_by_prometheus("wal-zstd");
}

#[test]
fn a_log_cut_off_in_its_last_record() {
    is_read_as_by_prometheus("torn-tail");
}

#[test]
fn a_log_whose_end_is_zeros() {
    is_read_as_by_prometheus("torn-zeroed-tail");
}

#[test]
fn a_log_with_a_flipped_bit_in_its_last_segment() {
    is_read_as_by_prometheus("torn-bitflip-last-segment");
}

#[test]
fn a_log_with_a_flipped_bit_in_a_segment_before_others() {
    is_read_as_by_prometheus("torn-bitflip-first-segment");
}

#[test]
fn blocks_a_checkpoint_and_the_head_after_a_clean_stop() {
    is_read_as_by_prometheus("blocks-clean");
}

#[test]
fn the_floats_of_blocks_a_checkpoint_and_the_head_after_a_kill() {
    is_read_as_by_prometheus("blocks-killed-after-compaction");
}

#[test]
fn the_floats_of_a_log_with_every_type_of_record() {
    is_read_as_by_prometheus("all-types-killed");
}

#[test]
fn the_floats_of_blocks_and_a_log_with_start_timestamps() {
    is_read_as_by_prometheus("start-timestamps");
}

#[test]
fn floats_of_the_newer_encoding_in_blocks_and_head() {
    is_read_as_by_prometheus("xor2");
}

#[test]
fn floats_of_both_encodings_in_one_block() {
    is_read_as_by_prometheus("xor2-switched");
}

#[test]
fn deletions_in_a_block_and_in_the_log_after_a_kill() {
    is_read_as_by_prometheus("deletes");
}

#[test]
fn deletions_that_were_cleaned_from_the_block() {
    is_read_as_by_prometheus("deletes-cleaned");
}

#[test]
fn a_snapshot_of_the_admin_call() {
    is_read_as_by_prometheus("snapshot-admin");
}

#[test]
fn a_snapshot_of_the_head_at_a_clean_stop() {
    is_read_as_by_prometheus("snapshot-on-shutdown");
}

#[test]
fn late_floats_that_were_compacted() {
    assert_eq!(is_read_but_for_what_is_in_the_wbl("ooo-compacted"), 0);
}

#[test]
fn late_floats_in_blocks_that_overlap_others() {
    assert_eq!(is_read_but_for_what_is_in_the_wbl("ooo-compacted-overlapping"), 0);
}

#[test]
fn what_was_in_order_beside_late_floats() {
    assert!(is_read_but_for_what_is_in_the_wbl("ooo-killed") > 0);
}

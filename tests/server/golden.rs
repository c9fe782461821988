//! Directories that Prometheus 3.14.0 wrote, Debian's version not being able to read some of them:
//! narthex finds in them every value that 3.14.0 finds, floats and native histograms, in blocks, in
//! the head, late or not, bit for bit, and no other.
//!
//! `tests/golden/README.md` says how they were made.

use crate::support::launch::Launch;
use crate::support::points::{PointValue, Points};
use crate::support::samples::LabelSet;
use crate::support::{dir, export, golden};

/// Reads a case through the real binary, and once more after a restart on what it left behind.
fn is_read_as_by_prometheus(case: &str) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let expected = golden::expected(case);
    for time in ["first", "second"] {
        let server = Launch::narthex(&data).start();
        let what = format!("{case}, {time} start");
        with_late_values(&server.remote().read_all_points(), &expected)
            .assert_equals(&expected, &what);
        let mut exported = Points::new();
        exported.add_floats(&export::export_all(&server.http));
        let mut floats = Points::new();
        floats.add_floats(&expected.floats());
        with_late_values(&exported, &floats).assert_equals(&floats, &format!("{what}, exported"));
        server.stop();
    }
}

/// Of `golden_ooo_same_time` some samples were sent twice, late with 1000 more; either is right.
/// The late one for both.
fn with_late_values(returned: &Points, expected: &Points) -> Points {
    let same_time = [("__name__".to_owned(), "golden_ooo_same_time".to_owned())];
    let late = |labels: &LabelSet, t: i64, value: &PointValue| match value {
        PointValue::Float(bits) if labels.as_slice() == same_time.as_slice() => {
            let late = PointValue::Float((f64::from_bits(*bits) + 1000.0).to_bits());
            Some(late).filter(|late| expected.get(labels, t) == Some(late))
        }
        _ => None,
    };
    let mut changed = Points::new();
    for (labels, t, value) in returned.iter() {
        changed.add(labels, t, late(labels, t, value).unwrap_or_else(|| value.clone()));
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
fn blocks_a_checkpoint_and_the_head_after_a_kill() {
    is_read_as_by_prometheus("blocks-killed-after-compaction");
}

#[test]
fn a_log_with_every_type_of_record() {
    is_read_as_by_prometheus("all-types-killed");
}

#[test]
fn blocks_and_a_log_with_start_timestamps() {
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
fn late_samples_that_were_compacted() {
    is_read_as_by_prometheus("ooo-compacted");
}

#[test]
fn late_samples_in_blocks_that_overlap_others() {
    is_read_as_by_prometheus("ooo-compacted-overlapping");
}

#[test]
fn late_samples_in_their_log_and_in_chunks_of_the_head() {
    is_read_as_by_prometheus("ooo-killed");
}

#[test]
fn what_was_scraped_with_stale_markers_of_histograms() {
    is_read_as_by_prometheus("scrape");
}

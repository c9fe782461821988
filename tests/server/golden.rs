//! Directories of Prometheus 3.14.0, some of which Debian's version cannot read. narthex returns
//! the samples that 3.14.0 returns, bit for bit: floats and native histograms, in blocks and head,
//! in order and out of order.
//!
//! `tests/golden/README.md` has their origin.

use crate::support::launch::Launch;
use crate::support::points::{PointValue, Points};
use crate::support::samples::LabelSet;
use crate::support::{dir, export, golden};

/// Reads a case with the real binary, and again after a restart on the same directory.
fn assert_read_as_prometheus(case: &str) {
    let temp_dir = dir::temp();
    let data = golden::unpack(case, temp_dir.path());
    let expected = golden::expected(case);
    for time in ["first", "second"] {
        let server = Launch::narthex(&data).start();
        let context = format!("{case}, {time} start");
        with_ooo_values(&server.remote().read_all_points(), &expected)
            .assert_equals(&expected, &context);
        let mut exported = Points::new();
        exported.add_floats(&export::export_all(&server.http));
        let mut floats = Points::new();
        floats.add_floats(&expected.floats());
        with_ooo_values(&exported, &floats).assert_equals(&floats, &format!("{context}, exported"));
        server.stop();
    }
}

/// Replaces samples of `golden_ooo_same_time` by those that were sent out of order with 1000 added.
/// Both values are valid.
fn with_ooo_values(returned: &Points, expected: &Points) -> Points {
    let same_time = [("__name__".to_owned(), "golden_ooo_same_time".to_owned())];
    let ooo_value = |labels: &LabelSet, t: i64, value: &PointValue| match value {
        PointValue::Float(bits) if labels.as_slice() == same_time.as_slice() => {
            let ooo = PointValue::Float((f64::from_bits(*bits) + 1000.0).to_bits());
            Some(ooo).filter(|ooo| expected.get(labels, t) == Some(ooo))
        }
        _ => None,
    };
    let mut changed = Points::new();
    for (labels, t, value) in returned.iter() {
        changed.add(labels, t, ooo_value(labels, t, value).unwrap_or_else(|| value.clone()));
    }
    changed
}

#[test]
fn wal_of_floats_after_kill_is_read() {
    assert_read_as_prometheus("wal-killed");
}

#[test]
fn uncompressed_wal_is_read() {
    assert_read_as_prometheus("wal-uncompressed");
}

#[test]
fn zstd_wal_is_read() {
    assert_read_as_prometheus("wal-zstd");
}

#[test]
fn wal_with_torn_tail_is_read() {
    assert_read_as_prometheus("torn-tail");
}

#[test]
fn wal_with_zeroed_tail_is_read() {
    assert_read_as_prometheus("torn-zeroed-tail");
}

#[test]
fn wal_with_flipped_bit_in_last_segment_is_read() {
    assert_read_as_prometheus("torn-bitflip-last-segment");
}

#[test]
fn wal_with_flipped_bit_in_first_segment_is_read() {
    assert_read_as_prometheus("torn-bitflip-first-segment");
}

#[test]
fn blocks_checkpoint_and_head_after_shutdown_are_read() {
    assert_read_as_prometheus("blocks-clean");
}

#[test]
fn blocks_checkpoint_and_head_after_kill_are_read() {
    assert_read_as_prometheus("blocks-killed-after-compaction");
}

#[test]
fn wal_with_all_record_types_is_read() {
    assert_read_as_prometheus("all-types-killed");
}

#[test]
fn blocks_and_wal_with_start_timestamps_are_read() {
    assert_read_as_prometheus("start-timestamps");
}

#[test]
fn xor2_chunks_in_blocks_and_head_are_read() {
    assert_read_as_prometheus("xor2");
}

#[test]
fn xor_and_xor2_chunks_in_one_block_are_read() {
    assert_read_as_prometheus("xor2-switched");
}

#[test]
fn deletions_in_block_and_wal_after_kill_are_applied() {
    assert_read_as_prometheus("deletes");
}

#[test]
fn block_with_cleaned_tombstones_is_read() {
    assert_read_as_prometheus("deletes-cleaned");
}

#[test]
fn snapshot_of_admin_api_is_read() {
    assert_read_as_prometheus("snapshot-admin");
}

#[test]
fn chunk_snapshot_is_read() {
    assert_read_as_prometheus("snapshot-on-shutdown");
}

#[test]
fn compacted_ooo_samples_are_read() {
    assert_read_as_prometheus("ooo-compacted");
}

#[test]
fn ooo_samples_in_overlapping_blocks_are_read() {
    assert_read_as_prometheus("ooo-compacted-overlapping");
}

#[test]
fn ooo_samples_in_wbl_and_head_chunks_are_read() {
    assert_read_as_prometheus("ooo-killed");
}

#[test]
fn scraped_stale_markers_of_histograms_are_read() {
    assert_read_as_prometheus("scrape");
}

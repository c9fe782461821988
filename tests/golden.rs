//! Directories that Prometheus 3.14.0 wrote, Debian's version not being able to read some of them: narthex finds in them every
//! float sample that 3.14.0 finds, bit for bit, and no other.
//!
//! `tests/golden/README.md` says how they were made. Blocks are not compared here: of a directory with blocks, what is newer.

mod support;

use support::launch::Launch;
use support::{dir, export, golden};

/// Reads a case through the real binary, and once more after a restart on what it left behind.
fn is_read_as_by_prometheus(case: &str) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let head_begin = golden::newest_block_end(&data).unwrap_or(i64::MIN);
    let expected = golden::expected_floats(case).from(head_begin);
    assert!(expected.count() > 0, "{case} has nothing to compare");
    for time in ["first", "second"] {
        let server = Launch::narthex(&data).start();
        let returned = server.remote().read_all().from(head_begin);
        returned.assert_equals(&expected, &format!("{case}, {time} start"));
        let exported = export::export_all(&server.http).from(head_begin);
        exported.assert_equals(&expected, &format!("{case}, exported at the {time} start"));
        server.stop();
    }
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
fn the_head_behind_blocks_and_a_checkpoint_after_a_clean_stop() {
    is_read_as_by_prometheus("blocks-clean");
}

#[test]
fn the_head_behind_blocks_and_a_checkpoint_after_a_kill() {
    is_read_as_by_prometheus("blocks-killed-after-compaction");
}

#[test]
fn the_floats_of_a_log_with_every_type_of_record() {
    is_read_as_by_prometheus("all-types-killed");
}

#[test]
fn the_floats_of_a_log_with_start_timestamps() {
    is_read_as_by_prometheus("start-timestamps");
}

#[test]
fn floats_whose_full_chunks_are_of_a_newer_encoding_come_from_the_log() {
    is_read_as_by_prometheus("xor2");
}

#[test]
fn floats_of_both_encodings_in_one_directory() {
    is_read_as_by_prometheus("xor2-switched");
}

//! Files on the disk at each fail point of a block. A block is valid only under its name, and a
//! deletion only with its file.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use narthex::model::labels::LabelsBuilder;
use narthex::model::matcher::{MatchType, Matcher};
use narthex::model::time::TimeRange;
use narthex::testing::fail_points;
use narthex::tsdb::block::delete::delete;
use narthex::tsdb::block::meta::{Compaction, list_block_dirs};
use narthex::tsdb::block::open::Block;
use narthex::tsdb::block::ulid::BlockUlid;
use narthex::tsdb::block::verify::verify;
use narthex::tsdb::block::writer::{BlockWriter, NewBlockMeta};
use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::xor::XorChunk;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::query::source::{Chunk, ChunkData};

/// Writes a block of one sample.
fn write_block(parent: &Path) -> PathBuf {
    let ulid = BlockUlid::new(1000).expect("random bytes");
    let mut writer = BlockWriter::create(&OsDisk, parent, ulid).expect("a new directory");
    for symbol in ["a", "b"] {
        writer.add_symbol(symbol).expect("ascending symbols");
    }
    let mut samples = XorChunk::new();
    samples.append(5, 1.0);
    let data = ChunkData::new(samples.into_bytes());
    let chunk =
        Chunk { mint: 5, maxt: 5, encoding: ChunkEncoding::Xor, data, deleted_intervals: None };
    let labels = LabelsBuilder::from_iter([("a", "b")]).build().expect("a label");
    writer.add_series(&labels, &[chunk]).expect("a series");
    let new = NewBlockMeta { min_time: 0, max_time: 10, compaction: Compaction::default() };
    writer.finish(new).expect("a written block").expect("a block with a sample");
    parent.join(ulid.to_string())
}

/// Runs `act` in a thread that pauses at `point`, and `check` while it is paused. The disk is then
/// as a crash at the point would leave it.
fn at_point(point: &str, marker: &Path, act: impl FnOnce() + Send, check: impl FnOnce()) {
    fail_points::arm_from_spec(&format!(
        "{point}@{}=pause:{}",
        fail_points::hits(point_name(point)) + 1,
        marker.display()
    ))
    .expect("a known point");
    thread::scope(|scope| {
        let acting = scope.spawn(act);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !marker.exists() {
            assert!(Instant::now() < deadline && !acting.is_finished(), "{point} is not reached");
            thread::sleep(Duration::from_millis(1));
        }
        check();
        fs::remove_file(marker).expect("the marker exists");
        acting.join().expect("the thread continues");
    });
}

fn point_name(point: &str) -> &'static str {
    fail_points::ALL.iter().find(|known| **known == point).expect("a known point")
}

#[test]
fn block_and_tombstones_are_complete_or_absent() {
    let temp_dir = crate::support::dir::temp();
    let (dir, marker) = (temp_dir.path().join("data"), temp_dir.path().join("marker"));
    fs::create_dir(&dir).expect("a new directory");
    let blocks = || list_block_dirs(&dir).expect("the directory can be listed");
    let write = || drop(write_block(&dir));

    at_point("block.write", &marker, write, || assert_eq!(blocks().len(), 0));
    at_point("block.before_rename", &marker, write, || assert_eq!(blocks().len(), 1));
    at_point("block.after_rename", &marker, write, || {
        assert_eq!(blocks().len(), 3);
        for dir in blocks() {
            Block::open(&dir)
                .and_then(|block| verify(&block))
                .expect("a block with a name is complete");
        }
    });
    assert_eq!(fs::read_dir(&dir).expect("the directory can be listed").count(), 3);

    let block_dir = blocks().remove(0);
    let block = Block::open(&block_dir).expect("a complete block");
    let tombstones =
        || Block::open(&block_dir).expect("a complete block").tombstones().interval_count();
    let matcher = [Matcher::new(MatchType::Equal, "a", "b").expect("a matcher")];
    let delete_sample = || {
        assert_eq!(
            delete(&block, &OsDisk, &matcher, TimeRange::ALL).expect("written tombstones"),
            1
        )
    };
    at_point("tombstones.write", &marker, delete_sample, || {
        assert_eq!((tombstones(), block.tombstones().interval_count()), (0, 0))
    });
    assert_eq!((tombstones(), block.tombstones().interval_count()), (1, 1));
}

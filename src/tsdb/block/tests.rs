//! Tests of blocks: write, read, delete, link, verify.

use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::testing::blocks;
use crate::testing::blocks::{Model, chunk, example, head_block, labels, populated_writer};
use crate::testing::conformance;
use crate::testing::samples;
use crate::testing::samples::seeded_samples;
use crate::tsdb::block::delete::delete;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::hard_link::hard_link_to;
use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::open::Block;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::block::verify::{verify, verify_until_cancelled};
use crate::tsdb::block::writer::BlockWriter;
use crate::tsdb::chunk::xor::XorIter;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::query::source::{BlockSource, QueryError};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn everything() -> [Matcher; 1] {
    [Matcher::new(MatchType::Equal, "no_such_label", "").unwrap()]
}

fn zone(value: &str) -> [Matcher; 1] {
    [Matcher::new(MatchType::Equal, "zone", value).unwrap()]
}

/// Returns all samples of a block that are not deleted, as bits.
fn read(block: &Block) -> Result<BTreeMap<Labels, Vec<(i64, u64)>>, QueryError> {
    let mut found = BTreeMap::new();
    for series in block.select(&everything(), TimeRange::ALL)? {
        let series = series?;
        let mut samples = Vec::new();
        for chunk in &series.chunks {
            let kept =
                |t| chunk.deleted_intervals.as_ref().is_none_or(|deleted| !deleted.contains(t));
            let all = XorIter::new(chunk.data.bytes()).map(|sample| sample.unwrap());
            samples.extend(
                all.filter(|sample| kept(sample.t)).map(|sample| (sample.t, sample.v.to_bits())),
            );
        }
        found.insert(series.labels, samples);
    }
    Ok(found)
}

fn bits(model: &Model) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    let samples = |samples: &Vec<_>| {
        samples
            .iter()
            .map(|sample: &crate::model::float_sample::FloatSample| (sample.t, sample.v.to_bits()))
            .collect()
    };
    model.iter().map(|(labels, list)| (labels.clone(), samples(list))).collect()
}

/// Returns the files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn block_conforms_to_block_source() {
    let parent = tempfile::tempdir().unwrap();
    let block = Block::open(&blocks::write(parent.path(), &example())).unwrap();
    conformance::check(&block, &example());
    let report = verify(&block).unwrap();
    assert_eq!(
        (report.series, report.chunks, report.stored_chunks, report.float_samples),
        (3, 7, 7, 48)
    );
    assert_eq!(report.times, Some(TimeRange::new(1_000_000, 1_340_000)));
    assert_eq!(block.label_names(), ["__name__", "job", "zone"]);
    assert_eq!(block.label_values("zone").unwrap(), ["a", "é"]);
    assert_eq!(
        block.symbols().collect::<Result<Vec<_>, _>>().unwrap(),
        ["__name__", "a", "job", "up", "x", "zone", "é"]
    );
    let lengths =
        files(block.dir()).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert_eq!(block.size_bytes(), lengths);
}

#[test]
fn block_conforms_to_block_source_for_all_value_types() {
    let parent = tempfile::tempdir().unwrap();
    let series = [
        labels(&[("__name__", "up"), ("zone", "a")]),
        labels(&[("__name__", "up"), ("zone", "é")]),
    ];
    let model: BTreeMap<Labels, Vec<Sample>> =
        series.into_iter().zip(1u64..).map(|(l, n)| (l, seeded_samples(n))).collect();
    let ulid = BlockUlid::new(2_000_000).unwrap();
    let mut writer = BlockWriter::create(&OsDisk, parent.path(), ulid).unwrap();
    ["__name__", "a", "up", "zone", "é"]
        .iter()
        .for_each(|symbol| writer.add_symbol(symbol).unwrap());
    for (labels, points) in &model {
        writer.add_series(labels, &samples::chunks(points, samples::PLAIN, 4)).unwrap();
    }
    let meta = writer.finish(head_block(ulid, 0, 2_000_000)).unwrap().unwrap();
    let block = Block::open(&parent.path().join(meta.ulid.to_string())).unwrap();
    conformance::check_points(&block, &model);
    let report = verify(&block).unwrap();
    assert_eq!((report.float_samples, report.histogram_samples), (24, 60));
    assert_eq!((meta.stats.num_float_samples, meta.stats.num_histogram_samples), (24, 60));
}

#[test]
fn writer_counts_samples_and_leaves_four_files() {
    let parent = tempfile::tempdir().unwrap();
    let dir = blocks::write(parent.path(), &example());
    let meta = BlockMeta::read(&dir).unwrap();
    let stats = &meta.stats;
    assert_eq!(
        (stats.num_series, stats.num_chunks, stats.num_samples, stats.num_float_samples),
        (3, 7, 48, 48)
    );
    assert_eq!(
        (stats.num_histogram_samples, stats.num_tombstones, meta.compaction.sources.len()),
        (0, 0, 1)
    );
    let names: Vec<_> =
        files(&dir).iter().map(|path| path.strip_prefix(&dir).unwrap().to_owned()).collect();
    assert_eq!(names, ["chunks/000001", "index", "meta.json", "tombstones"].map(PathBuf::from));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn unfinished_or_empty_block_leaves_no_files() {
    let parent = tempfile::tempdir().unwrap();
    let ulid = BlockUlid::new(5).unwrap();
    let writer = populated_writer(parent.path(), ulid, &example());
    assert!(parent.path().join(format!("{ulid}.tmp-for-creation")).exists());
    drop(writer);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    let mut writer = populated_writer(parent.path(), ulid, &Model::new());
    writer.add_series(&labels(&[("a", "b")]), &[]).unwrap();
    assert_eq!(writer.finish(head_block(ulid, 0, 1)).unwrap(), None);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn cancelled_write_leaves_no_files_and_verify_can_be_cancelled() {
    let parent = tempfile::tempdir().unwrap();
    let ulid = BlockUlid::new(5).unwrap();
    let stopped_at = |times: u32, calls: &Cell<u32>| calls.replace(calls.get() + 1) < times;
    let mut stops = 0;
    loop {
        let calls = Cell::new(0);
        let writer = populated_writer(parent.path(), ulid, &example());
        match writer.finish_while(head_block(ulid, 0, 2_000_000), &|| stopped_at(stops, &calls)) {
            Err(BlockError::Cancelled) => stops += 1,
            finished => break drop(finished.unwrap()),
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0, "after {stops}");
    }
    assert!(stops > 3, "{stops}");
    let block = Block::open(&parent.path().join(ulid.to_string())).unwrap();
    let is_stopped = |times: &u32| {
        let calls = Cell::new(0);
        matches!(
            verify_until_cancelled(&block, &|| stopped_at(*times, &calls)),
            Err(BlockError::Cancelled)
        )
    };
    // Checked at least for each series of the index and each chunk of the segments.
    assert!((0..).take_while(is_stopped).count() > 3 + 7);
    verify(&block).unwrap();
}

#[test]
fn invalid_block_input_is_rejected() {
    let parent = tempfile::tempdir().unwrap();
    let (model, ulid) = (example(), BlockUlid::new(5).unwrap());
    let assert_rejected = |result: Result<(), BlockError>| {
        assert!(matches!(result, Err(BlockError::InvalidInput(_))), "{result:?}")
    };
    let samples = model.values().next().unwrap();
    let deleted = crate::tsdb::query::source::Chunk {
        deleted_intervals: Some(Arc::default()),
        ..chunk(samples)
    };
    assert_rejected(
        populated_writer(parent.path(), ulid, &model)
            .add_series(&labels(&[("zone", "é")]), &[deleted]),
    );
    assert_rejected(
        populated_writer(parent.path(), ulid, &model)
            .add_series(&labels(&[("zone", "none")]), &[chunk(samples)]),
    );
    assert_rejected(
        populated_writer(parent.path(), ulid, &model)
            .add_series(model.keys().next().unwrap(), &[chunk(samples)]),
    );
    assert_rejected(
        populated_writer(parent.path(), ulid, &model)
            .add_series(&labels(&[("zone", "é")]), &[chunk(samples), chunk(samples)]),
    );
    assert_rejected(populated_writer(parent.path(), ulid, &model).add_symbol("zzz"));
    fs::create_dir(parent.path().join(ulid.to_string())).unwrap();
    assert!(matches!(
        BlockWriter::create(&OsDisk, parent.path(), ulid),
        Err(BlockError::Exists { .. })
    ));
}

#[test]
fn deletion_is_visible_to_later_reads_and_after_reopening() {
    let parent = tempfile::tempdir().unwrap();
    let mut model = example();
    let dir = blocks::write(parent.path(), &model);
    let block = Block::open(&dir).unwrap();
    let before = block.select(&everything(), TimeRange::ALL).unwrap();
    assert_eq!(delete(&block, &OsDisk, &zone("a"), TimeRange::new(0, 1_004_999)).unwrap(), 1);
    assert_eq!(
        delete(&block, &OsDisk, &everything(), TimeRange::new(1_100_000, 1_204_999)).unwrap(),
        2
    );
    assert_eq!(
        delete(&block, &OsDisk, &zone("none"), TimeRange::ALL).unwrap()
            + delete(&block, &OsDisk, &[], TimeRange::ALL).unwrap(),
        0
    );
    assert!(
        before
            .map(|series| series.unwrap())
            .flat_map(|series| series.chunks)
            .all(|chunk| chunk.deleted_intervals.is_none())
    );
    for (labels, samples) in &mut model {
        let first = labels.get("zone") == Some("a");
        samples.retain(|sample| {
            !(1_100_000..=1_204_999).contains(&sample.t) && (!first || sample.t != 1_000_000)
        });
    }
    for block in [&block, &Block::open(&dir).unwrap()] {
        conformance::check(block, &model);
        assert_eq!(read(block).unwrap(), bits(&model));
        assert_eq!(
            (block.meta().stats.num_tombstones, block.tombstones().interval_count()),
            (3, 3)
        );
        let lengths = files(&dir).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
        assert_eq!(block.size_bytes(), lengths);
        verify(block).unwrap();
    }
    assert_eq!(BlockMeta::read(&dir).unwrap(), *block.meta());
}

#[test]
fn completely_deleted_series_is_skipped_and_labels_remain() {
    let parent = tempfile::tempdir().unwrap();
    let block = Block::open(&blocks::write(parent.path(), &example())).unwrap();
    delete(&block, &OsDisk, &zone("é"), TimeRange::ALL).unwrap();
    let model =
        example().into_iter().filter(|(labels, _)| labels.get("zone") != Some("é")).collect();
    conformance::check(&block, &model);
    assert_eq!(block.label_values("zone").unwrap(), ["a", "é"]);
    let part = block
        .tombstones()
        .iter()
        .next()
        .map(|(_, times)| times.iter().copied().collect::<Vec<_>>());
    assert_eq!(part, Some(vec![TimeRange::new(1_000_000, 1_110_000)]));
}

#[test]
fn hard_linked_snapshot_keeps_its_samples() {
    let parent = tempfile::tempdir().unwrap();
    let snapshots = parent.path().join("snapshots");
    fs::create_dir(&snapshots).unwrap();
    let block = Block::open(&blocks::write(parent.path(), &example())).unwrap();
    delete(&block, &OsDisk, &zone("é"), TimeRange::ALL).unwrap();
    let linked = Block::open(&hard_link_to(&block, &OsDisk, &snapshots).unwrap()).unwrap();
    let before = read(&block).unwrap();
    delete(&block, &OsDisk, &everything(), TimeRange::ALL).unwrap();
    assert_eq!((read(&block).unwrap().len(), read(&linked).unwrap()), (0, before));
    let reopened = Block::open(linked.dir()).unwrap();
    assert_eq!((reopened.tombstones(), reopened.meta()), (linked.tombstones(), linked.meta()));
    assert!(matches!(hard_link_to(&block, &OsDisk, &snapshots), Err(BlockError::Io(_))));
}

#[test]
fn missing_file_is_corruption_except_tombstones() {
    for name in ["index", "meta.json", "chunks/000001", "chunks", "tombstones"] {
        let parent = tempfile::tempdir().unwrap();
        let dir = blocks::write(parent.path(), &example());
        let path = dir.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        match Block::open(&dir).and_then(|block| verify(&block)) {
            Ok(_) => assert_eq!(name, "tombstones"),
            Err(error) => assert!(matches!(error, BlockError::Corrupted(_)), "{name}: {error}"),
        }
    }
}

#[test]
fn every_changed_byte_is_detected_or_harmless() {
    let parent = tempfile::tempdir().unwrap();
    let dir = blocks::write(parent.path(), &example());
    let block = Block::open(&dir).unwrap();
    delete(&block, &OsDisk, &zone("a"), TimeRange::new(1_015_000, 1_034_000)).unwrap();
    let expected = read(&block).unwrap();
    drop(block);
    for path in files(&dir) {
        let whole = fs::read(&path).unwrap();
        let mut unseen = Vec::new();
        for at in 0..whole.len() {
            for change in [1 << (at % 8), 0xff, 0x80] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                // Replaced, not changed in place: a mapping may still exist.
                fs::remove_file(&path).unwrap();
                fs::write(&path, changed).unwrap();
                let what = || format!("{} with byte {at} changed by {change:#x}", path.display());
                let Ok(block) = Block::open(&dir) else { continue };
                match read(&block) {
                    Ok(found) => assert_eq!(found, expected, "{}", what()),
                    Err(error) => drop(error),
                }
                if let Ok(report) = verify(&block) {
                    assert_eq!(
                        (report.series, report.chunks, report.float_samples),
                        (3, 7, 48),
                        "{}",
                        what()
                    );
                    unseen.push(at);
                }
            }
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, &whole).unwrap();
        unseen.dedup();
        println!("{}: {} of {} bytes are not checked", path.display(), unseen.len(), whole.len());
        match path.file_name().unwrap().to_str().unwrap() {
            "000001" => assert_eq!(unseen, [5, 6, 7]),
            "tombstones" => assert!(unseen.is_empty()),
            _ => {}
        }
    }
}

#[test]
fn meta_fields_are_verified_against_content() {
    let parent = tempfile::tempdir().unwrap();
    let dir = blocks::write(parent.path(), &example());
    let text = fs::read_to_string(dir.join("meta.json")).unwrap();
    let outcome = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
        fs::write(dir.join("meta.json"), text.replacen(from, to, 1)).unwrap();
        Block::open(&dir).and_then(|block| verify(&block)).is_ok()
    };
    let wrong = [
        ("\"ulid\": \"0", "\"ulid\": \"1"),
        ("\"version\": 1", "\"version\": 2"),
        ("\"minTime\": 0", "\"minTime\": 2000000"),
        ("\"minTime\": 0", "\"minTime\": 1000001"),
        ("\"maxTime\": 2000000", "\"maxTime\": 1340000"),
        ("\"numSamples\": 48", "\"numSamples\": 47"),
        ("\"numFloatSamples\": 48", "\"numFloatSamples\": 49"),
        ("\"numSeries\": 3", "\"numSeries\": 4"),
        ("\"numChunks\": 7", "\"numChunks\": 8"),
        ("\"numSeries\"", "\"numHistogramSamples\": 1, \"numSeries\""),
    ];
    for (from, to) in wrong {
        assert!(!outcome(from, to), "{to}");
    }
    let unseen = [
        ("\"minTime\": 0", "\"minTime\": 1000000"),
        ("\"maxTime\": 2000000", "\"maxTime\": 1340001"),
        ("\"numFloatSamples\": 48,", ""),
        ("\"numSeries\"", "\"numTombstones\": 9, \"numSeries\""),
        ("\"level\": 1", "\"level\": 2"),
    ];
    for (from, to) in unseen {
        assert!(outcome(from, to), "{to}");
    }
}

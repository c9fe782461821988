//! Tests: the head conforms to the rules of sources.

use crate::model::float_sample::FloatSample;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::sample::Sample;
use crate::testing::conformance;
use crate::testing::samples::seeded_samples;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn head_and_log(dir: &Path) -> (Head, Wal) {
    let policy = CutPolicy { chunk_range_ms: 7_200_000, samples_per_chunk: 10 };
    let (files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
    let head = Head::new(HeadOptions { policy, ..HeadOptions::default() }, files);
    let wal = Wal::open(WalOptions {
        dir: dir.join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    });
    (head, wal.unwrap())
}

fn labels(name: &str, zone: &str) -> Labels {
    LabelsBuilder::from_iter([("__name__", name), ("zone", zone)]).build().unwrap()
}

#[test]
fn head_conforms_to_source() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    let mut expected: BTreeMap<Labels, Vec<FloatSample>> = BTreeMap::new();
    for (name, zone, count) in
        [("up", "a", 1), ("up", "b", 35), ("down", "", 12), ("other", "a", 100)]
    {
        let samples: Vec<_> =
            (0..count).map(|i| FloatSample::new(1_000_000 + i * 15_000, i as f64)).collect();
        let mut appender = HeadAppender::new(&head, &wal);
        appender
            .append_or_create(
                &labels(name, zone),
                samples.iter().copied().map(Sample::from),
                |_, _| panic!("rejected"),
            )
            .unwrap();
        appender.commit().unwrap();
        expected.insert(labels(name, zone), samples);
    }
    conformance::check(&head, &expected);
}

#[test]
fn head_conforms_to_source_with_all_value_types() {
    let dir = tempfile::tempdir().unwrap();
    let (head, wal) = head_and_log(dir.path());
    let mut expected: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for (name, zone, seed) in [("up", "a", 1), ("up", "b", 2), ("down", "", 3)] {
        let samples = seeded_samples(seed);
        let mut appender = HeadAppender::new(&head, &wal);
        let reject = |sample, reason| panic!("{sample:?} was rejected: {reason:?}");
        appender.append_or_create(&labels(name, zone), samples.iter().cloned(), reject).unwrap();
        appender.commit().unwrap();
        expected.insert(labels(name, zone), samples);
    }
    conformance::check_points(&head, &expected);
}

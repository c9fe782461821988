//! Late samples from the appender to readers, over restarts, against a plain model.

use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchKind, Matcher};
use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::model::value::Point;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunks;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::late::Logs;
use crate::tsdb::head::append::{HeadAppender, Rejection};
use crate::tsdb::head::ooo::chunk::CHUNK_POINTS;
use crate::tsdb::head::ooo::replay::{LateReplay, LateReplayReport};
use crate::tsdb::head::ooo::source::{InOrder, OutOfOrderSource};
use crate::tsdb::head::replay::{Replay, ReplayProgress};
use crate::tsdb::head::truncation::Truncation;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::query::select::select;
use crate::tsdb::query::source::BlockSource;
use crate::tsdb::wal::commit::{SyncMode, Wal, WalOptions};
use crate::tsdb::wal::compression::Compression;
use crate::tsdb::wal::reader::SegmentReader;
use crate::tsdb::wal::record::kind::RecordKind;
use crate::tsdb::wal::record::mmap_markers::decode_mmap_markers;
use crate::tsdb::wal::record::samples::SamplesDecoder;
use crate::tsdb::wal::segment::list_segments;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HOUR: i64 = 3_600_000;
const WINDOW: i64 = HOUR / 2;
const START: i64 = 1_000 * HOUR;

/// A head with its logs.
struct Store {
    head: Head,
    wal: Wal,
    wbl: Wal,
    late: LateReplayReport,
}

impl Store {
    /// Rebuilds the head from the directory and opens its logs.
    fn open(dir: &Path) -> Self {
        let (mut files, _) = HeadChunks::open(&dir.join("chunks_head")).unwrap();
        let mut chunks = Vec::new();
        files.for_each(&dir.join("quarantine"), |chunk| chunks.push(chunk)).unwrap();
        let options = HeadOptions {
            policy: CutPolicy { chunk_range_ms: 2 * HOUR, samples_per_chunk: 10 },
            ..HeadOptions::default()
        };
        let head = Head::new(options, files);
        head.set_out_of_order_window(WINDOW);
        let segments = |name| {
            let path: PathBuf = dir.join(name);
            fs::create_dir_all(&path).unwrap();
            list_segments(&path).unwrap()
        };
        let progress = ReplayProgress::default();
        let replayed = Replay::new(&head, chunks.clone()).run(&segments("wal"), 2, &progress);
        assert!(replayed.damage.is_none(), "{:?}", replayed.damage);
        let late = LateReplay::new(&head, &chunks, replayed.aliases).run(&segments("wbl"), &progress);
        assert!(late.damage.is_none(), "{:?}", late.damage);
        let log = |name| {
            let options = WalOptions {
                dir: dir.join(name),
                segment_size: 1 << 20,
                compression: Compression::Snappy,
                sync: SyncMode::Os,
                disk: Arc::new(OsDisk),
            };
            Wal::open(options).unwrap()
        };
        Self { wal: log("wal"), wbl: log("wbl"), late: late.report, head }
    }

    fn appender(&self) -> HeadAppender<'_> {
        HeadAppender::new(&self.head, Logs { wal: &self.wal, wbl: Some(&self.wbl) })
    }

    /// Appends samples of one series in one request, and gives what was refused.
    fn append(&self, series: &str, samples: &[Sample]) -> Vec<(i64, Rejection)> {
        let mut refused = Vec::new();
        let mut appender = self.appender();
        let points = samples.iter().map(|sample| Point::from(*sample));
        appender.append(&labels(series), points, |point, why| refused.push((point.t, why))).unwrap();
        assert_eq!(appender.commit().unwrap().samples as usize, samples.len() - refused.len());
        refused
    }

    fn read(&self) -> BTreeMap<Labels, Vec<(i64, u64)>> {
        read(&self.head)
    }

    /// How many late points are in memory, of all series.
    fn open_points(&self) -> usize {
        let open = |series: &Arc<crate::tsdb::head::series::Series>| {
            series.state.lock().late.as_ref().map_or(0, |late| late.open.points().len())
        };
        self.head.all_series().iter().map(open).sum()
    }
}

fn read(source: &dyn BlockSource) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    let matchers = [Matcher::new(MatchKind::NotEqual, "a", "").unwrap()];
    let series = select(&[source], &matchers, TimeRange::ALL).unwrap().map(|series| series.unwrap());
    series
        .map(|series| {
            let samples = series.samples(TimeRange::ALL).map(|sample| sample.unwrap());
            (series.labels().clone(), samples.map(|sample| (sample.t, sample.v.to_bits())).collect())
        })
        .collect()
}

fn labels(series: &str) -> Labels {
    LabelsBuilder::from_iter([("a", series)]).build().unwrap()
}

fn sample(t: i64, v: i64) -> Sample {
    Sample::new(START + t, v as f64)
}

fn samples(times: impl IntoIterator<Item = i64>) -> Vec<Sample> {
    times.into_iter().map(|t| sample(t, t)).collect()
}

/// The answer that holds exactly these samples of one series.
fn answer(series: &str, mut samples: Vec<Sample>) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    samples.sort_by_key(|sample| sample.t);
    BTreeMap::from([(labels(series), samples.into_iter().map(|sample| (sample.t, sample.v.to_bits())).collect())])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn late_samples_are_taken_within_the_window_and_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    assert_eq!(store.append("x", &samples([WINDOW, 10, 0, 20])), []);
    assert_eq!(
        store.append("x", &samples([-1, -HOUR])),
        [(START - 1, Rejection::TooOld), (START - HOUR, Rejection::TooOld)]
    );
    assert_eq!(store.read(), answer("x", samples([0, 10, 20, WINDOW])));
    assert_eq!(read(&InOrder(&store.head)), answer("x", samples([WINDOW])));
    assert_eq!(store.head.out_of_order_times(), Some(TimeRange::new(START, START + 20)));
    store.head.set_out_of_order_window(0);
    assert_eq!(store.append("x", &samples([5])), [(START + 5, Rejection::OutOfOrder)]);
}

#[test]
fn a_repeated_late_sample_is_stored_and_another_value_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let count = CHUNK_POINTS as i64;
    assert_eq!(store.append("x", &samples((0..40).map(|i| 1_000 + i))), []);
    // In the order chunk, in a chunk of late points that was written, in the open one.
    assert_eq!(store.append("x", &samples(0..count)), []);
    assert_eq!(store.append("x", &samples(100..103)), []);
    assert_eq!(store.open_points(), 3);
    let before = store.wbl.position();
    assert_eq!(store.append("x", &samples([1_000, 1_020, 0, count - 1, 101])), []);
    assert_eq!(store.wbl.position(), before, "nothing was logged");
    let times = [1_000, 1_020, 0, count - 1, 101];
    let others: Vec<Sample> = times.into_iter().map(|t| sample(t, -7)).collect();
    let refused: Vec<_> = others.iter().map(|sample| (sample.t, Rejection::DuplicateTimestamp)).collect();
    assert_eq!(store.append("x", &others), refused);
}

#[test]
fn a_new_series_may_have_late_samples_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("newest", &samples([3 * HOUR]));
    store.head.set_out_of_order_window(3 * HOUR);
    // Older than half a chunk range: not in order, whatever the series has.
    let late = samples((0..100).rev());
    assert_eq!(store.append("late", &late), []);
    assert_eq!(store.append("too old", &samples([-1])), [(START - 1, Rejection::TooOld)]);
    assert_eq!(store.open_points(), 100, "no chunk has a series that the log may not know yet");
    assert_eq!(store.append("late", &samples(100..CHUNK_POINTS as i64 * 4)), []);
    assert_eq!(store.open_points(), 0);
    let expected = answer("late", samples(0..CHUNK_POINTS as i64 * 4));
    assert_eq!(store.read()[&labels("late")], expected[&labels("late")]);
    drop(store);
    let store = Store::open(dir.path());
    assert_eq!(store.read()[&labels("late")], expected[&labels("late")]);
    assert_eq!(store.head.series_count(), 2);
    assert_eq!(store.open_points(), 0);
}

#[test]
fn a_marker_stands_behind_the_points_of_its_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    for series in ["x", "y"] {
        store.append(series, &samples([WINDOW]));
    }
    let count = CHUNK_POINTS as i64;
    let mut appender = store.appender();
    for series in ["x", "y"] {
        let points = samples((0..2 * count + 5).rev()).into_iter().map(Point::from);
        appender.append(&labels(series), points, |_, _| panic!("refused")).unwrap();
    }
    appender.commit().unwrap();
    store.wbl.close().unwrap();
    let mut since: BTreeMap<SeriesRef, Vec<i64>> = BTreeMap::new();
    let mut markers = 0;
    for segment in list_segments(&dir.path().join("wbl")).unwrap() {
        let mut reader = SegmentReader::open(segment).unwrap();
        while let Some(record) = reader.next_record().unwrap() {
            if RecordKind::of(record) == RecordKind::MmapMarkers {
                for marker in decode_mmap_markers(record).unwrap() {
                    let mut points = since.remove(&marker.series).unwrap();
                    points.sort_unstable();
                    let times = points.first().zip(points.last()).map(|(min, max)| (*min, *max));
                    assert_eq!(chunk_times(&store.head, marker.series, marker.chunk), times);
                    assert_eq!(points.len(), CHUNK_POINTS);
                    markers += 1;
                }
            } else {
                for one in SamplesDecoder::new(record).unwrap() {
                    let one = one.unwrap();
                    since.entry(one.series).or_default().push(one.sample.t);
                }
            }
        }
    }
    assert_eq!(markers, 4);
    assert_eq!(since.values().map(Vec::len).collect::<Vec<_>>(), [5, 5]);
}

fn chunk_times(head: &Head, series: SeriesRef, at: HeadChunkRef) -> Option<(i64, i64)> {
    let series = head.all_series().into_iter().find(|one| one.reference == series)?;
    let state = series.state.lock();
    state.late.as_ref()?.mapped.get(at).map(|chunk| (chunk.mint(), chunk.maxt()))
}

#[test]
fn a_crash_between_chunk_and_marker_costs_nothing_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let count = CHUNK_POINTS as i64;
    store.append("x", &samples([WINDOW]));
    store.append("x", &samples(0..count - 1));
    let wbl = dir.path().join("wbl");
    copy(&wbl, before.path());
    store.append("x", &samples([count - 1]));
    assert_eq!(store.open_points(), 0);
    drop(store);
    fs::remove_dir_all(&wbl).unwrap();
    copy(before.path(), &wbl);
    let store = Store::open(dir.path());
    assert_eq!(store.read(), answer("x", samples((0..count).chain([WINDOW]))));
    assert_eq!(store.open_points(), 0, "what the chunk has is not in memory");
}

#[test]
fn a_lost_chunk_file_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let times: Vec<i64> = (0..5 * CHUNK_POINTS as i64).collect();
    store.append("x", &samples([WINDOW]));
    times.chunks(7).for_each(|some| assert_eq!(store.append("x", &samples(some.iter().rev().copied())), []));
    drop(store);
    for _ in 0..2 {
        fs::remove_dir_all(dir.path().join("chunks_head")).unwrap();
        // The second time the markers name other chunks, of files of the same name.
        for _ in 0..2 {
            let store = Store::open(dir.path());
            assert_eq!(store.read(), answer("x", samples(times.iter().copied().chain([WINDOW]))));
            assert_eq!(store.open_points(), 0);
        }
    }
}

#[test]
fn late_samples_of_unknown_series_keep_their_reference() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([WINDOW, 0, 1]));
    drop(store);
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    let store = Store::open(dir.path());
    assert_eq!(store.late.unknown_refs, 2);
    store.append("y", &samples([WINDOW]));
    drop(store);
    let store = Store::open(dir.path());
    assert_eq!(store.read(), answer("y", samples([WINDOW])));
}

#[test]
fn what_came_late_goes_with_its_block_and_later_samples_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([WINDOW]));
    store.append("x", &samples((0..50).rev()));
    let source = OutOfOrderSource::prepare(&store.head).unwrap();
    assert_eq!(source.times(), Some(TimeRange::new(START, START + 49)));
    // Late samples that come while the block is being written.
    store.append("x", &samples(50..50 + CHUNK_POINTS as i64 + 1));
    assert_eq!(read(&source), answer("x", samples(0..50)));
    let drops = store.head.drops();
    let dropped = Truncation::new(&store.head).drop_out_of_order(&source).unwrap();
    assert_eq!((dropped.chunks, dropped.series), (2, 0));
    assert_ne!(store.head.drops(), drops);
    assert_eq!(store.read(), answer("x", samples((50..50 + CHUNK_POINTS as i64 + 1).chain([WINDOW]))));
}

#[test]
fn a_series_lives_as_long_as_it_has_late_samples() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.append("x", &samples([1_000, 0]));
    store.append("y", &samples([8 * HOUR]));
    let truncation = Truncation::new(&store.head);
    truncation.close(START + 2 * HOUR);
    assert_eq!(truncation.drop_before(START + 2 * HOUR).unwrap().series, 0);
    assert_eq!(store.read()[&labels("x")], answer("x", samples([0]))[&labels("x")]);
    let source = OutOfOrderSource::prepare(&store.head).unwrap();
    let dropped = truncation.drop_out_of_order(&source).unwrap();
    assert_eq!((dropped.chunks, dropped.series), (1, 1));
    assert_eq!(store.read(), answer("y", samples([8 * HOUR])));
}

#[test]
fn a_stale_series_with_late_samples_is_not_collected() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let stale = f64::from_bits(crate::model::sample::STALE_NAN_BITS);
    for series in ["late", "not"] {
        store.append(series, &[sample(0, 1), Sample::new(START + 1_000, stale)]);
    }
    let truncation = Truncation::new(&store.head);
    let found = truncation.stale_series();
    assert_eq!(found.len(), 2);
    store.append("late", &samples([500]));
    assert_eq!(truncation.stale_series().len(), 1);
    assert_eq!(truncation.collect_stale(&found, |_| {}), 1);
    assert_eq!(store.head.series_count(), 1);
}

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    /// Samples of one series in one request: time and value of each.
    Append(u8, Vec<(i64, i64)>),
    Restart,
    /// All files of full chunks are lost.
    LoseChunks,
}

fn step() -> impl Strategy<Value = Step> {
    let samples = proptest::collection::vec((0..WINDOW / 1_000, 0i64..3), 1..60);
    prop_oneof![
        20 => (0u8..3, samples).prop_map(|(series, samples)| Step::Append(series, samples)),
        2 => Just(Step::Restart),
        1 => Just(Step::LoseChunks),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_store_holds_what_it_took_whatever_the_order(steps in proptest::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path());
        let mut model: BTreeMap<u8, BTreeMap<i64, i64>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Append(series, found) => {
                    let held = model.entry(series).or_default();
                    let mut expected = Vec::new();
                    for (t, v) in &found {
                        if *held.entry(*t).or_insert(*v) != *v {
                            expected.push((START + t, Rejection::DuplicateTimestamp));
                        }
                    }
                    let found: Vec<Sample> = found.into_iter().map(|(t, v)| sample(t, v)).collect();
                    prop_assert_eq!(store.append(&series.to_string(), &found), expected);
                }
                Step::Restart => {
                    drop(store);
                    store = Store::open(dir.path());
                }
                Step::LoseChunks => {
                    drop(store);
                    fs::remove_dir_all(dir.path().join("chunks_head")).unwrap();
                    store = Store::open(dir.path());
                }
            }
            let all: BTreeMap<Labels, Vec<(i64, u64)>> = model
                .iter()
                .map(|(series, held)| {
                    let samples = held.iter().map(|(t, v)| (START + t, (*v as f64).to_bits())).collect();
                    (labels(&series.to_string()), samples)
                })
                .collect();
            prop_assert_eq!(store.read(), all);
            prop_assert_eq!(store.late.unknown_refs, 0);
        }
    }
}

//! Tests: requests become visible as a whole, whatever happens between their samples and during a
//! read.

use crate::model::float_sample::FloatSample;
use crate::model::histogram::{Histogram, Span};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::{MatchType, Matcher};
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::cut::CutPolicy;
use crate::tsdb::chunk::head_chunks::HeadChunkStore;
use crate::tsdb::fs::os_disk::OsDisk;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::append::wbl_batch::WriteLogs;
use crate::tsdb::head::read::compaction_source::{InOrderSource, OutOfOrderSource};
use crate::tsdb::head::read::reader::HeadReader;
use crate::tsdb::head::read::snapshot::HeadSnapshot;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::head::{Head, HeadOptions};
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkSeries, ChunkSeriesSet};
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use parking_lot::Mutex;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const HOUR: i64 = 3_600_000;
const START: i64 = 1_000 * HOUR;
const SERIES: usize = 4;

/// Head with its logs, and the chunks that stand for its blocks, in the order of their compaction.
struct Store {
    head: Head,
    wal: Wal,
    wbl: Wal,
    blocks: Blocks,
}

type Blocks = Arc<Mutex<Vec<(Labels, Chunk)>>>;

/// View of head and blocks, as a querier has it.
struct View<'a> {
    store: &'a Store,
    /// Number of chunks in blocks that are pinned.
    pinned: usize,
    epoch: u64,
    snapshot: HeadSnapshot<'a>,
}

impl<'a> View<'a> {
    /// Chunks of the blocks that were there at the snapshot.
    fn pinned(&self) -> Vec<(Labels, Chunk)> {
        self.store.blocks.lock()[..self.pinned].to_vec()
    }

    /// Selects all series. Returns those of newer blocks, and those of the head, which are captured
    /// when they are reached.
    fn select(&self) -> [ChunkSeriesSet<'a>; 2] {
        let (blocks, pinned) = (Arc::clone(&self.store.blocks), self.pinned);
        let fallback = Box::new(move |labels: &Labels, range: TimeRange| {
            let blocks = blocks.lock();
            let newer = blocks[pinned..].iter();
            let found = newer.filter(|(of, chunk)| of == labels && chunk.overlaps(range));
            Ok(found.map(|(_, chunk)| chunk.clone()).collect())
        });
        let newer = if self.store.head.truncation_epoch() == self.epoch {
            Vec::new()
        } else {
            self.store.blocks.lock()[pinned..].to_vec()
        };
        let newer = newer
            .into_iter()
            .map(|(labels, chunk)| Ok(ChunkSeries { labels, chunks: vec![chunk] }));
        let head = HeadReader::new(&self.store.head, self.snapshot.clone(), fallback);
        let newer = self.snapshot.clone().hide_in_block(Box::new(newer));
        [newer, head.into_series(&all_series(), TimeRange::ALL)]
    }
}

/// Samples of a series by time.
type Content = BTreeMap<i64, u64>;

impl Store {
    fn open(dir: &Path) -> Self {
        let (files, _) = HeadChunkStore::open(Arc::new(OsDisk), &dir.join("chunks_head")).unwrap();
        let policy = CutPolicy { chunk_range_ms: 2 * HOUR, samples_per_chunk: 5 };
        let head = Head::new(HeadOptions { policy, ..HeadOptions::default() }, files);
        head.set_out_of_order_window(HOUR);
        let log = |name| {
            Wal::open(WalOptions {
                dir: dir.join(name),
                segment_size: 1 << 20,
                compression: RecordCompression::None,
                sync: SyncMode::Os,
                disk: Arc::new(OsDisk),
            })
            .unwrap()
        };
        Self { head, wal: log("wal"), wbl: log("wbl"), blocks: Blocks::default() }
    }

    fn appender(&self) -> HeadAppender<'_> {
        HeadAppender::new(&self.head, WriteLogs { wal: &self.wal, wbl: Some(&self.wbl) })
    }

    fn view(&self) -> View<'_> {
        let (epoch, pinned) = (self.head.truncation_epoch(), self.blocks.lock().len());
        View { store: self, pinned, epoch, snapshot: self.head.snapshot() }
    }

    /// Starts a read of all series of the head.
    fn reader(&self) -> ChunkSeriesSet<'_> {
        let [_, head] = self.view().select();
        head
    }

    fn read(&self) -> BTreeMap<Labels, Content> {
        self.reader().map(|series| content(MergedSeries::new(series.unwrap()))).collect()
    }

    /// Moves the in-order samples before `mint`, and the out-of-order samples, to blocks.
    fn compact(&self, mint: i64) {
        let truncation = HeadTruncation::new(&self.head);
        truncation.close_before(mint);
        let ooo = OutOfOrderSource::prepare(&self.head).unwrap();
        self.write_block(&InOrderSource::new(&self.head), mint - 1);
        self.write_block(&ooo, i64::MAX);
        truncation.truncate_before(mint).unwrap();
        truncation.truncate_ooo(&ooo).unwrap();
    }

    fn write_block(&self, source: &dyn BlockSource, maxt: i64) {
        for series in source.select(&all_series(), TimeRange::ALL).unwrap() {
            let series = series.unwrap();
            let chunks = series.chunks.into_iter().filter(|chunk| chunk.maxt <= maxt);
            self.blocks.lock().extend(chunks.map(|chunk| (series.labels.clone(), chunk)));
        }
    }
}

fn all_series() -> [Matcher; 1] {
    [Matcher::new(MatchType::NotEqual, "a", "").unwrap()]
}

fn content(series: MergedSeries) -> (Labels, Content) {
    let samples = series.float_samples(TimeRange::ALL).map(Result::unwrap);
    (series.labels().clone(), samples.map(|sample| (sample.t, sample.v.to_bits())).collect())
}

fn labels(series: usize) -> Labels {
    LabelsBuilder::from_iter([("a", format!("s{series}").as_str())]).build().unwrap()
}

fn append(appender: &mut HeadAppender<'_>, series: usize, sample: FloatSample) -> bool {
    let mut is_stored = true;
    let sample = std::iter::once(Sample::from(sample));
    appender.append_or_create(&labels(series), sample, |_, _| is_stored = false).unwrap();
    is_stored
}

#[derive(Clone, Debug)]
enum Step {
    /// One sample of a request, `later` ms after the newest of its series or before it.
    Append { writer: usize, series: usize, later: i64 },
    /// End of the request, with a commit or by dropping it.
    End { writer: usize, is_committed: bool },
    /// Start of a read.
    Read,
    /// A step of a read: it captures its next series.
    Advance { reader: usize },
    /// Compaction of all samples that are older than the newest by this time, ms.
    Compact { age: i64 },
}

fn arb_steps() -> impl Strategy<Value = Vec<Step>> {
    let later = prop_oneof![6 => 1..1_000i64, 3 => -30_000..0i64, 1 => Just(HOUR / 3)];
    let step = prop_oneof![
        12 => (0..3usize, 0..SERIES, later)
            .prop_map(|(writer, series, later)| Step::Append { writer, series, later }),
        4 => (0..3usize, any::<bool>())
            .prop_map(|(writer, is_committed)| Step::End { writer, is_committed }),
        3 => Just(Step::Read),
        6 => (0..4usize).prop_map(|reader| Step::Advance { reader }),
        2 => (0..HOUR / 2).prop_map(|age| Step::Compact { age }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Request that is being appended.
struct Request<'a> {
    appender: HeadAppender<'a>,
    samples: Vec<(usize, FloatSample)>,
}

/// Read with what it must return.
struct Read<'a> {
    view: View<'a>,
    newer: ChunkSeriesSet<'a>,
    head: ChunkSeriesSet<'a>,
    expected: BTreeMap<Labels, Content>,
    found: BTreeMap<Labels, Vec<Chunk>>,
}

impl<'a> Read<'a> {
    fn begin(view: View<'a>, expected: BTreeMap<Labels, Content>) -> Self {
        let [newer, head] = view.select();
        Self { view, newer, head, expected, found: BTreeMap::new() }
    }

    fn advance(&mut self) -> bool {
        let Some(series) = self.head.next() else { return false };
        let ChunkSeries { labels, chunks } = series.unwrap();
        self.found.entry(labels).or_default().extend(chunks);
        true
    }

    /// Reads the rest. Returns everything that was found and expected.
    fn finish(&mut self) -> [BTreeMap<Labels, Content>; 2] {
        while self.advance() {}
        let pinned = self.view.pinned().into_iter();
        let pinned = pinned.map(|(labels, chunk)| Ok(ChunkSeries { labels, chunks: vec![chunk] }));
        let mut chunks: BTreeMap<Labels, Vec<Chunk>> = BTreeMap::new();
        for series in pinned.chain(&mut self.newer) {
            let series = series.unwrap();
            chunks.entry(series.labels).or_default().extend(series.chunks);
        }
        for (labels, found) in std::mem::take(&mut self.found) {
            chunks.entry(labels).or_default().extend(found);
        }
        let series = chunks.into_iter().map(|(labels, chunks)| ChunkSeries { labels, chunks });
        let contents = series.map(|series| content(MergedSeries::new(series)));
        let found = contents.filter(|(_, samples)| !samples.is_empty()).collect();
        [found, self.expected.clone()]
    }

    /// Finishes the read, selects again from the same view, and checks both.
    fn check(mut self) -> Result<(), TestCaseError> {
        let [found, expected] = self.finish();
        prop_assert_eq!(found, expected);
        let [found, expected] = Self::begin(self.view, self.expected).finish();
        prop_assert_eq!(found, expected, "second selection");
        Ok(())
    }
}

/// Runs the steps on one thread. A step that would wait for another request is left out.
fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let mut writers: Vec<Option<Request<'_>>> = (0..3).map(|_| None).collect();
    let mut reads: Vec<Read<'_>> = Vec::new();
    let mut published: BTreeMap<Labels, Content> = BTreeMap::new();
    let mut newest = [START; SERIES];
    for step in steps {
        match step {
            Step::Append { writer, series, later } => {
                let is_busy = |request: &Option<Request<'_>>| {
                    let touched = request.iter().flat_map(|request| &request.samples);
                    touched.into_iter().any(|(other, _)| *other == series)
                };
                let others = writers.iter().enumerate().filter(|(other, _)| *other != writer);
                if others.into_iter().any(|(_, request)| is_busy(request)) {
                    continue;
                }
                let sample = FloatSample::new(newest[series] + later, f64::from(later as i32));
                let request = writers[writer].get_or_insert_with(|| Request {
                    appender: store.appender(),
                    samples: Vec::new(),
                });
                if append(&mut request.appender, series, sample) {
                    newest[series] = newest[series].max(sample.t);
                    request.samples.push((series, sample));
                }
            }
            Step::End { writer, is_committed } => {
                let Some(Request { appender, samples }) = writers[writer].take() else { continue };
                if is_committed {
                    appender.commit().unwrap();
                } else {
                    drop(appender);
                }
                for (series, sample) in samples {
                    let stored = published.entry(labels(series)).or_default();
                    stored.entry(sample.t).or_insert(sample.v.to_bits());
                }
            }
            Step::Read => {
                if reads.len() < 4 {
                    reads.push(Read::begin(store.view(), published.clone()));
                }
            }
            Step::Advance { reader } => {
                if reader < reads.len() && !reads[reader].advance() {
                    reads.swap_remove(reader).check()?;
                }
            }
            Step::Compact { age } => {
                if writers.iter().all(Option::is_none) {
                    store.compact(newest.iter().max().unwrap() - age);
                }
            }
        }
    }
    reads.into_iter().try_for_each(Read::check)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn reads_see_exactly_the_requests_before_them(steps in arb_steps()) {
        run(steps)?;
    }
}

#[test]
fn dropped_request_becomes_visible_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let mut appender = store.appender();
    assert!(append(&mut appender, 0, FloatSample::new(START, 1.0)));
    assert!(append(&mut appender, 1, FloatSample::new(START, 1.0)));
    assert_eq!(store.read(), BTreeMap::new());
    drop(appender);
    assert_eq!(store.read().len(), 2);
}

#[test]
fn hidden_histograms_of_new_chunks_are_not_returned() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let histogram = |t: i64, buckets: u32| {
        let histogram = Histogram {
            count: buckets.into(),
            sum: 1.0,
            positive_spans: vec![Span { offset: 0, length: buckets }],
            positive_buckets: (0..buckets).map(|n| i64::from(n == 0)).collect(),
            ..Histogram::default()
        };
        Sample::new(START + t, SampleValue::Histogram(Box::new(histogram)))
    };
    let push = |appender: &mut HeadAppender<'_>, samples: Vec<Sample>| {
        let reject = |sample: Sample, reason| panic!("{reason:?} at {}", sample.t);
        appender.append_or_create(&labels(0), samples.into_iter(), reject).unwrap();
    };
    let mut appender = store.appender();
    push(&mut appender, vec![histogram(0, 2), histogram(1, 2)]);
    appender.commit().unwrap();
    let mut appender = store.appender();
    // More buckets extend the open chunk or need a new one, a float needs a new one.
    push(&mut appender, vec![histogram(2, 5), histogram(3, 9)]);
    push(&mut appender, vec![FloatSample::new(START + 4, 1.0).into(), histogram(5, 2)]);
    let times = || -> Vec<i64> {
        let series = store.reader().map(|series| MergedSeries::new(series.unwrap()));
        let times = series.flat_map(|series| {
            let samples = series.samples(TimeRange::ALL).map(|sample| sample.unwrap().t - START);
            samples.collect::<Vec<_>>()
        });
        times.collect()
    };
    assert_eq!(times(), [0, 1]);
    appender.commit().unwrap();
    assert_eq!(times(), [0, 1, 2, 3, 4, 5]);
}

/// Requests on the same series in different orders wait for each other's batches, are logged in
/// parts, and still become visible as a whole.
#[test]
fn contended_requests_become_visible_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    let clock = Mutex::new(START);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (store, clock) = (&store, &clock);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let t = {
                            let mut clock = clock.lock();
                            *clock += 1;
                            *clock
                        };
                        let mut appender = store.appender();
                        for n in 0..SERIES {
                            let series = if writer % 2 == 0 { n } else { SERIES - 1 - n };
                            assert!(append(&mut appender, series, FloatSample::new(t, t as f64)));
                        }
                        appender.commit().unwrap();
                        let read = store.read();
                        assert!(read.values().all(|samples| samples.contains_key(&t)), "{t}");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                let read: Vec<Content> = store.read().into_values().collect();
                assert!(read.windows(2).all(|pair| pair[0] == pair[1]), "{read:?}");
                assert!(read.len() == SERIES || read.iter().all(Content::is_empty), "{read:?}");
            }
        });
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_done.store(true, Ordering::Release);
        results.into_iter().for_each(Result::unwrap);
    });
    assert!(store.read().values().all(|samples| samples.len() == 400));
}

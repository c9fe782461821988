//! The head rebuilt from disk: the full chunks of `chunks_head/`, then the checkpoint, then the log's segments.
//!
//! One thread reads and decodes; samples go to workers by series reference, so that each series is rebuilt by one thread in the
//! order of the log. Full chunks go back to `chunks_head/` as they fill, so memory stays that of a running head.
//!
//! Facts of the format that decide here (`tsdb/head_wal.go` of Prometheus):
//! - chunks in `chunks_head/` hold samples that the log has too: log samples up to a series' last such chunk are passed over;
//! - two references can stand for one set of labels: the later one is an alias;
//! - a series record always stands before what refers to it; what refers to no known series is counted and passed over.
//!
//! - a tombstone over all of time means that the series was collected there: a later record with its labels begins another series;
//! - a collected series and an alias are named by a checkpoint as long as the log has samples of them.
//!
//! Damage ends the replay at the last record before it; what to do with the rest is the caller's ([`Replayed::damage`]).

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::model::value::Point;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::fs::fault;
use crate::tsdb::head::Head;
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::series::{Pushed, Series};
use crate::tsdb::head::truncation::Truncation;
use crate::tsdb::wal::damage::DamageReason;
use crate::tsdb::wal::reader::{ReadError, SegmentReader};
use crate::tsdb::wal::record::exemplars::decode_exemplars;
use crate::tsdb::wal::record::histograms::{decode_float_histograms, decode_histograms};
use crate::tsdb::wal::record::kind::RecordKind;
use crate::tsdb::wal::record::metadata::{RefMetadata, decode_metadata};
use crate::tsdb::wal::record::mmap_markers::decode_mmap_markers;
use crate::tsdb::wal::record::samples::{RefSample, SamplesDecoder};
use crate::tsdb::wal::record::series::SeriesDecoder;
use crate::tsdb::wal::record::tombstones::{RefTombstone, decode_tombstones};
use crate::tsdb::wal::segment::Segment;
use crossbeam_channel::{Receiver, Sender};
use hashbrown::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Instant;

/// Samples are handed to a worker in lots of this size.
const LOT: usize = 4096;
/// Lots that may wait for one worker.
const QUEUED_LOTS: usize = 16;

/// How far a replay is, as `/api/v1/status/walreplay` shows it: numbers of segments.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    /// First segment to read.
    pub min: AtomicI64,
    /// Last segment to read.
    pub max: AtomicI64,
    /// The segment being read.
    pub current: AtomicI64,
}

/// What a replay found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// Samples appended to series.
    pub samples: u64,
    /// Samples passed over because a full chunk has them or they are no newer than what is there.
    pub samples_covered: u64,
    /// Samples before the times that the head takes.
    pub samples_before_head: u64,
    /// Records' entries that refer to no known series, such as samples of one that was deleted.
    pub unknown_refs: u64,
    /// Full chunks of `chunks_head/` whose series no record names.
    pub orphaned_chunks: u64,
    /// Full chunks that do not follow those before them, or that this version can't read; their samples come from the log.
    pub chunks_passed_over: u64,
    /// Series whose full chunks under a second reference replaced what was there.
    pub chunk_overlaps: u64,
    /// Native histograms of the head's time, which this version keeps in the log but does not serve.
    pub histograms_not_served: u64,
    /// Entries of metadata.
    pub metadata: u64,
    /// Those of them of series that are gone.
    pub metadata_unknown: u64,
    /// Entries of other kinds that this version keeps in the log but does not serve: exemplars, late samples.
    pub entries_not_served: u64,
    /// Records of a type newer than this version.
    pub newer_records: u64,
}

/// Rebuilds `head`.
#[derive(Debug)]
pub struct Replay<'a> {
    head: &'a Head,
    chunks: HashMap<SeriesRef, FoundChunks>,
    aliases: HashMap<SeriesRef, SeriesRef>,
    /// The samples of one record; kept for its buffer.
    samples: Vec<RefSample>,
    report: ReplayReport,
}

/// How a replay ended.
#[derive(Debug)]
pub struct Replayed {
    /// What was found.
    pub report: ReplayReport,
    /// The damage before which it stopped.
    pub damage: Option<ReadError>,
}

/// The full chunks of one reference, in the order of the files.
#[derive(Debug, Default)]
struct FoundChunks {
    chunks: Vec<MappedChunk>,
    /// A chunk did not follow the one before it, or is unreadable: it and all later ones were left out.
    broken: bool,
}

/// What a worker gets.
enum Work {
    /// A series that the log names for the first time.
    Series(Arc<Series>),
    /// A series that is known and the full chunks that were written under one of its references.
    Chunks(Arc<Series>, Vec<MappedChunk>),
    Samples(Vec<LogSample>),
    /// A series that was collected at this place of the log.
    Collected(Arc<Series>),
}

/// Rebuilds the series whose references fall to it.
struct Worker<'a> {
    head: &'a Head,
    series: HashMap<SeriesRef, Arc<Series>>,
    /// Series with sealed chunks, since the last lot.
    sealed: Vec<Arc<Series>>,
    done: WorkDone,
}

/// A sample as the log has it.
#[derive(Clone, Copy)]
struct LogSample {
    series: SeriesRef,
    sample: Sample,
}

/// What a worker did.
#[derive(Default)]
struct WorkDone {
    samples: u64,
    covered: u64,
    unknown: u64,
    chunks_passed_over: u64,
    chunk_overlaps: u64,
    min_time: i64,
    max_time: i64,
    collected: Vec<Arc<Series>>,
    /// Series that became stale less those that came back.
    stale: i64,
}

/// The workers of one pass over the log.
struct Workers<'scope> {
    inputs: Vec<Sender<Work>>,
    lots: Vec<Vec<LogSample>>,
    threads: Vec<ScopedJoinHandle<'scope, WorkDone>>,
}

impl<'a> Replay<'a> {
    /// A replay into the empty `head`; `chunks` is what `chunks_head/` holds.
    #[must_use]
    pub fn new(head: &'a Head, chunks: Vec<HeadChunkMeta>) -> Self {
        let mut replay = Self {
            head,
            chunks: HashMap::new(),
            aliases: HashMap::new(),
            samples: Vec::new(),
            report: ReplayReport::default(),
        };
        for chunk in chunks {
            replay.add_chunk(chunk);
        }
        replay
    }

    /// Replays the files in this order: those of the checkpoint, then the segments of the log.
    ///
    /// Ends at the first damage, with everything before it replayed.
    #[must_use]
    pub fn run(mut self, files: &[Segment], workers: usize, progress: &ReplayProgress) -> Replayed {
        let head = self.head;
        let damage = thread::scope(|scope| {
            let mut workers = Workers::start(scope, head, workers.max(1));
            let damage = files.iter().find_map(|file| self.file(file, &mut workers, progress).err());
            workers.finish(head, &mut self.report);
            let end = head.times.max().unwrap_or(i64::MAX);
            head.collected.lock().extend(self.aliases.keys().map(|alias| (*alias, end)));
            damage
        });
        self.report.orphaned_chunks = self.chunks.values().map(|found| found.chunks.len() as u64).sum();
        Replayed { report: self.report, damage }
    }

    fn add_chunk(&mut self, chunk: HeadChunkMeta) {
        self.head.reserve_ref(chunk.series);
        if chunk.out_of_order {
            self.report.entries_not_served += 1;
        } else if chunk.maxt >= self.head.times.min_valid() {
            let found = self.chunks.entry(chunk.series).or_default();
            found.broken |= found.chunks.last().is_some_and(|last| chunk.mint <= last.maxt());
            if found.broken {
                self.report.chunks_passed_over += 1;
            } else {
                let mapped = MappedChunk::new(chunk.at, chunk.mint, chunk.maxt, chunk.samples, chunk.encoding);
                found.chunks.push(mapped);
            }
        }
    }

    fn file(&mut self, file: &Segment, workers: &mut Workers<'_>, progress: &ReplayProgress) -> Result<(), ReadError> {
        // The files of a checkpoint have numbers of their own, below those of the log.
        progress.current.fetch_max(i64::from(file.number), Ordering::Relaxed);
        let started = Instant::now();
        let mut reader = SegmentReader::open(file.clone())?;
        while let Some(record) = reader.next_record()? {
            fault::point("replay.record");
            if let Err(reason) = self.record(record, workers) {
                return Err(ReadError::Damaged(Box::new(reader.reject(reason))));
            }
        }
        tracing::info!(file = %file.path.display(), duration = ?started.elapsed(), "log file replayed");
        Ok(())
    }

    /// Takes in a whole record, or nothing of it where it does not decode.
    fn record(&mut self, record: &[u8], workers: &mut Workers<'_>) -> Result<(), DamageReason> {
        let not_served = match RecordKind::of(record) {
            RecordKind::Series => {
                let series = SeriesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
                series.iter().for_each(|one| self.series(one.series, &one.labels, workers));
                0
            }
            RecordKind::Samples | RecordKind::SamplesV2 => {
                let mut samples = std::mem::take(&mut self.samples);
                samples.clear();
                SamplesDecoder::new(record)?.try_for_each(|sample| sample.map(|sample| samples.push(sample)))?;
                samples.iter().for_each(|one| self.sample(one.series, one.sample, workers));
                self.samples = samples;
                0
            }
            RecordKind::Tombstones => {
                let stones = decode_tombstones(record)?;
                stones.iter().for_each(|stone| self.tombstone(stone, workers));
                0
            }
            RecordKind::Exemplars => decode_exemplars(record)?.len(),
            RecordKind::Metadata => {
                let entries = decode_metadata(record)?;
                entries.iter().for_each(|entry| self.metadata(entry));
                0
            }
            RecordKind::Histograms | RecordKind::CustomHistograms | RecordKind::HistogramsV2 => {
                self.histograms(decode_histograms(record)?.iter().map(|one| one.t));
                0
            }
            RecordKind::FloatHistograms | RecordKind::CustomFloatHistograms | RecordKind::FloatHistogramsV2 => {
                self.histograms(decode_float_histograms(record)?.iter().map(|one| one.t));
                0
            }
            RecordKind::MmapMarkers => decode_mmap_markers(record)?.len(),
            kind if kind.is_plausibly_newer() => {
                self.report.newer_records += 1;
                0
            }
            RecordKind::Unknown(byte) => return Err(DamageReason::UnknownKind(byte)),
        };
        self.report.entries_not_served += not_served as u64;
        Ok(())
    }

    fn histograms(&mut self, times: impl Iterator<Item = i64>) {
        let min_valid = self.head.times.min_valid();
        self.report.histograms_not_served += times.filter(|t| *t >= min_valid).count() as u64;
    }

    fn metadata(&mut self, entry: &RefMetadata) {
        let series = self.aliases.get(&entry.series).copied().unwrap_or(entry.series);
        self.report.metadata += 1;
        if !self.head.restore_metadata(series, &entry.metadata) {
            self.report.metadata_unknown += 1;
        }
    }

    fn tombstone(&mut self, stone: &RefTombstone, workers: &mut Workers<'_>) {
        let head = self.head;
        head.reserve_ref(stone.series);
        let reference = self.aliases.get(&stone.series).copied().unwrap_or(stone.series);
        let series = head.series.get_by_ref(reference);
        if stone.range == TimeRange::ALL {
            if let Some(series) = series {
                head.series.unlink_labels(&series);
                workers.send(reference, Work::Collected(series));
            }
        } else if stone.range.maxt >= head.times.min_valid() {
            match series {
                Some(_) => head.tombstones.write().add(reference.0, stone.range),
                None => self.report.unknown_refs += 1,
            }
        }
    }

    fn series(&mut self, reference: SeriesRef, labels: &Labels, workers: &mut Workers<'_>) {
        let head = self.head;
        head.reserve_ref(reference);
        if head.series.get_by_ref(reference).is_some_and(|known| known.labels != *labels) {
            // One reference for two series: what follows can belong to one of them only.
            self.report.unknown_refs += 1;
            return;
        }
        let Ok(entry) = head.series.get_or_create(labels, |hash, labels| {
            Ok::<_, Infallible>(Series::new(reference, hash, labels, BatchId::NONE))
        });
        let series = entry.series;
        if entry.created {
            head.postings.add(reference, &series.labels);
            head.stats.series_created.fetch_add(1, Ordering::Relaxed);
        } else if series.reference != reference {
            self.aliases.insert(reference, series.reference);
        }
        if entry.created {
            workers.send(series.reference, Work::Series(Arc::clone(&series)));
        }
        if let Some(found) = self.chunks.remove(&reference) {
            workers.send(series.reference, Work::Chunks(series, found.chunks));
        }
    }

    fn sample(&mut self, reference: SeriesRef, sample: Sample, workers: &mut Workers<'_>) {
        if sample.t < self.head.times.min_valid() {
            self.report.samples_before_head += 1;
            return;
        }
        let series = self.aliases.get(&reference).copied().unwrap_or(reference);
        workers.sample(LogSample { series, sample });
    }
}

impl<'scope> Workers<'scope> {
    fn start<'env>(scope: &'scope Scope<'scope, 'env>, head: &'env Head, count: usize) -> Self {
        let mut workers = Self { inputs: Vec::new(), lots: Vec::new(), threads: Vec::new() };
        for _ in 0..count {
            let (input, work) = crossbeam_channel::bounded(QUEUED_LOTS);
            workers.inputs.push(input);
            workers.lots.push(Vec::with_capacity(LOT));
            workers.threads.push(scope.spawn(move || Worker::new(head).run(&work)));
        }
        workers
    }

    fn index(&self, series: SeriesRef) -> usize {
        (series.0 % self.inputs.len() as u64) as usize
    }

    fn sample(&mut self, sample: LogSample) {
        let index = self.index(sample.series);
        self.lots[index].push(sample);
        if self.lots[index].len() == LOT {
            self.send_lot(index);
        }
    }

    /// Sends `work` on `series` behind the samples that stand before it in the log.
    fn send(&mut self, series: SeriesRef, work: Work) {
        let index = self.index(series);
        self.send_lot(index);
        self.deliver(index, work);
    }

    fn send_lot(&mut self, index: usize) {
        if !self.lots[index].is_empty() {
            let lot = std::mem::replace(&mut self.lots[index], Vec::with_capacity(LOT));
            self.deliver(index, Work::Samples(lot));
        }
    }

    fn deliver(&self, index: usize, work: Work) {
        // A worker ends only when its input does; if it panicked, `finish` says so.
        let _ = self.inputs[index].send(work);
    }

    /// Waits for all work to be done.
    fn finish(mut self, head: &Head, report: &mut ReplayReport) {
        for index in 0..self.inputs.len() {
            self.send_lot(index);
        }
        self.inputs.clear();
        for thread in self.threads {
            match thread.join() {
                Ok(done) => {
                    report.samples += done.samples;
                    report.samples_covered += done.covered;
                    report.unknown_refs += done.unknown;
                    report.chunks_passed_over += done.chunks_passed_over;
                    report.chunk_overlaps += done.chunk_overlaps;
                    head.times.include(done.min_time, done.max_time);
                    head.stats.stale_series.fetch_add(done.stale, Ordering::Relaxed);
                    Truncation::new(head).forget(&done.collected, done.max_time);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }
}

impl<'a> Worker<'a> {
    fn new(head: &'a Head) -> Self {
        let done = WorkDone { min_time: i64::MAX, max_time: i64::MIN, ..WorkDone::default() };
        Self { head, series: HashMap::new(), sealed: Vec::new(), done }
    }

    fn run(mut self, work: &Receiver<Work>) -> WorkDone {
        for work in work {
            match work {
                Work::Series(series) => {
                    self.series.insert(series.reference, series);
                }
                Work::Chunks(series, chunks) => self.chunks(&series, &chunks),
                Work::Collected(series) => self.collect(series),
                Work::Samples(samples) => samples.into_iter().for_each(|sample| self.sample(sample)),
            }
            self.head.mapping.map_sealed(&self.sealed, &self.head.stats);
            self.sealed.clear();
        }
        self.done
    }

    /// Gives a series the full chunks that were found for its reference.
    fn chunks(&mut self, series: &Arc<Series>, chunks: &[MappedChunk]) {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return };
        self.done.see(first.mint());
        self.done.see(last.maxt());
        let mut state = series.state.lock();
        if state.max_time().is_some_and(|max_time| max_time < first.mint()) && state.in_memory_since().is_some() {
            state.seal();
            drop(state);
            self.head.mapping.map_sealed(std::slice::from_ref(series), &self.head.stats);
            state = series.state.lock();
        }
        if !state.sealed().is_empty() {
            // What is older could not be written (the disk is full): these come from the log, which has them all.
            self.done.chunks_passed_over += chunks.len() as u64;
        } else {
            let is_free = state.in_memory_since().is_none_or(|since| last.maxt() < since);
            if !is_free || !state.mapped.merge(chunks) {
                // Under a second reference the series was made anew: as Prometheus has it, the log goes on from its chunks.
                state.replace_by(chunks);
                self.done.chunk_overlaps += 1;
            }
            self.head.stats.chunks_created.fetch_add(chunks.len() as u64, Ordering::Relaxed);
        }
    }

    fn collect(&mut self, series: Arc<Series>) {
        let mut state = series.state.lock();
        state.is_dead = true;
        self.done.stale -= i64::from(state.is_stale());
        state.drop_before(i64::MAX);
        drop(state);
        self.series.remove(&series.reference);
        self.head.series.remove(&series);
        self.done.collected.push(series);
    }

    fn sample(&mut self, LogSample { series, sample }: LogSample) {
        let Some(series) = self.series.get(&series) else {
            self.done.unknown += 1;
            return;
        };
        let mut state = series.state.lock();
        if state.max_time().is_some_and(|max_time| sample.t <= max_time) {
            self.done.covered += 1;
            return;
        }
        self.done.stale += i64::from(sample.is_stale()) - i64::from(state.is_stale());
        let pushed = state.push(&Point::from(sample), &self.head.policy, self.head.float_encoding());
        drop(state);
        match pushed {
            Pushed::IntoOpenChunk => {}
            Pushed::IntoFirstChunk => _ = self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed),
            Pushed::AfterSeal => {
                self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
                self.sealed.push(Arc::clone(series));
            }
        }
        self.done.samples += 1;
        self.done.see(sample.t);
    }
}

impl WorkDone {
    fn see(&mut self, t: i64) {
        self.min_time = self.min_time.min(t);
        self.max_time = self.max_time.max(t);
    }
}

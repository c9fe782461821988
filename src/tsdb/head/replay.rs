//! The head rebuilt from disk: the full chunks of `chunks_head/`, then the checkpoint, then the log's segments.
//!
//! One thread reads and decodes; points go to workers by series reference (`workers`), so that each series is rebuilt by one thread
//! (`worker`) in the order of the log. Full chunks go back to `chunks_head/` as they fill, so memory stays that of a running head.
//!
//! Facts of the format that decide here (`tsdb/head_wal.go` of Prometheus):
//! - chunks in `chunks_head/` hold samples that the log has too: log samples up to a series' last such chunk are passed over;
//! - two references can stand for one set of labels: the later one is an alias;
//! - a series record always stands before what refers to it; what refers to no known series is counted and passed over.
//!
//! - a tombstone over all of time means that the series was collected there: a later record with its labels begins another series;
//! - a collected series and an alias are named by a checkpoint as long as the log has samples of them.
//!
//! Damage ends the replay at the last record before it; what to do with the rest is the caller's ([`ReplayOutcome::damage`]).

mod worker;
mod workers;

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::in_flight::BatchId;
use crate::tsdb::head::replay::worker::{LoggedSample, WorkItem, WorkerStats};
use crate::tsdb::head::replay::workers::WorkerPool;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::truncation::HeadTruncation;
use crate::tsdb::wal::corruption::CorruptionReason;
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::record::exemplars::{RefExemplar, decode_exemplars};
use crate::tsdb::wal::record::histograms::{
    RefHistogram, decode_float_histograms, decode_histograms,
};
use crate::tsdb::wal::record::metadata::{RefMetadata, decode_metadata};
use crate::tsdb::wal::record::mmap_markers::decode_mmap_markers;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::{RefSample, SamplesDecoder};
use crate::tsdb::wal::record::series::SeriesDecoder;
use crate::tsdb::wal::record::tombstones::{RefTombstone, decode_tombstones};
use crate::tsdb::wal::segment::Segment;
use hashbrown::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Instant;

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
    pub samples_in_chunks: u64,
    /// Samples before the times that the head takes.
    pub samples_before_head: u64,
    /// Records' entries that refer to no known series, such as samples of one that was deleted.
    pub unknown_refs: u64,
    /// Full chunks of `chunks_head/` whose series no record names.
    pub orphaned_chunks: u64,
    /// Full chunks that do not follow those before them, or that this version can't read; their samples come from the log.
    pub chunks_skipped: u64,
    /// Series whose full chunks under a second reference replaced what was there.
    pub chunk_overlaps: u64,
    /// Native histograms that contradict themselves, or of a schema that is not known, passed over.
    pub invalid_histograms: u64,
    /// Entries of metadata.
    pub metadata: u64,
    /// Those of them of series that are gone.
    pub metadata_unknown: u64,
    /// Records of a type newer than this version.
    pub unknown_records: u64,
}

/// Rebuilds `head`.
#[derive(Debug)]
pub struct WalReplay<'a> {
    head: &'a Head,
    chunks: HashMap<SeriesRef, DiskChunks>,
    aliases: HashMap<SeriesRef, SeriesRef>,
    /// The samples of one record; kept for its buffer.
    samples: Vec<RefSample>,
    report: ReplayReport,
}

/// How a replay ended.
#[derive(Debug)]
pub struct ReplayOutcome {
    /// What was found.
    pub report: ReplayReport,
    /// The damage before which it stopped.
    pub damage: Option<ReadLogError>,
    /// Second references of series, each with the one that the head has.
    pub aliases: HashMap<SeriesRef, SeriesRef>,
}

/// The full chunks of one reference, in the order of the files.
#[derive(Debug, Default)]
struct DiskChunks {
    chunks: Vec<MappedChunk>,
    /// A chunk did not follow the one before it, or is unreadable: it and all later ones were left out.
    broken: bool,
}

impl<'a> WalReplay<'a> {
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
    /// Ends at the first damage, with everything before it replayed. The caller indexes the series
    /// ([`Head::index_series`]) once those without samples are dropped.
    #[must_use]
    pub fn run(
        mut self,
        files: &[Segment],
        workers: usize,
        progress: &ReplayProgress,
    ) -> ReplayOutcome {
        let head = self.head;
        let damage = thread::scope(|scope| {
            let mut workers = WorkerPool::start(scope, head, workers.max(1));
            let damage = files
                .iter()
                .find_map(|file| self.replay_segment(file, &mut workers, progress).err());
            workers.finish().into_iter().for_each(|done| self.add_worker_stats(done));
            head.record_aliases(self.aliases.keys());
            damage
        });
        self.report.orphaned_chunks =
            self.chunks.values().map(|found| found.chunks.len() as u64).sum();
        ReplayOutcome { report: self.report, damage, aliases: self.aliases }
    }

    fn add_chunk(&mut self, chunk: HeadChunkMeta) {
        self.head.reserve_ref(chunk.series);
        // Chunks of late samples are for the replay of the WBL.
        if !chunk.out_of_order && chunk.maxt >= self.head.times.min_valid() {
            let found = self.chunks.entry(chunk.series).or_default();
            found.broken |= found.chunks.last().is_some_and(|last| chunk.mint <= last.maxt());
            if found.broken {
                self.report.chunks_skipped += 1;
            } else {
                let mapped = MappedChunk::new(
                    chunk.chunk_ref,
                    chunk.mint,
                    chunk.maxt,
                    chunk.samples,
                    chunk.encoding,
                );
                found.chunks.push(mapped);
            }
        }
    }

    fn replay_segment(
        &mut self,
        file: &Segment,
        workers: &mut WorkerPool<'_>,
        progress: &ReplayProgress,
    ) -> Result<(), ReadLogError> {
        // The files of a checkpoint have numbers of their own, below those of the log.
        progress.current.fetch_max(i64::from(file.number), Ordering::Relaxed);
        let started = Instant::now();
        let mut reader = LogSegmentReader::open(file.clone())?;
        while let Some(record) = reader.next_record()? {
            fail_point::hit("replay.record");
            if let Err(reason) = self.replay_record(record, workers) {
                return Err(ReadLogError::Damaged(Box::new(
                    reader.corruption_at_last_record(reason),
                )));
            }
        }
        tracing::info!(file = %file.path.display(), duration = ?started.elapsed(), "log file replayed");
        Ok(())
    }

    /// Takes in a whole record, or nothing of it where it does not decode.
    fn replay_record(
        &mut self,
        record: &[u8],
        workers: &mut WorkerPool<'_>,
    ) -> Result<(), CorruptionReason> {
        match RecordType::from_record(record) {
            RecordType::Series => {
                let series = SeriesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
                series.iter().for_each(|one| self.series(one.series, &one.labels, workers));
            }
            RecordType::Samples | RecordType::SamplesV2 => {
                let mut samples = std::mem::take(&mut self.samples);
                samples.clear();
                SamplesDecoder::new(record)?
                    .try_for_each(|sample| sample.map(|sample| samples.push(sample)))?;
                samples.iter().for_each(|one| {
                    self.replay_sample(one.series, sample_from_record(one), workers)
                });
                self.samples = samples;
            }
            RecordType::Tombstones => {
                let stones = decode_tombstones(record)?;
                stones.iter().for_each(|stone| self.tombstone(stone, workers));
            }
            RecordType::Exemplars => {
                decode_exemplars(record)?.into_iter().for_each(|one| self.exemplar(one));
            }
            RecordType::Metadata => {
                let entries = decode_metadata(record)?;
                entries.iter().for_each(|entry| self.metadata(entry));
            }
            RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
                let histograms = decode_histograms(record)?;
                histograms
                    .into_iter()
                    .for_each(|one| self.histogram(one, SampleValue::Histogram, workers));
            }
            RecordType::FloatHistograms
            | RecordType::CustomFloatHistograms
            | RecordType::FloatHistogramsV2 => {
                let histograms = decode_float_histograms(record)?;
                histograms
                    .into_iter()
                    .for_each(|one| self.histogram(one, SampleValue::FloatHistogram, workers));
            }
            // They belong into the WBL: here one says nothing.
            RecordType::MmapMarkers => drop(decode_mmap_markers(record)?),
            kind if kind.is_plausibly_newer() => self.report.unknown_records += 1,
            RecordType::Unknown(byte) => return Err(CorruptionReason::UnknownKind(byte)),
        }
        Ok(())
    }

    fn histogram<H>(
        &mut self,
        one: RefHistogram<H>,
        value: fn(Box<H>) -> SampleValue,
        workers: &mut WorkerPool<'_>,
    ) {
        let point = Sample {
            start_timestamp: one.start_timestamp,
            t: one.t,
            value: value(Box::new(one.histogram)),
        };
        self.replay_sample(one.series, point, workers);
    }

    /// One that the ring refuses was refused when it was written, too, or would be by the size and the window of today.
    fn exemplar(&mut self, RefExemplar { series, exemplar }: RefExemplar) {
        if exemplar.t < self.head.times.min_valid() {
            return;
        }
        let series = self.aliases.get(&series).copied().unwrap_or(series);
        match self.head.series.get_by_ref(series) {
            Some(series) => _ = self.head.exemplars.add(&series.labels, &exemplar),
            None => self.report.unknown_refs += 1,
        }
    }

    fn metadata(&mut self, entry: &RefMetadata) {
        let series = self.aliases.get(&entry.series).copied().unwrap_or(entry.series);
        self.report.metadata += 1;
        if !self.head.restore_metadata(series, &entry.metadata) {
            self.report.metadata_unknown += 1;
        }
    }

    fn tombstone(&mut self, stone: &RefTombstone, workers: &mut WorkerPool<'_>) {
        let head = self.head;
        head.reserve_ref(stone.series);
        let reference = self.aliases.get(&stone.series).copied().unwrap_or(stone.series);
        let series = head.series.get_by_ref(reference);
        if stone.range == TimeRange::ALL {
            if let Some(series) = series {
                head.series.unlink_labels(&series);
                workers.send(reference, WorkItem::Collected(series));
            }
        } else if stone.range.maxt >= head.times.min_valid() {
            match series {
                Some(_) => head.tombstones.write().add(reference.0, stone.range),
                None => self.report.unknown_refs += 1,
            }
        }
    }

    fn series(&mut self, reference: SeriesRef, labels: &Labels, workers: &mut WorkerPool<'_>) {
        let head = self.head;
        head.reserve_ref(reference);
        if head.series.get_by_ref(reference).is_some_and(|known| known.labels != *labels) {
            // One reference for two series: what follows can belong to one of them only.
            self.report.unknown_refs += 1;
            return;
        }
        let Ok(entry) = head.series.get_or_create(labels, |hash, labels| {
            Ok::<_, Infallible>(HeadSeries::new(reference, hash, labels, BatchId::NONE))
        });
        let series = entry.series;
        if entry.created {
            head.stats.series_created.fetch_add(1, Ordering::Relaxed);
        } else if series.reference != reference {
            self.aliases.insert(reference, series.reference);
        }
        if entry.created {
            workers.send(series.reference, WorkItem::Series(Arc::clone(&series)));
        }
        if let Some(found) = self.chunks.remove(&reference) {
            workers.send(series.reference, WorkItem::Chunks(series, found.chunks));
        }
    }

    fn replay_sample(&mut self, reference: SeriesRef, point: Sample, workers: &mut WorkerPool<'_>) {
        if point.t < self.head.times.min_valid() {
            self.report.samples_before_head += 1;
            return;
        }
        let series = self.aliases.get(&reference).copied().unwrap_or(reference);
        workers.queue_sample(LoggedSample { series, point });
    }

    /// Adds up what a worker did.
    fn add_worker_stats(&mut self, done: WorkerStats) {
        let (head, report) = (self.head, &mut self.report);
        report.samples += done.samples;
        report.samples_in_chunks += done.samples_in_chunks;
        report.unknown_refs += done.unknown;
        report.invalid_histograms += done.bad_histograms;
        report.chunks_skipped += done.chunks_passed_over;
        report.chunk_overlaps += done.chunk_overlaps;
        head.times.extend(done.min_time, done.max_time);
        head.stats.stale_series.fetch_add(done.stale, Ordering::Relaxed);
        HeadTruncation::new(head).unindex(&done.collected, done.max_time);
    }
}

/// A float as the log has it.
#[inline]
fn sample_from_record(one: &RefSample) -> Sample {
    Sample {
        start_timestamp: one.start_timestamp,
        t: one.sample.t,
        value: SampleValue::Float(one.sample.v),
    }
}

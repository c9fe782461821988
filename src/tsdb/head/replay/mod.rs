//! Replay: rebuilds the head from the chunks in `chunks_head/`, the checkpoint and the WAL
//! segments.
//!
//! A single thread reads and decodes. Samples go to workers by series reference (`workers`), so
//! that one thread (`worker`) rebuilds each series in WAL order. Full chunks are written to
//! `chunks_head/` as in a running head, so memory use is the same.
//!
//! | module       | content                                                                |
//! |--------------|------------------------------------------------------------------------|
//! | [`metadata`] | metadata of a head that was loaded from a chunk snapshot               |
//! | [`wbl`]      | out-of-order samples, from `wbl/` and `chunks_head/`                   |
//! | `worker`     | one thread that rebuilds its series                                    |
//! | `workers`    | pool of these threads                                                  |
//!
//! # Format
//! Source: `tsdb/head_wal.go` of Prometheus.
//! - The WAL also has the samples of chunks in `chunks_head/`; those up to the last chunk of a
//!   series are skipped.
//! - Two references can have the same label set; the later one is an alias.
//! - A series record precedes all that refers to it. References to unknown series are counted and
//!   skipped.
//! - A tombstone over all time marks the collection of a series: a later record with its labels
//!   starts a new series.
//! - A checkpoint keeps the records of collected series and aliases while the WAL has samples of
//!   them.
//!
//! # Failure
//! A corruption ends the replay after the last record before it. The caller handles the rest
//! ([`ReplayOutcome::damage`]).

pub mod metadata;
pub mod wbl;
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

/// Progress of a replay in segment numbers, for `/api/v1/status/walreplay`.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    /// First segment to read.
    pub min: AtomicI64,
    /// Last segment to read.
    pub max: AtomicI64,
    /// Segment that is being read.
    pub current: AtomicI64,
}

/// Counts of a WAL replay.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// Samples appended to series.
    pub samples: u64,
    /// Samples skipped because a full chunk has them or the series has newer ones.
    pub samples_in_chunks: u64,
    /// Samples older than the head accepts.
    pub samples_before_head: u64,
    /// Entries that refer to no known series, for example samples of a deleted one.
    pub unknown_refs: u64,
    /// Chunks in `chunks_head/` whose series has no record.
    pub orphaned_chunks: u64,
    /// Chunks in `chunks_head/` that are not in time order or unreadable; their samples come from
    /// the WAL.
    pub chunks_skipped: u64,
    /// Series whose chunks were replaced by those of a second reference.
    pub chunk_overlaps: u64,
    /// Skipped native histograms that are invalid or have an unknown schema.
    pub invalid_histograms: u64,
    /// Metadata entries of all series.
    pub metadata: u64,
    /// Metadata entries of unknown series.
    pub metadata_unknown: u64,
    /// Records of an unknown newer type.
    pub unknown_records: u64,
}

/// Replay of the WAL into a head.
#[derive(Debug)]
pub struct WalReplay<'a> {
    head: &'a Head,
    chunks: HashMap<SeriesRef, DiskChunks>,
    aliases: HashMap<SeriesRef, SeriesRef>,
    /// Samples of the current record; a field to reuse the buffer.
    samples: Vec<RefSample>,
    report: ReplayReport,
}

/// Result of a WAL replay.
#[derive(Debug)]
pub struct ReplayOutcome {
    /// Counts up to the end or the first corruption.
    pub report: ReplayReport,
    /// Corruption at which the replay stopped.
    pub damage: Option<ReadLogError>,
    /// Second references of series, with the reference in the head.
    pub aliases: HashMap<SeriesRef, SeriesRef>,
}

/// Chunks of one reference, in file order.
#[derive(Debug, Default)]
struct DiskChunks {
    chunks: Vec<MappedChunk>,
    /// Whether a chunk was out of order or unreadable; it and all later ones are skipped.
    is_skipping: bool,
}

impl<'a> WalReplay<'a> {
    /// Creates a replay into the empty `head`. `chunks` is the content of `chunks_head/`.
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

    /// Replays the segments in this order: those of the checkpoint, then those of the WAL.
    ///
    /// Stops at the first corruption; all records before it are replayed. The caller indexes the
    /// series ([`Head::index_series`]) after those without samples are dropped.
    #[must_use]
    pub fn run(
        mut self,
        segments: &[Segment],
        workers: usize,
        progress: &ReplayProgress,
    ) -> ReplayOutcome {
        let head = self.head;
        let damage = thread::scope(|scope| {
            let mut workers = WorkerPool::start(scope, head, workers.max(1));
            let damage = segments
                .iter()
                .find_map(|segment| self.replay_segment(segment, &mut workers, progress).err());
            workers.finish().into_iter().for_each(|stats| self.add_worker_stats(stats));
            head.record_aliases(self.aliases.keys());
            damage
        });
        self.report.orphaned_chunks =
            self.chunks.values().map(|found| found.chunks.len() as u64).sum();
        ReplayOutcome { report: self.report, damage, aliases: self.aliases }
    }

    fn add_chunk(&mut self, chunk: HeadChunkMeta) {
        self.head.reserve_ref(chunk.series);
        // The WBL replay attaches out-of-order chunks.
        if !chunk.out_of_order && chunk.maxt >= self.head.times.min_valid() {
            let found = self.chunks.entry(chunk.series).or_default();
            found.is_skipping |= found.chunks.last().is_some_and(|last| chunk.mint <= last.maxt());
            if found.is_skipping {
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
        segment: &Segment,
        workers: &mut WorkerPool<'_>,
        progress: &ReplayProgress,
    ) -> Result<(), ReadLogError> {
        // Checkpoint segments have numbers of their own, below those of the WAL.
        progress.current.fetch_max(i64::from(segment.number), Ordering::Relaxed);
        let started = Instant::now();
        let mut reader = LogSegmentReader::open(segment.clone())?;
        while let Some(record) = reader.next_record()? {
            fail_point::hit("replay.record");
            if let Err(reason) = self.replay_record(record, workers) {
                return Err(ReadLogError::Damaged(Box::new(
                    reader.corruption_at_last_record(reason),
                )));
            }
        }
        tracing::info!(
            path = %segment.path.display(),
            duration = ?started.elapsed(),
            "replayed WAL segment"
        );
        Ok(())
    }

    /// Replays a complete record, or nothing of it if it does not decode.
    fn replay_record(
        &mut self,
        record: &[u8],
        workers: &mut WorkerPool<'_>,
    ) -> Result<(), CorruptionReason> {
        match RecordType::from_record(record) {
            RecordType::Series => {
                let series = SeriesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
                series
                    .iter()
                    .for_each(|entry| self.replay_series(entry.series, &entry.labels, workers));
            }
            RecordType::Samples | RecordType::SamplesV2 => {
                let mut samples = std::mem::take(&mut self.samples);
                samples.clear();
                SamplesDecoder::new(record)?
                    .try_for_each(|sample| sample.map(|sample| samples.push(sample)))?;
                samples.iter().for_each(|entry| {
                    self.replay_sample(entry.series, sample_from_record(entry), workers)
                });
                self.samples = samples;
            }
            RecordType::Tombstones => {
                let tombstones = decode_tombstones(record)?;
                tombstones.iter().for_each(|tombstone| self.replay_tombstone(tombstone, workers));
            }
            RecordType::Exemplars => {
                decode_exemplars(record)?.into_iter().for_each(|entry| self.replay_exemplar(entry));
            }
            RecordType::Metadata => {
                let entries = decode_metadata(record)?;
                entries.iter().for_each(|entry| self.replay_metadata(entry));
            }
            RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
                let histograms = decode_histograms(record)?;
                histograms.into_iter().for_each(|entry| {
                    self.replay_histogram(entry, SampleValue::Histogram, workers)
                });
            }
            RecordType::FloatHistograms
            | RecordType::CustomFloatHistograms
            | RecordType::FloatHistogramsV2 => {
                let histograms = decode_float_histograms(record)?;
                histograms.into_iter().for_each(|entry| {
                    self.replay_histogram(entry, SampleValue::FloatHistogram, workers)
                });
            }
            // Belongs in the WBL; ignored here.
            RecordType::MmapMarkers => drop(decode_mmap_markers(record)?),
            record_type if record_type.is_plausibly_newer() => self.report.unknown_records += 1,
            RecordType::Unknown(byte) => return Err(CorruptionReason::UnknownKind(byte)),
        }
        Ok(())
    }

    fn replay_histogram<H>(
        &mut self,
        entry: RefHistogram<H>,
        value: fn(Box<H>) -> SampleValue,
        workers: &mut WorkerPool<'_>,
    ) {
        let sample = Sample {
            start_timestamp: entry.start_timestamp,
            t: entry.t,
            value: value(Box::new(entry.histogram)),
        };
        self.replay_sample(entry.series, sample, workers);
    }

    /// Adds an exemplar. A rejection is ignored: it was rejected when it was written too, or the
    /// size or the window has changed.
    fn replay_exemplar(&mut self, RefExemplar { series, exemplar }: RefExemplar) {
        if exemplar.t < self.head.times.min_valid() {
            return;
        }
        let series = self.aliases.get(&series).copied().unwrap_or(series);
        match self.head.series.get_by_ref(series) {
            Some(series) => _ = self.head.exemplars.add(&series.labels, &exemplar),
            None => self.report.unknown_refs += 1,
        }
    }

    fn replay_metadata(&mut self, entry: &RefMetadata) {
        let series = self.aliases.get(&entry.series).copied().unwrap_or(entry.series);
        self.report.metadata += 1;
        if !self.head.restore_metadata(series, &entry.metadata) {
            self.report.metadata_unknown += 1;
        }
    }

    fn replay_tombstone(&mut self, tombstone: &RefTombstone, workers: &mut WorkerPool<'_>) {
        let head = self.head;
        head.reserve_ref(tombstone.series);
        let reference = self.aliases.get(&tombstone.series).copied().unwrap_or(tombstone.series);
        let series = head.series.get_by_ref(reference);
        if tombstone.range == TimeRange::ALL {
            if let Some(series) = series {
                head.series.unlink_labels(&series);
                workers.send(reference, WorkItem::Collected(series));
            }
        } else if tombstone.range.maxt >= head.times.min_valid() {
            match series {
                Some(_) => head.tombstones.write().add(reference.0, tombstone.range),
                None => self.report.unknown_refs += 1,
            }
        }
    }

    fn replay_series(
        &mut self,
        reference: SeriesRef,
        labels: &Labels,
        workers: &mut WorkerPool<'_>,
    ) {
        let head = self.head;
        head.reserve_ref(reference);
        if head.series.get_by_ref(reference).is_some_and(|existing| existing.labels != *labels) {
            // One reference for two series: later entries can belong to only one of them.
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

    fn replay_sample(
        &mut self,
        reference: SeriesRef,
        sample: Sample,
        workers: &mut WorkerPool<'_>,
    ) {
        if sample.t < self.head.times.min_valid() {
            self.report.samples_before_head += 1;
            return;
        }
        let series = self.aliases.get(&reference).copied().unwrap_or(reference);
        workers.queue_sample(LoggedSample { series, sample });
    }

    /// Adds the counts of a worker.
    fn add_worker_stats(&mut self, stats: WorkerStats) {
        let (head, report) = (self.head, &mut self.report);
        report.samples += stats.samples;
        report.samples_in_chunks += stats.samples_in_chunks;
        report.unknown_refs += stats.unknown_refs;
        report.invalid_histograms += stats.invalid_histograms;
        report.chunks_skipped += stats.chunks_skipped;
        report.chunk_overlaps += stats.chunk_overlaps;
        head.times.extend(stats.min_time, stats.max_time);
        head.stats.stale_series.fetch_add(stats.stale, Ordering::Relaxed);
        HeadTruncation::new(head).unindex(&stats.collected, stats.max_time);
    }
}

/// Converts a float from the WAL to a sample.
#[inline]
fn sample_from_record(entry: &RefSample) -> Sample {
    Sample {
        start_timestamp: entry.start_timestamp,
        t: entry.sample.t,
        value: SampleValue::Float(entry.sample.v),
    }
}

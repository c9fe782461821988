//! WAL replay: rebuilds the head from the chunks in `chunks_head/`, the checkpoint and the WAL
//! segments.
//!
//! A single thread reads and decodes. Samples go to workers by series reference (`workers`), so
//! that one thread (`worker`) rebuilds each series in WAL order. Full chunks are written to
//! `chunks_head/` as in a running head, so memory use is the same.
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
//! ([`ReplayOutcome::corruption`]).

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::replay::disk_chunks::DiskChunks;
use crate::tsdb::head::replay::report::{ReplayOutcome, ReplayProgress, ReplayReport};
use crate::tsdb::head::replay::snapshot_metadata::set_metadata;
use crate::tsdb::head::replay::worker::{LoggedSample, WorkItem, WorkerParts, WorkerStats};
use crate::tsdb::head::replay::workers::WorkerPool;
use crate::tsdb::head::series::map::SeriesLookup;
use crate::tsdb::head::side_data::SideData;
use crate::tsdb::head::times::HeadTimes;
use crate::tsdb::head::tombstones::Tombstone;
use crate::tsdb::head::truncation::collected::CollectedSeries;
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
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

/// Replay of the WAL into a head.
#[derive(Debug)]
pub struct WalReplay<'a> {
    parts: WorkerParts<'a>,
    times: &'a HeadTimes,
    side_data: &'a SideData,
    collected: CollectedSeries<'a>,
    chunks: DiskChunks,
    aliases: HashMap<SeriesRef, SeriesRef>,
    /// Samples of the current record; a field to reuse the buffer.
    samples: Vec<RefSample>,
    report: ReplayReport,
}

impl<'a> WalReplay<'a> {
    /// Creates a replay into the empty `head`. `chunks` is the content of `chunks_head/`.
    #[must_use]
    pub fn new(head: &'a Head, chunks: Vec<HeadChunkMeta>) -> Self {
        let mut replay = Self {
            parts: WorkerParts { series: &head.series, chunks: &head.chunks, stats: &head.stats },
            times: &head.times,
            side_data: &head.side_data,
            collected: CollectedSeries::new(head),
            chunks: DiskChunks::default(),
            aliases: HashMap::new(),
            samples: Vec::new(),
            report: ReplayReport::default(),
        };
        for chunk in chunks {
            replay.add_chunk(&chunk);
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
        let corruption = thread::scope(|scope| {
            let mut workers = WorkerPool::start(scope, self.parts, workers.max(1));
            let corruption = segments
                .iter()
                .find_map(|segment| self.replay_segment(segment, &mut workers, progress).err());
            workers.finish().into_iter().for_each(|stats| self.add_worker_stats(stats));
            corruption
        });
        // The WAL may have samples of the aliases up to the newest one of the head.
        let end = self.times.max().unwrap_or(i64::MAX);
        self.parts.series.wal_expiries().extend(self.aliases.keys().copied(), end);
        self.report.chunks_skipped += self.chunks.skipped();
        self.report.orphaned_chunks = self.chunks.len();
        ReplayOutcome { report: self.report, corruption, aliases: self.aliases }
    }

    fn add_chunk(&mut self, chunk: &HeadChunkMeta) {
        self.parts.series.reserve_ref(chunk.series);
        // The WBL replay attaches out-of-order chunks.
        if !chunk.out_of_order && chunk.maxt >= self.times.min_valid() {
            self.chunks.add(chunk);
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
                return Err(ReadLogError::Corrupted(Box::new(
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
        if exemplar.t < self.times.min_valid() {
            return;
        }
        match self.parts.series.get_by_ref(self.resolve_alias(series)) {
            Some(series) => _ = self.side_data.exemplars.add(&series.labels, &exemplar),
            None => self.report.unknown_refs += 1,
        }
    }

    fn replay_metadata(&mut self, entry: &RefMetadata) {
        let series_ref = self.resolve_alias(entry.series);
        self.report.metadata += 1;
        let pool = &self.side_data.metadata.pool;
        if !set_metadata(self.parts.series, pool, series_ref, &entry.metadata) {
            self.report.metadata_unknown += 1;
        }
    }

    fn replay_tombstone(&mut self, tombstone: &RefTombstone, workers: &mut WorkerPool<'_>) {
        let store = self.parts.series;
        store.reserve_ref(tombstone.series);
        let series_ref = self.resolve_alias(tombstone.series);
        let series = store.get_by_ref(series_ref);
        if tombstone.range == TimeRange::ALL {
            if let Some(series) = series {
                store.unlink_labels(&series);
                workers.send(series_ref, WorkItem::Collected(series));
            }
        } else if tombstone.range.maxt >= self.times.min_valid() {
            let range = tombstone.range;
            match series {
                Some(_) => self.side_data.tombstones.add(&[Tombstone { series_ref, range }]),
                None => self.report.unknown_refs += 1,
            }
        }
    }

    fn replay_series(
        &mut self,
        series_ref: SeriesRef,
        labels: &Labels,
        workers: &mut WorkerPool<'_>,
    ) {
        let store = self.parts.series;
        if store.get_by_ref(series_ref).is_some_and(|existing| existing.labels != *labels) {
            // One reference for two series: later entries can belong to only one of them.
            self.report.unknown_refs += 1;
            return;
        }
        let SeriesLookup { series, created } = store.get_or_restore(series_ref, labels);
        if created {
            self.parts.stats.series_created.fetch_add(1, Ordering::Relaxed);
            workers.send(series_ref, WorkItem::Series(Arc::clone(&series)));
        } else if series.series_ref != series_ref {
            self.aliases.insert(series_ref, series.series_ref);
        }
        if let Some(chunks) = self.chunks.take(series_ref) {
            workers.send(series.series_ref, WorkItem::Chunks(series, chunks));
        }
    }

    fn replay_sample(
        &mut self,
        series_ref: SeriesRef,
        sample: Sample,
        workers: &mut WorkerPool<'_>,
    ) {
        if sample.t < self.times.min_valid() {
            self.report.samples_before_head += 1;
            return;
        }
        let series_ref = self.resolve_alias(series_ref);
        workers.queue_sample(LoggedSample { series_ref, sample });
    }

    fn resolve_alias(&self, series_ref: SeriesRef) -> SeriesRef {
        self.aliases.get(&series_ref).copied().unwrap_or(series_ref)
    }

    /// Adds the counts of a worker.
    fn add_worker_stats(&mut self, stats: WorkerStats) {
        let report = &mut self.report;
        report.samples += stats.samples;
        report.samples_in_chunks += stats.samples_in_chunks;
        report.unknown_refs += stats.unknown_refs;
        report.invalid_histograms += stats.invalid_histograms;
        report.chunks_skipped += stats.chunks_skipped;
        report.chunk_overlaps += stats.chunk_overlaps;
        self.times.extend(stats.min_time, stats.max_time);
        self.parts.stats.stale_series.fetch_add(stats.stale, Ordering::Relaxed);
        self.collected.remove(&stats.collected, stats.max_time);
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

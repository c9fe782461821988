//! Replay of out-of-order samples: chunks in `chunks_head/` with the out-of-order bit, then the
//! segments of `wbl/`.
//!
//! Runs on one thread, in WBL order, after the WAL replay (or the load of a chunk snapshot) has
//! created the series, and before anything is dropped from the head.
//!
//! # Chunks
//! A chunk is attached if a marker names it. Any other chunk is superseded: either blocks contain
//! it, because the WBL part with its marker is removed only after that, or the WBL still has its
//! samples. Attaching it could restore samples that were deleted from blocks. If the WBL is
//! corrupted, markers may be missing, and all chunks are attached.
//!
//! # Markers
//! A marker says that the samples before it are in a chunk. A crash that lost the file may have put
//! another chunk there, so replay drops only the samples that the chunk contains and keeps the
//! others. A marker whose chunk was not found is skipped, except Prometheus's zero marker, which a
//! series has at the start of a chunk: it checks all chunks. At the end, no sample stays in memory
//! that a chunk has. The WBL can therefore be replayed twice, or from an earlier position than
//! necessary.
//!
//! # References
//! References in the WBL are never assigned again, even those of series that the WAL lacks. A crash
//! can keep out-of-order samples of a series whose record was lost; none of them was acknowledged.

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::chunks::out_of_order::OutOfOrderWriter;
use crate::tsdb::head::out_of_order::chunk::MAX_OPEN_SAMPLES;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::out_of_order::window::OutOfOrderWindow;
use crate::tsdb::head::replay::report::ReplayProgress;
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::wal::corruption::CorruptionReason;
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::record::histograms::{
    RefHistogram, decode_float_histograms, decode_histograms,
};
use crate::tsdb::wal::record::mmap_markers::{RefMmapMarker, decode_mmap_markers};
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::SamplesDecoder;
use crate::tsdb::wal::segment::Segment;
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Number of samples that replay keeps in memory while it waits for a marker (Prometheus writes
/// chunks of up to 255). More are written to `chunks_head/`, so that a WBL without markers does not
/// fill the memory.
const MAX_UNMARKED_SAMPLES: usize = 8 * MAX_OPEN_SAMPLES;

/// Counts of a WBL replay.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct WblReplayReport {
    /// Attached chunks of `chunks_head/`.
    pub chunks: u64,
    /// Chunks that were not attached, because no marker names them or their series is unknown.
    pub superseded_chunks: u64,
    /// Samples in the WBL.
    pub samples: u64,
    /// Markers in the WBL.
    pub markers: u64,
    /// Samples and markers that refer to no known series.
    pub unknown_refs: u64,
    /// Skipped native histograms that are invalid or have an unknown schema.
    pub invalid_histograms: u64,
    /// Records of an unknown newer type, or of a type that does not belong in a WBL.
    pub unknown_records: u64,
}

/// Result of a WBL replay.
#[derive(Debug)]
pub struct WblReplayOutcome {
    /// Counts up to the end or the first corruption.
    pub report: WblReplayReport,
    /// Corruption at which the replay stopped.
    pub corruption: Option<ReadLogError>,
}

/// Replay of the WBL into a head.
#[derive(Debug)]
pub struct WblReplay<'a> {
    store: &'a SeriesStore,
    writer: OutOfOrderWriter<'a>,
    window: &'a OutOfOrderWindow,
    aliases: HashMap<SeriesRef, SeriesRef>,
    /// Series that the WBL refers to, by the reference in the WBL.
    series: HashMap<SeriesRef, Arc<HeadSeries>>,
    /// Chunks that no marker has named yet.
    unmarked_chunks: HashMap<HeadChunkRef, HeadChunkMeta>,
    report: WblReplayReport,
}

impl<'a> WblReplay<'a> {
    /// Creates a replay. Of `chunks`, those with the out-of-order bit are attached to the series of
    /// `head`. `aliases` maps second references of series to the first.
    #[must_use]
    pub fn new(
        head: &'a Head,
        chunks: &[HeadChunkMeta],
        aliases: HashMap<SeriesRef, SeriesRef>,
    ) -> Self {
        let ooo = chunks.iter().filter(|chunk| chunk.out_of_order);
        ooo.clone().for_each(|chunk| head.series.reserve_ref(chunk.series));
        let unmarked_chunks = ooo.map(|chunk| (chunk.chunk_ref, *chunk)).collect();
        Self {
            store: &head.series,
            writer: OutOfOrderWriter::new(&head.chunks, &head.stats),
            window: head.times.ooo_window(),
            aliases,
            series: HashMap::new(),
            unmarked_chunks,
            report: WblReplayReport::default(),
        }
    }

    /// Replays the segments in this order. Stops at the first corruption; all records before it are
    /// replayed.
    #[must_use]
    pub fn run(mut self, segments: &[Segment], progress: &ReplayProgress) -> WblReplayOutcome {
        progress.start(segments);
        let corruption =
            segments.iter().find_map(|segment| self.replay_segment(segment, progress).err());
        self.report.superseded_chunks = self.unmarked_chunks.len() as u64;
        if corruption.is_some() {
            self.attach_all();
        }
        for series in self.series.values() {
            let mut state = series.state.lock();
            if let Some(ooo) = &mut state.out_of_order {
                self.settle(series.series_ref, ooo);
                if let Some(times) = ooo.times() {
                    self.window.extend(times.mint, times.maxt);
                }
            }
        }
        WblReplayOutcome { report: self.report, corruption }
    }

    /// Attaches the chunks that no marker has named, if their series is known.
    fn attach_all(&mut self) {
        let mut chunks: Vec<HeadChunkMeta> =
            self.unmarked_chunks.drain().map(|(_, chunk)| chunk).collect();
        chunks.sort_unstable_by_key(|chunk| chunk.chunk_ref);
        for chunk in chunks {
            if let Some(series) = self.find_series(chunk.series) {
                self.report.superseded_chunks -= 1;
                self.attach(series.state.lock().out_of_order.get_or_insert_default(), &chunk);
                self.series.insert(chunk.series, Arc::clone(&series));
            }
        }
    }

    fn attach(&mut self, ooo: &mut OutOfOrderState, chunk: &HeadChunkMeta) {
        self.report.chunks += 1;
        let found = MappedChunk::new(
            chunk.chunk_ref,
            chunk.mint,
            chunk.maxt,
            chunk.samples,
            chunk.encoding,
        );
        self.writer.attach(ooo, found);
        self.window.extend(chunk.mint, chunk.maxt);
    }

    fn replay_segment(
        &mut self,
        segment: &Segment,
        progress: &ReplayProgress,
    ) -> Result<(), ReadLogError> {
        progress.current.store(i64::from(segment.number), Ordering::Relaxed);
        let mut reader = LogSegmentReader::open(segment.clone())?;
        while let Some(record) = reader.next_record()? {
            fail_point::hit("replay.late_record");
            if let Err(reason) = self.replay_record(record) {
                return Err(ReadLogError::Corrupted(Box::new(
                    reader.corruption_at_last_record(reason),
                )));
            }
        }
        tracing::info!(path = %segment.path.display(), "replayed WBL segment");
        Ok(())
    }

    /// Replays a complete record, or nothing of it if it does not decode.
    fn replay_record(&mut self, record: &[u8]) -> Result<(), CorruptionReason> {
        match RecordType::from_record(record) {
            RecordType::Samples | RecordType::SamplesV2 => {
                let samples = SamplesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
                for item in samples {
                    let value = SampleValue::Float(item.sample.v);
                    self.replay_sample(
                        item.series,
                        Sample { start_timestamp: item.start_timestamp, t: item.sample.t, value },
                    );
                }
            }
            RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
                self.replay_histograms(decode_histograms(record)?, |histogram| {
                    SampleValue::Histogram(Box::new(histogram))
                });
            }
            RecordType::FloatHistograms
            | RecordType::CustomFloatHistograms
            | RecordType::FloatHistogramsV2 => {
                let value = |histogram| SampleValue::FloatHistogram(Box::new(histogram));
                self.replay_histograms(decode_float_histograms(record)?, value);
            }
            RecordType::MmapMarkers => decode_mmap_markers(record)?
                .into_iter()
                .for_each(|marker| self.apply_marker(marker)),
            RecordType::Unknown(byte) if !RecordType::from_record(record).is_plausibly_newer() => {
                return Err(CorruptionReason::UnknownKind(byte));
            }
            _ => self.report.unknown_records += 1,
        }
        Ok(())
    }

    fn replay_histograms<H>(
        &mut self,
        histograms: Vec<RefHistogram<H>>,
        value: impl Fn(H) -> SampleValue,
    ) {
        for RefHistogram { series, start_timestamp: start, t, histogram } in histograms {
            let mut sample = Sample { start_timestamp: start, t, value: value(histogram) };
            if sample.value.normalize_for_storage().is_ok() {
                self.replay_sample(series, sample);
            } else {
                self.report.invalid_histograms += 1;
            }
        }
    }

    fn replay_sample(&mut self, series: SeriesRef, sample: Sample) {
        self.report.samples += 1;
        let Some(series) = self.resolve_series(series) else { return };
        let mut state = series.state.lock();
        let ooo = state.out_of_order.get_or_insert_default();
        ooo.insert(sample);
        if ooo.open.len() > MAX_UNMARKED_SAMPLES && ooo.open.is_full() {
            self.settle(series.series_ref, ooo);
        }
    }

    /// Drops the samples in memory that a chunk has, and writes the rest if they fill a chunk.
    fn settle(&self, series_ref: SeriesRef, ooo: &mut OutOfOrderState) {
        self.writer.drop_all_stored(ooo);
        if ooo.open.is_full() && self.writer.flush(series_ref, ooo).is_err() {
            ooo.open.retry_later();
        }
    }

    fn apply_marker(&mut self, RefMmapMarker { series, chunk }: RefMmapMarker) {
        self.report.markers += 1;
        let Some(series) = self.resolve_series(series) else { return };
        let mut state = series.state.lock();
        let ooo = state.out_of_order.get_or_insert_default();
        // After a lost file, the reference may point to a chunk of another series.
        let has_same_series =
            |found: &HeadChunkMeta| self.resolve_alias(found.series) == series.series_ref;
        if self.unmarked_chunks.get(&chunk).is_some_and(has_same_series)
            && let Some(found) = self.unmarked_chunks.remove(&chunk)
        {
            self.attach(ooo, &found);
        }
        if chunk == HeadChunkRef::new(0, 0) {
            self.writer.drop_all_stored(ooo);
        } else if let Some(stored) = ooo.mapped.get(chunk).copied() {
            self.writer.drop_stored(ooo, &stored);
        }
    }

    /// Returns the series that a WBL reference identifies. Reserves the reference.
    fn resolve_series(&mut self, series_ref: SeriesRef) -> Option<Arc<HeadSeries>> {
        if let Some(series) = self.series.get(&series_ref) {
            return Some(Arc::clone(series));
        }
        self.store.reserve_ref(series_ref);
        let series = self.find_series(series_ref);
        match &series {
            Some(series) => _ = self.series.insert(series_ref, Arc::clone(series)),
            None => self.report.unknown_refs += 1,
        }
        series
    }

    fn find_series(&self, series_ref: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.store.get_by_ref(self.resolve_alias(series_ref))
    }

    fn resolve_alias(&self, series_ref: SeriesRef) -> SeriesRef {
        self.aliases.get(&series_ref).copied().unwrap_or(series_ref)
    }
}

//! Late samples after a restart: the chunks of `chunks_head/` that have the out-of-order bit, then the files of `wbl/`.
//!
//! Runs after the replay of the log (or the load of a snapshot), which knows the series, and before anything is dropped from the head. On one
//! thread, in the order of the WBL.
//!
//! A chunk is taken in where a marker names it. One that none names is superseded: blocks have it, as the part of the WBL with its marker went only
//! then, or the WBL still has its points. To take it in would bring back what was deleted from those blocks. Where the WBL is damaged, markers may
//! be missing, and all chunks are taken in.
//!
//! A marker says that the points before it are in a chunk. It is not taken at its word: the chunk may be another one than it was, after a crash
//! that cost the file. The points that the chunk really has are forgotten, the others stay. One that names no chunk which was found is passed
//! over, but for the zero marker of Prometheus: it stands where a series begins a chunk, and asks all that is there. At the end no point is kept
//! in memory that a chunk has. So the WBL can be read twice, or from an earlier place than necessary.
//!
//! References of the WBL are never given out again, even those of series that the log does not know: a crash can keep late samples of a series
//! whose record was lost, none of them acknowledged.

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::chunk::head_chunks::HeadChunkMeta;
use crate::tsdb::chunk::mapped_chunk::MappedChunk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::head::Head;
use crate::tsdb::head::out_of_order::chunk::MAX_OPEN_SAMPLES;
use crate::tsdb::head::out_of_order::state::OutOfOrderState;
use crate::tsdb::head::replay::ReplayProgress;
use crate::tsdb::head::series::HeadSeries;
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

/// Number of points for whose marker a replay waits: Prometheus writes chunks of up to 255. More
/// are written to `chunks_head/`, so that a WBL without markers does not fill the memory.
const UNMARKED_POINTS: usize = 8 * MAX_OPEN_SAMPLES;

/// What a replay of late samples found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct WblReplayReport {
    /// Chunks of late samples in `chunks_head/` that are needed.
    pub chunks: u64,
    /// Those that are not, or whose series no record names.
    pub superseded_chunks: u64,
    /// Points that the WBL has.
    pub points: u64,
    /// Markers.
    pub markers: u64,
    /// Points and markers that refer to no known series.
    pub unknown_refs: u64,
    /// Native histograms that contradict themselves, or of a schema that is not known, passed over.
    pub bad_histograms: u64,
    /// Records of a type newer than this version, or that do not belong into a WBL.
    pub unknown_records: u64,
}

/// How a replay of late samples ended.
#[derive(Debug)]
pub struct WblReplayOutcome {
    /// What was found.
    pub report: WblReplayReport,
    /// The damage before which it stopped.
    pub damage: Option<ReadLogError>,
}

/// Gives the series of a head their late samples.
#[derive(Debug)]
pub struct WblReplay<'a> {
    head: &'a Head,
    aliases: HashMap<SeriesRef, SeriesRef>,
    /// The series that the WBL names.
    series: HashMap<SeriesRef, Arc<HeadSeries>>,
    /// The chunks that no marker has named yet.
    unmarked_chunks: HashMap<HeadChunkRef, HeadChunkMeta>,
    report: WblReplayReport,
}

impl<'a> WblReplay<'a> {
    /// Gives the series of `head` the late ones of `chunks`, which `chunks_head/` holds; `aliases` are second references of series.
    #[must_use]
    pub fn new(
        head: &'a Head,
        chunks: &[HeadChunkMeta],
        aliases: HashMap<SeriesRef, SeriesRef>,
    ) -> Self {
        let late = chunks.iter().filter(|chunk| chunk.out_of_order);
        late.clone().for_each(|chunk| head.reserve_ref(chunk.series));
        let unnamed = late.map(|chunk| (chunk.chunk_ref, *chunk)).collect();
        Self {
            head,
            aliases,
            series: HashMap::new(),
            unmarked_chunks: unnamed,
            report: WblReplayReport::default(),
        }
    }

    /// Replays the files of the WBL in this order. Ends at the first damage, with everything before it replayed.
    #[must_use]
    pub fn run(mut self, files: &[Segment], progress: &ReplayProgress) -> WblReplayOutcome {
        let damage = files.iter().find_map(|file| self.file(file, progress).err());
        self.report.superseded_chunks = self.unmarked_chunks.len() as u64;
        if damage.is_some() {
            self.attach_all();
        }
        for series in self.series.values() {
            let mut state = series.state.lock();
            if let Some(late) = &mut state.out_of_order {
                self.settle(series.reference, late);
                if let Some(times) = late.times() {
                    self.head.ooo_window.extend(times.mint, times.maxt);
                }
            }
        }
        WblReplayOutcome { report: self.report, damage }
    }

    /// Takes in the chunks that no marker has named, of series that are known.
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

    fn attach(&mut self, late: &mut OutOfOrderState, chunk: &HeadChunkMeta) {
        self.report.chunks += 1;
        let found = MappedChunk::new(
            chunk.chunk_ref,
            chunk.mint,
            chunk.maxt,
            chunk.samples,
            chunk.encoding,
        );
        self.head.attach_late(late, found);
        self.head.ooo_window.extend(chunk.mint, chunk.maxt);
        self.head.stats.chunks_created.fetch_add(1, Ordering::Relaxed);
    }

    fn file(&mut self, file: &Segment, progress: &ReplayProgress) -> Result<(), ReadLogError> {
        progress.current.store(i64::from(file.number), Ordering::Relaxed);
        let mut reader = LogSegmentReader::open(file.clone())?;
        while let Some(record) = reader.next_record()? {
            fail_point::hit("replay.late_record");
            if let Err(reason) = self.record(record) {
                return Err(ReadLogError::Damaged(Box::new(
                    reader.corruption_at_last_record(reason),
                )));
            }
        }
        tracing::info!(file = %file.path.display(), "file of the WBL replayed");
        Ok(())
    }

    /// Takes in a whole record, or nothing of it where it does not decode.
    fn record(&mut self, record: &[u8]) -> Result<(), CorruptionReason> {
        match RecordType::from_record(record) {
            RecordType::Samples | RecordType::SamplesV2 => {
                let samples = SamplesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
                for one in samples {
                    let value = SampleValue::Float(one.sample.v);
                    self.replay_sample(
                        one.series,
                        Sample { start_timestamp: one.start_timestamp, t: one.sample.t, value },
                    );
                }
            }
            RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
                self.histograms(decode_histograms(record)?, |histogram| {
                    SampleValue::Histogram(Box::new(histogram))
                });
            }
            RecordType::FloatHistograms
            | RecordType::CustomFloatHistograms
            | RecordType::FloatHistogramsV2 => {
                let value = |histogram| SampleValue::FloatHistogram(Box::new(histogram));
                self.histograms(decode_float_histograms(record)?, value);
            }
            RecordType::MmapMarkers => {
                decode_mmap_markers(record)?.into_iter().for_each(|marker| self.marker(marker))
            }
            RecordType::Unknown(byte) if !RecordType::from_record(record).is_plausibly_newer() => {
                return Err(CorruptionReason::UnknownKind(byte));
            }
            _ => self.report.unknown_records += 1,
        }
        Ok(())
    }

    fn histograms<H>(&mut self, found: Vec<RefHistogram<H>>, value: impl Fn(H) -> SampleValue) {
        for RefHistogram { series, start_timestamp: start, t, histogram } in found {
            let mut point = Sample { start_timestamp: start, t, value: value(histogram) };
            if point.value.normalize_for_storage().is_ok() {
                self.replay_sample(series, point);
            } else {
                self.report.bad_histograms += 1;
            }
        }
    }

    fn replay_sample(&mut self, series: SeriesRef, point: Sample) {
        self.report.points += 1;
        let Some(series) = self.resolve_series(series) else { return };
        let mut state = series.state.lock();
        let late = state.out_of_order.get_or_insert_default();
        late.insert(point);
        if late.open.len() > UNMARKED_POINTS && late.open.is_full() {
            self.settle(series.reference, late);
        }
    }

    /// Forgets the points in memory that a chunk has, and writes the others where they fill a
    /// chunk.
    fn settle(&self, series: SeriesRef, late: &mut OutOfOrderState) {
        self.head.drop_all_stored(late);
        if late.open.is_full() && self.head.flush_ooo_chunk(series, late).is_err() {
            late.open.retry_later();
        }
    }

    fn marker(&mut self, RefMmapMarker { series, chunk }: RefMmapMarker) {
        self.report.markers += 1;
        let Some(series) = self.resolve_series(series) else { return };
        let mut state = series.state.lock();
        let late = state.out_of_order.get_or_insert_default();
        // After the loss of a file another series' chunk may be there.
        let is_its_own =
            |found: &HeadChunkMeta| self.resolve_alias(found.series) == series.reference;
        if self.unmarked_chunks.get(&chunk).is_some_and(is_its_own)
            && let Some(found) = self.unmarked_chunks.remove(&chunk)
        {
            self.attach(late, &found);
        }
        if chunk == HeadChunkRef::new(0, 0) {
            self.head.drop_all_stored(late);
        } else if let Some(stored) = late.mapped.get(chunk).copied() {
            self.head.drop_stored(late, &stored);
        }
    }

    /// The series that the WBL refers to so.
    fn resolve_series(&mut self, reference: SeriesRef) -> Option<Arc<HeadSeries>> {
        if let Some(series) = self.series.get(&reference) {
            return Some(Arc::clone(series));
        }
        self.head.reserve_ref(reference);
        let series = self.find_series(reference);
        match &series {
            Some(series) => _ = self.series.insert(reference, Arc::clone(series)),
            None => self.report.unknown_refs += 1,
        }
        series
    }

    fn find_series(&self, reference: SeriesRef) -> Option<Arc<HeadSeries>> {
        self.head.series.get_by_ref(self.resolve_alias(reference))
    }

    fn resolve_alias(&self, reference: SeriesRef) -> SeriesRef {
        self.aliases.get(&reference).copied().unwrap_or(reference)
    }
}

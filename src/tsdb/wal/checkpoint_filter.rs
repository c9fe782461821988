//! Checkpoint filter: the rules of Prometheus that decide which entries a checkpoint keeps.
//!
//! | record type         | kept entries                                                     |
//! |---------------------|------------------------------------------------------------------|
//! | series              | live series                                                      |
//! | samples, histograms | at or after `mint`                                               |
//! | tombstones          | of live series, with a range that ends at or after `mint`        |
//! | exemplars           | at or after `mint`                                               |
//! | metadata            | the latest of each live series, at the end of the checkpoint     |
//! | m-map markers       | none: they belong to the WBL only                                |
//! | plausibly newer     | all (Prometheus drops unknown records)                           |
//!
//! A record that keeps all entries is copied unchanged. Otherwise the remaining entries become a
//! record of the same type. Samples keep their start timestamps. No I/O, no locks.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::model::metadata::Metadata;
use crate::model::refs::SeriesRef;
use crate::tsdb::wal::corruption::CorruptionReason;
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::exemplars::{decode_exemplars, encode_exemplars};
use crate::tsdb::wal::record::histogram_encoder::{
    HistogramLayout, encode_float_histograms, encode_histograms,
};
use crate::tsdb::wal::record::histograms::{decode_float_histograms, decode_histograms};
use crate::tsdb::wal::record::metadata::{begin_metadata, decode_metadata, put_metadata};
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::{
    RefSample, SamplesDecoder, encode_samples, encode_samples_v2,
};
use crate::tsdb::wal::record::series::{RefSeries, SeriesDecoder, encode_series};
use crate::tsdb::wal::record::tombstones::{RefTombstone, decode_tombstones, encode_tombstones};

/// Size at which a metadata record is finished, bytes.
const METADATA_RECORD_BYTES: usize = 1 << 20;

/// Counts of filtered entries of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    /// Entries read, kept or not.
    pub total: u64,
    /// Entries not written to the checkpoint.
    pub dropped: u64,
}

/// Counts of the entries that a checkpoint was built from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Entries of series records.
    pub series: EntryCounts,
    /// Float samples and native histograms.
    pub samples: EntryCounts,
    /// Entries of tombstone records.
    pub tombstones: EntryCounts,
    /// Entries of exemplar records.
    pub exemplars: EntryCounts,
    /// Entries of metadata records.
    pub metadata: EntryCounts,
    /// Records of a type that only a newer Prometheus knows; all are kept.
    pub newer_records: u64,
}

/// Filter for the records of a log, applied in log order.
pub struct CheckpointFilter<'a> {
    mint: i64,
    keep: &'a dyn Fn(SeriesRef) -> bool,
    metadata: BTreeMap<SeriesRef, Arc<Metadata>>,
    /// Distinct values of `metadata`, interned: thousands of series share one.
    shared: HashSet<Arc<Metadata>>,
    stats: CheckpointStats,
    /// Buffer of the last rewritten record.
    rewritten: Vec<u8>,
}

impl<'a> CheckpointFilter<'a> {
    /// Creates a filter that keeps entries at or after `mint` (ms) and the series for which `keep`
    /// returns `true`. `keep` must return the same value for a series every time.
    #[must_use]
    pub fn new(mint: i64, keep: &'a dyn Fn(SeriesRef) -> bool) -> Self {
        Self {
            mint,
            keep,
            metadata: BTreeMap::new(),
            shared: HashSet::new(),
            stats: CheckpointStats::default(),
            rewritten: Vec::new(),
        }
    }

    /// Returns the record, or a shorter one with its kept entries. Returns `None` if no entry is
    /// kept, and for metadata, which [`Self::next_metadata`] returns later.
    ///
    /// # Errors
    /// [`CorruptionReason`] if the record does not decode or its type is unknown and implausible.
    pub fn filter<'r>(
        &'r mut self,
        record: &'r [u8],
    ) -> Result<Option<&'r [u8]>, CorruptionReason> {
        match RecordType::from_record(record) {
            RecordType::Series => self.series(record),
            RecordType::Samples | RecordType::SamplesV2 => self.samples(record),
            RecordType::Tombstones => self.tombstones(record),
            RecordType::Exemplars => self.exemplars(record),
            RecordType::Metadata => self.metadata(record).map(|()| None),
            RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
                self.histograms(record)
            }
            RecordType::FloatHistograms
            | RecordType::CustomFloatHistograms
            | RecordType::FloatHistogramsV2 => self.float_histograms(record),
            RecordType::MmapMarkers => return Ok(None),
            record_type @ RecordType::Unknown(byte) => {
                if !record_type.is_plausibly_newer() {
                    return Err(CorruptionReason::UnknownKind(byte));
                }
                self.stats.newer_records += 1;
                Ok(Some(record))
            }
        }
        .map_err(CorruptionReason::Record)
    }

    /// Returns the next record of the kept metadata, after all records were filtered; `None` after
    /// the last.
    pub fn next_metadata(&mut self) -> Option<&[u8]> {
        self.rewritten.clear();
        begin_metadata(&mut self.rewritten);
        let empty = self.rewritten.len();
        while self.rewritten.len() < METADATA_RECORD_BYTES
            && let Some((series, metadata)) = self.metadata.pop_first()
        {
            put_metadata(&mut self.rewritten, series, &metadata);
        }
        (self.rewritten.len() > empty).then_some(&self.rewritten)
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn stats(&self) -> CheckpointStats {
        self.stats
    }

    fn is_live(&self, series: SeriesRef) -> bool {
        (self.keep)(series)
    }

    fn series<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let entries = SeriesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
        let retained = RetainedEntries::retain(entries, |entry| self.is_live(entry.series))
            .count_into(&mut self.stats.series);
        Ok(retained.record(record, &mut self.rewritten, |out, entries| {
            encode_series(
                out,
                entries.iter().map(|RefSeries { series, labels }| (*series, labels)),
            );
        }))
    }

    fn samples<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let decoder = SamplesDecoder::new(record)?;
        let mut entries = Vec::with_capacity(decoder.max_entries());
        for entry in decoder {
            entries.push(entry?);
        }
        let retained = RetainedEntries::retain(entries, |entry| entry.sample.t >= self.mint)
            .count_into(&mut self.stats.samples);
        Ok(retained.record(
            record,
            &mut self.rewritten,
            |out, entries| match RecordType::from_record(record) {
                RecordType::SamplesV2 => encode_samples_v2(out, entries.iter().copied()),
                _ => encode_samples(
                    out,
                    entries.iter().map(|&RefSample { series, sample, .. }| (series, sample)),
                ),
            },
        ))
    }

    fn tombstones<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let is_retained =
            |entry: &RefTombstone| entry.range.maxt >= self.mint && self.is_live(entry.series);
        let retained = RetainedEntries::retain(decode_tombstones(record)?, is_retained)
            .count_into(&mut self.stats.tombstones);
        Ok(retained.record(record, &mut self.rewritten, |out, entries| {
            encode_tombstones(out, entries.iter().copied())
        }))
    }

    fn exemplars<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let retained = RetainedEntries::retain(decode_exemplars(record)?, |entry| {
            entry.exemplar.t >= self.mint
        })
        .count_into(&mut self.stats.exemplars);
        Ok(retained
            .record(record, &mut self.rewritten, |out, entries| encode_exemplars(out, entries)))
    }

    fn histograms<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let retained =
            RetainedEntries::retain(decode_histograms(record)?, |entry| entry.t >= self.mint)
                .count_into(&mut self.stats.samples);
        Ok(retained.record(record, &mut self.rewritten, |out, entries| {
            encode_histograms(out, layout_of(record), entries)
        }))
    }

    fn float_histograms<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let retained =
            RetainedEntries::retain(decode_float_histograms(record)?, |entry| entry.t >= self.mint)
                .count_into(&mut self.stats.samples);
        Ok(retained.record(record, &mut self.rewritten, |out, entries| {
            encode_float_histograms(out, layout_of(record), entries)
        }))
    }

    fn metadata(&mut self, record: &[u8]) -> Result<(), DecodeRecordError> {
        for entry in decode_metadata(record)? {
            self.stats.metadata.total += 1;
            // As in Prometheus, an entry that replaces an earlier one of its series counts as
            // dropped.
            let is_retained = self.is_live(entry.series);
            let shared = is_retained.then(|| self.intern_metadata(entry.metadata));
            let known = shared.map(|metadata| self.metadata.insert(entry.series, metadata));
            if !matches!(known, Some(None)) {
                self.stats.metadata.dropped += 1;
            }
        }
        Ok(())
    }

    fn intern_metadata(&mut self, metadata: Metadata) -> Arc<Metadata> {
        if let Some(shared) = self.shared.get(&metadata) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(metadata);
        self.shared.insert(Arc::clone(&shared));
        shared
    }
}

type FilterResult<'r> = Result<Option<&'r [u8]>, DecodeRecordError>;

/// The kept entries of a record and the number of all its entries.
struct RetainedEntries<T> {
    entries: Vec<T>,
    total: usize,
}

impl<T> RetainedEntries<T> {
    fn retain(mut entries: Vec<T>, is_retained: impl Fn(&T) -> bool) -> Self {
        let total = entries.len();
        entries.retain(is_retained);
        Self { entries, total }
    }

    fn count_into(self, counts: &mut EntryCounts) -> Self {
        counts.total += self.total as u64;
        counts.dropped += (self.total - self.entries.len()) as u64;
        self
    }

    /// Returns `original` if all entries are kept, else a record that `encode` writes to
    /// `rewritten`, or `None` if no entry is kept.
    fn record<'r>(
        self,
        original: &'r [u8],
        rewritten: &'r mut Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>, &[T]),
    ) -> Option<&'r [u8]> {
        if self.entries.is_empty() {
            return None;
        }
        if self.entries.len() == self.total {
            return Some(original);
        }
        rewritten.clear();
        encode(rewritten, &self.entries);
        Some(rewritten)
    }
}

fn layout_of(record: &[u8]) -> HistogramLayout {
    HistogramLayout::from_record_type(RecordType::from_record(record))
        .unwrap_or(HistogramLayout::WithSt)
}

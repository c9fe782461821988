//! What of a record stays in a checkpoint: Prometheus's rules, applied to one record after the other.
//!
//! | kind                | stays                                                                        |
//! |---------------------|------------------------------------------------------------------------------|
//! | series              | of kept series                                                               |
//! | samples, histograms | not older than `mint`                                                        |
//! | tombstones          | of kept series, the deleted time not all before `mint`                       |
//! | exemplars           | not older than `mint`                                                        |
//! | metadata            | the latest of each kept series, at the end of the checkpoint                 |
//! | m-map markers       | never: they belong into the WBL alone                                        |
//! | plausibly newer     | always (Prometheus drops what it does not know)                              |
//!
//! A record of which everything stays, stays as it is. Otherwise it becomes a record of the same type with the entries that
//! stay. Start timestamps stay with their samples.
//!
//! No disk, no locks.

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

/// A record of metadata is ended when it has reached this many bytes.
const METADATA_RECORD_BYTES: usize = 1 << 20;

/// Entries that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    /// All of them.
    pub total: u64,
    /// Those that did not stay.
    pub dropped: u64,
}

/// What a checkpoint was made of, in entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Series.
    pub series: EntryCounts,
    /// Float samples and histograms.
    pub samples: EntryCounts,
    /// Tombstones.
    pub tombstones: EntryCounts,
    /// Exemplars.
    pub exemplars: EntryCounts,
    /// Metadata.
    pub metadata: EntryCounts,
    /// Records of a kind that only a newer Prometheus knows; they all stay.
    pub newer_records: u64,
}

/// Sifts the records of a log, in their order.
pub struct CheckpointFilter<'a> {
    mint: i64,
    keep: &'a dyn Fn(SeriesRef) -> bool,
    metadata: BTreeMap<SeriesRef, Arc<Metadata>>,
    /// The values in there, each once: thousands of series have the same.
    shared: HashSet<Arc<Metadata>>,
    stats: CheckpointStats,
    /// The record made last.
    rewritten: Vec<u8>,
}

impl<'a> CheckpointFilter<'a> {
    /// A sieve that keeps what is not older than `mint` (in milliseconds) and the series of which `keep` says so. What `keep`
    /// says must not change.
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

    /// What stays of a record: the record itself or a shorter one, or `None` where nothing does or it comes later.
    ///
    /// # Errors
    /// [`CorruptionReason`] where it does not decode.
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
            kind @ RecordType::Unknown(byte) => {
                if !kind.is_plausibly_newer() {
                    return Err(CorruptionReason::UnknownKind(byte));
                }
                self.stats.newer_records += 1;
                Ok(Some(record))
            }
        }
        .map_err(CorruptionReason::Record)
    }

    /// The next record of the metadata that stay, once everything is sifted; `None` after the last.
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

    /// What was looked at so far.
    #[must_use]
    pub fn stats(&self) -> CheckpointStats {
        self.stats
    }

    fn is_live(&self, series: SeriesRef) -> bool {
        (self.keep)(series)
    }

    fn series<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let entries = SeriesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
        let stay = RetainedEntries::retain(entries, |entry| self.is_live(entry.series))
            .count_into(&mut self.stats.series);
        Ok(stay.record(record, &mut self.rewritten, |out, entries| {
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
        let stay = RetainedEntries::retain(entries, |entry| entry.sample.t >= self.mint)
            .count_into(&mut self.stats.samples);
        Ok(stay.record(record, &mut self.rewritten, |out, entries| {
            match RecordType::from_record(record) {
                RecordType::SamplesV2 => encode_samples_v2(out, entries.iter().copied()),
                _ => encode_samples(
                    out,
                    entries.iter().map(|&RefSample { series, sample, .. }| (series, sample)),
                ),
            }
        }))
    }

    fn tombstones<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let stays =
            |entry: &RefTombstone| entry.range.maxt >= self.mint && self.is_live(entry.series);
        let stay = RetainedEntries::retain(decode_tombstones(record)?, stays)
            .count_into(&mut self.stats.tombstones);
        Ok(stay.record(record, &mut self.rewritten, |out, entries| {
            encode_tombstones(out, entries.iter().copied())
        }))
    }

    fn exemplars<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let stay = RetainedEntries::retain(decode_exemplars(record)?, |entry| {
            entry.exemplar.t >= self.mint
        })
        .count_into(&mut self.stats.exemplars);
        Ok(stay.record(record, &mut self.rewritten, |out, entries| encode_exemplars(out, entries)))
    }

    fn histograms<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let stay =
            RetainedEntries::retain(decode_histograms(record)?, |entry| entry.t >= self.mint)
                .count_into(&mut self.stats.samples);
        Ok(stay.record(record, &mut self.rewritten, |out, entries| {
            encode_histograms(out, layout_of(record), entries)
        }))
    }

    fn float_histograms<'r>(&'r mut self, record: &'r [u8]) -> FilterResult<'r> {
        let stay =
            RetainedEntries::retain(decode_float_histograms(record)?, |entry| entry.t >= self.mint)
                .count_into(&mut self.stats.samples);
        Ok(stay.record(record, &mut self.rewritten, |out, entries| {
            encode_float_histograms(out, layout_of(record), entries)
        }))
    }

    fn metadata(&mut self, record: &[u8]) -> Result<(), DecodeRecordError> {
        for entry in decode_metadata(record)? {
            self.stats.metadata.total += 1;
            // As Prometheus counts: dropped is what gives nothing of its own.
            let stays = self.is_live(entry.series);
            let shared = stays.then(|| self.intern_metadata(entry.metadata));
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

/// The entries of a record that stay.
struct RetainedEntries<T> {
    entries: Vec<T>,
    total: usize,
}

impl<T> RetainedEntries<T> {
    fn retain(mut entries: Vec<T>, stays: impl Fn(&T) -> bool) -> Self {
        let total = entries.len();
        entries.retain(stays);
        Self { entries, total }
    }

    fn count_into(self, counted: &mut EntryCounts) -> Self {
        counted.total += self.total as u64;
        counted.dropped += (self.total - self.entries.len()) as u64;
        self
    }

    /// The record they came in, or one of their own, made by `encode` in `rewritten`.
    fn record<'r>(
        self,
        whole: &'r [u8],
        made: &'r mut Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>, &[T]),
    ) -> Option<&'r [u8]> {
        if self.entries.is_empty() {
            return None;
        }
        if self.entries.len() == self.total {
            return Some(whole);
        }
        made.clear();
        encode(made, &self.entries);
        Some(made)
    }
}

fn layout_of(record: &[u8]) -> HistogramLayout {
    HistogramLayout::from_record_type(RecordType::from_record(record))
        .unwrap_or(HistogramLayout::WithSt)
}

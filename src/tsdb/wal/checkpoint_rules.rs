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
use crate::tsdb::wal::damage::DamageReason;
use crate::tsdb::wal::record::error::DecodeError;
use crate::tsdb::wal::record::exemplars::{decode_exemplars, encode_exemplars};
use crate::tsdb::wal::record::histogram_encoder::{HistogramLayout, encode_float_histograms, encode_histograms};
use crate::tsdb::wal::record::histograms::{decode_float_histograms, decode_histograms};
use crate::tsdb::wal::record::kind::RecordKind;
use crate::tsdb::wal::record::metadata::{begin_metadata, decode_metadata, put_metadata};
use crate::tsdb::wal::record::samples::{RefSample, SamplesDecoder, encode_samples, encode_samples_v2};
use crate::tsdb::wal::record::series::{RefSeries, SeriesDecoder, encode_series};
use crate::tsdb::wal::record::tombstones::{RefTombstone, decode_tombstones, encode_tombstones};

/// A record of metadata is ended when it has reached this many bytes.
const METADATA_RECORD_BYTES: usize = 1 << 20;

/// Entries that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub total: u64,
    /// Those that did not stay.
    pub dropped: u64,
}

/// What a checkpoint was made of, in entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Series.
    pub series: Counted,
    /// Float samples and histograms.
    pub samples: Counted,
    /// Tombstones.
    pub tombstones: Counted,
    /// Exemplars.
    pub exemplars: Counted,
    /// Metadata.
    pub metadata: Counted,
    /// Records of a kind that only a newer Prometheus knows; they all stay.
    pub newer_records: u64,
}

/// Sifts the records of a log, in their order.
pub struct Sieve<'a> {
    mint: i64,
    keep: &'a dyn Fn(SeriesRef) -> bool,
    metadata: BTreeMap<SeriesRef, Arc<Metadata>>,
    /// The values in there, each once: thousands of series have the same.
    shared: HashSet<Arc<Metadata>>,
    stats: CheckpointStats,
    /// The record made last.
    made: Vec<u8>,
}

impl<'a> Sieve<'a> {
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
            made: Vec::new(),
        }
    }

    /// What stays of a record: the record itself or a shorter one, or `None` where nothing does or it comes later.
    ///
    /// # Errors
    /// [`DamageReason`] where it does not decode.
    pub fn sift<'r>(&'r mut self, record: &'r [u8]) -> Result<Option<&'r [u8]>, DamageReason> {
        match RecordKind::of(record) {
            RecordKind::Series => self.series(record),
            RecordKind::Samples | RecordKind::SamplesV2 => self.samples(record),
            RecordKind::Tombstones => self.tombstones(record),
            RecordKind::Exemplars => self.exemplars(record),
            RecordKind::Metadata => self.metadata(record).map(|()| None),
            RecordKind::Histograms | RecordKind::CustomHistograms | RecordKind::HistogramsV2 => self.histograms(record),
            RecordKind::FloatHistograms | RecordKind::CustomFloatHistograms | RecordKind::FloatHistogramsV2 => {
                self.float_histograms(record)
            }
            RecordKind::MmapMarkers => return Ok(None),
            kind @ RecordKind::Unknown(byte) => {
                if !kind.is_plausibly_newer() {
                    return Err(DamageReason::UnknownKind(byte));
                }
                self.stats.newer_records += 1;
                Ok(Some(record))
            }
        }
        .map_err(DamageReason::Record)
    }

    /// The next record of the metadata that stay, once everything is sifted; `None` after the last.
    pub fn next_metadata(&mut self) -> Option<&[u8]> {
        self.made.clear();
        begin_metadata(&mut self.made);
        let empty = self.made.len();
        while self.made.len() < METADATA_RECORD_BYTES
            && let Some((series, metadata)) = self.metadata.pop_first()
        {
            put_metadata(&mut self.made, series, &metadata);
        }
        (self.made.len() > empty).then_some(&self.made)
    }

    /// What was looked at so far.
    #[must_use]
    pub fn stats(&self) -> CheckpointStats {
        self.stats
    }

    fn keeps(&self, series: SeriesRef) -> bool {
        (self.keep)(series)
    }

    fn series<'r>(&'r mut self, record: &'r [u8]) -> Sifted<'r> {
        let entries = SeriesDecoder::new(record)?.collect::<Result<Vec<_>, _>>()?;
        let stay = Stay::of(entries, |entry| self.keeps(entry.series)).counted(&mut self.stats.series);
        Ok(stay.record(record, &mut self.made, |out, entries| {
            encode_series(out, entries.iter().map(|RefSeries { series, labels }| (*series, labels)));
        }))
    }

    fn samples<'r>(&'r mut self, record: &'r [u8]) -> Sifted<'r> {
        let decoder = SamplesDecoder::new(record)?;
        let mut entries = Vec::with_capacity(decoder.at_most());
        for entry in decoder {
            entries.push(entry?);
        }
        let stay = Stay::of(entries, |entry| entry.sample.t >= self.mint).counted(&mut self.stats.samples);
        Ok(stay.record(record, &mut self.made, |out, entries| match RecordKind::of(record) {
            RecordKind::SamplesV2 => encode_samples_v2(out, entries.iter().copied()),
            _ => encode_samples(out, entries.iter().map(|&RefSample { series, sample, .. }| (series, sample))),
        }))
    }

    fn tombstones<'r>(&'r mut self, record: &'r [u8]) -> Sifted<'r> {
        let stays = |entry: &RefTombstone| entry.range.maxt >= self.mint && self.keeps(entry.series);
        let stay = Stay::of(decode_tombstones(record)?, stays).counted(&mut self.stats.tombstones);
        Ok(stay.record(record, &mut self.made, |out, entries| encode_tombstones(out, entries.iter().copied())))
    }

    fn exemplars<'r>(&'r mut self, record: &'r [u8]) -> Sifted<'r> {
        let stay = Stay::of(decode_exemplars(record)?, |entry| entry.exemplar.t >= self.mint)
            .counted(&mut self.stats.exemplars);
        Ok(stay.record(record, &mut self.made, |out, entries| encode_exemplars(out, entries)))
    }

    fn histograms<'r>(&'r mut self, record: &'r [u8]) -> Sifted<'r> {
        let stay = Stay::of(decode_histograms(record)?, |entry| entry.t >= self.mint).counted(&mut self.stats.samples);
        Ok(stay.record(record, &mut self.made, |out, entries| encode_histograms(out, layout_of(record), entries)))
    }

    fn float_histograms<'r>(&'r mut self, record: &'r [u8]) -> Sifted<'r> {
        let stay =
            Stay::of(decode_float_histograms(record)?, |entry| entry.t >= self.mint).counted(&mut self.stats.samples);
        Ok(stay.record(record, &mut self.made, |out, entries| encode_float_histograms(out, layout_of(record), entries)))
    }

    fn metadata(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        for entry in decode_metadata(record)? {
            self.stats.metadata.total += 1;
            // As Prometheus counts: dropped is what gives nothing of its own.
            let stays = self.keeps(entry.series);
            let shared = stays.then(|| self.share(entry.metadata));
            let known = shared.map(|metadata| self.metadata.insert(entry.series, metadata));
            if !matches!(known, Some(None)) {
                self.stats.metadata.dropped += 1;
            }
        }
        Ok(())
    }

    fn share(&mut self, metadata: Metadata) -> Arc<Metadata> {
        if let Some(shared) = self.shared.get(&metadata) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(metadata);
        self.shared.insert(Arc::clone(&shared));
        shared
    }
}

type Sifted<'r> = Result<Option<&'r [u8]>, DecodeError>;

/// The entries of a record that stay.
struct Stay<T> {
    entries: Vec<T>,
    total: usize,
}

impl<T> Stay<T> {
    fn of(mut entries: Vec<T>, stays: impl Fn(&T) -> bool) -> Self {
        let total = entries.len();
        entries.retain(stays);
        Self { entries, total }
    }

    fn counted(self, counted: &mut Counted) -> Self {
        counted.total += self.total as u64;
        counted.dropped += (self.total - self.entries.len()) as u64;
        self
    }

    /// The record they came in, or one of their own, made by `encode` in `made`.
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
    HistogramLayout::of(RecordKind::of(record)).unwrap_or(HistogramLayout::WithStart)
}

//! Entries of a WAL, and which of them a checkpoint must keep: a simple model of the rules that the
//! TSDB applies to records.
//!
//! Entries are compared as bytes of a record with one entry, so that NaNs and signs matter.

use std::collections::BTreeMap;
use std::path::Path;

use narthex::model::refs::SeriesRef;
use narthex::tsdb::wal::checkpoint::last_checkpoint;
use narthex::tsdb::wal::reader::LogSegmentReader;
use narthex::tsdb::wal::record::exemplars::{decode_exemplars, encode_exemplars};
use narthex::tsdb::wal::record::histogram_encoder::{
    HistogramLayout, encode_float_histograms, encode_histograms,
};
use narthex::tsdb::wal::record::histograms::{decode_float_histograms, decode_histograms};
use narthex::tsdb::wal::record::metadata::{decode_metadata, encode_metadata};
use narthex::tsdb::wal::record::record_type::RecordType;
use narthex::tsdb::wal::record::samples::{SamplesDecoder, encode_samples, encode_samples_v2};
use narthex::tsdb::wal::record::series::{SeriesDecoder, encode_series};
use narthex::tsdb::wal::record::tombstones::{decode_tombstones, encode_tombstones};
use narthex::tsdb::wal::segment::list_segments;

/// Single entry of a WAL record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogEntry {
    pub(crate) kind: RecordType,
    pub(crate) series: SeriesRef,
    /// Timestamp of the sample, or end of the deleted range; 0 if there is none.
    pub(crate) t: i64,
    /// Record with this entry only.
    pub(crate) record: Vec<u8>,
}

impl LogEntry {
    pub(crate) fn is_histogram(&self) -> bool {
        HistogramLayout::from_record_type(self.kind).is_some()
    }
}

/// Reads the entries of the last checkpoint and the segments after it.
pub(crate) fn read_log(wal: &Path) -> Vec<LogEntry> {
    read_records(wal).iter().flat_map(|record| entries_of(record)).collect()
}

/// Reads the records of the last checkpoint and the segments after it.
pub(crate) fn read_records(wal: &Path) -> Vec<Vec<u8>> {
    let checkpoint = last_checkpoint(wal).expect("checkpoints can be told");
    let after = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.number + 1);
    let mut segments =
        checkpoint.map_or(Vec::new(), |last| last.segments().expect("its segments can be told"));
    segments.extend(
        list_segments(wal).expect("segments can be told").into_iter().filter(|s| s.number >= after),
    );
    let mut records = Vec::new();
    for segment in segments {
        let mut reader = LogSegmentReader::open(segment).expect("a segment opens");
        while let Some(record) = reader.next_record().expect("a record can be read") {
            records.push(record.to_vec());
        }
    }
    records
}

/// Splits a record into entries. A record of an unknown type is one entry.
pub(crate) fn entries_of(record: &[u8]) -> Vec<LogEntry> {
    const GOOD: &str = "a record decodes";
    let kind = RecordType::from_record(record);
    let mut entries = Vec::new();
    let mut entry = |series: SeriesRef, t: i64, encode: &dyn Fn(&mut Vec<u8>)| {
        let mut record = Vec::new();
        encode(&mut record);
        entries.push(LogEntry { kind, series, t, record });
    };
    match kind {
        RecordType::Series => SeriesDecoder::new(record).expect(GOOD).for_each(|one| {
            let one = one.expect(GOOD);
            entry(one.series, 0, &|out| encode_series(out, [(one.series, &one.labels)]));
        }),
        RecordType::Samples | RecordType::SamplesV2 => {
            SamplesDecoder::new(record).expect(GOOD).for_each(|one| {
                let one = one.expect(GOOD);
                entry(one.series, one.sample.t, &|out| match kind {
                    RecordType::Samples => encode_samples(out, [(one.series, one.sample)]),
                    _ => encode_samples_v2(out, [one]),
                });
            })
        }
        RecordType::Tombstones => {
            decode_tombstones(record).expect(GOOD).into_iter().for_each(|one| {
                entry(one.series, one.range.maxt, &|out| encode_tombstones(out, [one]));
            })
        }
        RecordType::Exemplars => {
            decode_exemplars(record).expect(GOOD).into_iter().for_each(|one| {
                entry(one.series, one.exemplar.t, &|out| encode_exemplars(out, [&one]));
            })
        }
        RecordType::Metadata => decode_metadata(record).expect(GOOD).into_iter().for_each(|one| {
            entry(one.series, 0, &|out| encode_metadata(out, [&one]));
        }),
        RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
            let layout = HistogramLayout::from_record_type(kind).expect("it holds histograms");
            decode_histograms(record).expect(GOOD).into_iter().for_each(|one| {
                entry(one.series, one.t, &|out| {
                    encode_histograms(out, layout, std::slice::from_ref(&one))
                });
            });
        }
        RecordType::FloatHistograms
        | RecordType::CustomFloatHistograms
        | RecordType::FloatHistogramsV2 => {
            let layout = HistogramLayout::from_record_type(kind).expect("it holds histograms");
            decode_float_histograms(record).expect(GOOD).into_iter().for_each(|one| {
                entry(one.series, one.t, &|out| {
                    encode_float_histograms(out, layout, std::slice::from_ref(&one))
                });
            });
        }
        RecordType::MmapMarkers | RecordType::Unknown(_) => {
            entries.push(LogEntry { kind, series: SeriesRef(0), t: 0, record: record.to_vec() });
        }
    }
    entries
}

/// Returns the entries that a checkpoint keeps, in order, with metadata last.
pub(crate) fn staying(
    entries: &[LogEntry],
    mint: i64,
    keep: &dyn Fn(SeriesRef) -> bool,
) -> Vec<LogEntry> {
    let mut metadata = BTreeMap::new();
    let mut stay = Vec::new();
    for entry in entries {
        let stays = match entry.kind {
            RecordType::Series => keep(entry.series),
            RecordType::Tombstones => keep(entry.series) && entry.t >= mint,
            RecordType::Metadata => {
                if keep(entry.series) {
                    metadata.insert(entry.series, entry.clone());
                }
                false
            }
            RecordType::MmapMarkers => false,
            RecordType::Unknown(_) => true,
            _ => entry.t >= mint,
        };
        if stays {
            stay.push(entry.clone());
        }
    }
    stay.extend(metadata.into_values());
    stay
}

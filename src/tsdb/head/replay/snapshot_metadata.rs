//! Replay of metadata only, for a head loaded from a chunk snapshot, which has no metadata.
//!
//! Prometheus starts without metadata in this case and logs it again when it arrives. Here the
//! checkpoint and the WAL are read again, but only series and metadata records are decompressed and
//! decoded; the type of a record is visible before that. A corruption ends the replay with what was
//! found before. Nothing is repaired, because nothing else is read.

use crate::model::metadata::Metadata;
use crate::model::refs::SeriesRef;
use crate::tsdb::head::Head;
use crate::tsdb::head::metadata::pool::MetadataPool;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::metadata::decode_metadata;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::series::SeriesDecoder;
use crate::tsdb::wal::segment::Segment;
use std::collections::HashMap;

/// Result of the replay.
#[derive(Debug, Default)]
pub struct RestoreReport {
    /// Metadata entries of existing series.
    pub entries: u64,
    /// Corruption at which the replay stopped.
    pub corruption: Option<ReadLogError>,
}

/// Sets the metadata of the head's series from these segments: those of the checkpoint, then those
/// of the WAL.
///
/// It also records second references of series, which a snapshot lacks: a checkpoint must contain
/// them as long as the WAL has samples of them.
#[must_use]
pub fn restore_metadata(head: &Head, segments: &[Segment]) -> RestoreReport {
    let (series, pool) = (&head.series, &head.side_data.metadata.pool);
    let mut restore = MetadataRestore { series, pool, aliases: HashMap::new(), entries: 0 };
    let corruption = segments.iter().find_map(|segment| restore.replay_segment(segment).err());
    let end = head.times.max().unwrap_or(i64::MAX);
    series.wal_expiries().extend(restore.aliases.keys().copied(), end);
    RestoreReport { entries: restore.entries, corruption }
}

/// Sets the metadata of a series. Returns `false` if the series does not exist.
pub(super) fn set_metadata(
    series: &SeriesStore,
    pool: &MetadataPool,
    series_ref: SeriesRef,
    metadata: &Metadata,
) -> bool {
    let Some(series) = series.get_by_ref(series_ref) else { return false };
    series.state.lock().metadata = Some(pool.intern(metadata));
    true
}

struct MetadataRestore<'a> {
    series: &'a SeriesStore,
    pool: &'a MetadataPool,
    /// Earlier references of series in the WAL.
    aliases: HashMap<SeriesRef, SeriesRef>,
    entries: u64,
}

impl MetadataRestore<'_> {
    fn replay_segment(&mut self, segment: &Segment) -> Result<(), ReadLogError> {
        let mut reader = LogSegmentReader::open(segment.clone())?;
        let is_relevant =
            |record_type| matches!(record_type, RecordType::Series | RecordType::Metadata);
        while let Some(record) = reader.next_record_of(is_relevant)? {
            if let Err(error) = self.replay_record(record) {
                return Err(ReadLogError::Corrupted(Box::new(
                    reader.corruption_at_last_record(error.into()),
                )));
            }
        }
        Ok(())
    }

    fn replay_record(&mut self, record: &[u8]) -> Result<(), DecodeRecordError> {
        if RecordType::from_record(record) == RecordType::Series {
            for series in SeriesDecoder::new(record)? {
                let series = series?;
                let existing = self.series.get(series.labels.as_bytes());
                if let Some(existing) =
                    existing.filter(|existing| existing.series_ref != series.series)
                {
                    self.aliases.insert(series.series, existing.series_ref);
                }
            }
            return Ok(());
        }
        for entry in decode_metadata(record)? {
            let series_ref = self.aliases.get(&entry.series).copied().unwrap_or(entry.series);
            let is_set = set_metadata(self.series, self.pool, series_ref, &entry.metadata);
            self.entries += u64::from(is_set);
        }
        Ok(())
    }
}

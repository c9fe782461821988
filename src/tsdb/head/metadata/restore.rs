//! Metadata for a head that was loaded from a snapshot: snapshots have none, the log has.
//!
//! Prometheus starts without it then, and writes it to its log again as it comes. Here the checkpoint and the log are read once more,
//! but only records of metadata and of series are decompressed and decoded (the kind of a record can be seen before that): it takes as
//! long as reading the files. Damage ends it with what was found before; nothing is repaired, as nothing else is wanted of the log.

use crate::model::refs::SeriesRef;
use crate::tsdb::head::Head;
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::metadata::decode_metadata;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::series::SeriesDecoder;
use crate::tsdb::wal::segment::Segment;
use std::collections::HashMap;

/// What was found.
#[derive(Debug, Default)]
pub struct RestoreReport {
    /// Entries of series that are there.
    pub entries: u64,
    /// Where it ended early.
    pub damage: Option<ReadLogError>,
}

/// Sets the metadata of the head's series from these files: those of the checkpoint, then the segments of the log. Second references of series
/// are remembered on the way, which a snapshot does not have either: a checkpoint must name them as long as the log has samples of them.
#[must_use]
pub fn restore_metadata(head: &Head, files: &[Segment]) -> RestoreReport {
    let mut restore = MetadataRestore { head, aliases: HashMap::new(), entries: 0 };
    let damage = files.iter().find_map(|file| restore.file(file).err());
    head.record_aliases(restore.aliases.keys());
    RestoreReport { entries: restore.entries, damage }
}

struct MetadataRestore<'a> {
    head: &'a Head,
    /// References by which the log has called a series before.
    aliases: HashMap<SeriesRef, SeriesRef>,
    entries: u64,
}

impl MetadataRestore<'_> {
    fn file(&mut self, file: &Segment) -> Result<(), ReadLogError> {
        let mut reader = LogSegmentReader::open(file.clone())?;
        let wanted = |kind| matches!(kind, RecordType::Series | RecordType::Metadata);
        while let Some(record) = reader.next_record_of(wanted)? {
            if let Err(error) = self.record(record) {
                return Err(ReadLogError::Damaged(Box::new(
                    reader.corruption_at_last_record(error.into()),
                )));
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &[u8]) -> Result<(), DecodeRecordError> {
        if RecordType::from_record(record) == RecordType::Series {
            for series in SeriesDecoder::new(record)? {
                let series = series?;
                let known = self.head.series.get(series.labels.as_bytes());
                if let Some(known) = known.filter(|known| known.reference != series.series) {
                    self.aliases.insert(series.series, known.reference);
                }
            }
            return Ok(());
        }
        for entry in decode_metadata(record)? {
            let series = self.aliases.get(&entry.series).copied().unwrap_or(entry.series);
            self.entries += u64::from(self.head.restore_metadata(series, &entry.metadata));
        }
        Ok(())
    }
}

//! Metadata records: type, unit and help text of series.
//!
//! ```text
//! ┌──────────┐
//! │ type = 6 │
//! ├──────────┴────┬──────────────────┬─────────────┬───────────────────┐
//! │ ref <uvarint> │ metric type <1b> │ n <uvarint> │ n × (name, value) │  per entry
//! └───────────────┴──────────────────┴─────────────┴───────────────────┘
//! name and value: len <uvarint>, bytes
//! metric type: 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info,
//!              7 stateset
//! ```
//!
//! As in Prometheus, fields other than `UNIT` and `HELP` are skipped, and an undefined metric type
//! counts as unknown.

use crate::model::metadata::{Metadata, MetricType};
use crate::model::refs::SeriesRef;
use crate::tsdb::encoding::byte_reader::{ByteReader, put_uvarint, put_uvarint_bytes};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::record_type::RecordType;

/// Metadata with the reference of its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefMetadata {
    /// Series that the metadata belongs to.
    pub series: SeriesRef,
    /// Type, unit and help text.
    pub metadata: Metadata,
}

/// Starts a metadata record at the end of `out`.
pub fn begin_metadata(out: &mut Vec<u8>) {
    out.push(RecordType::Metadata.as_byte());
}

/// Appends the metadata of a series to a started record.
pub fn put_metadata(out: &mut Vec<u8>, series: SeriesRef, metadata: &Metadata) {
    put_uvarint(out, series.0);
    out.push(type_byte(metadata.metric_type));
    let fields = [("UNIT", &metadata.unit), ("HELP", &metadata.help)];
    put_uvarint(out, fields.len() as u64);
    for (name, value) in fields {
        put_uvarint_bytes(out, name.as_bytes());
        put_uvarint_bytes(out, value.as_bytes());
    }
}

/// Appends a metadata record to `out`, byte for byte as Prometheus does.
#[cfg(any(test, feature = "testing"))]
pub fn encode_metadata<'a>(out: &mut Vec<u8>, entries: impl IntoIterator<Item = &'a RefMetadata>) {
    begin_metadata(out);
    entries.into_iter().for_each(|entry| put_metadata(out, entry.series, &entry.metadata));
}

/// Decodes a metadata record.
///
/// # Errors
/// [`DecodeRecordError`] if the record has another type, ends within an entry or has a string that
/// is not UTF-8.
pub fn decode_metadata(record: &[u8]) -> Result<Vec<RefMetadata>, DecodeRecordError> {
    let found = RecordType::from_record(record);
    if found != RecordType::Metadata {
        return Err(DecodeRecordError::UnexpectedType { expected: RecordType::Metadata, found });
    }
    let mut reader = ByteReader::new(&record[1..]);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        let series = SeriesRef(reader.uvarint()?);
        let mut metadata =
            Metadata { metric_type: metric_type(reader.u8()?), ..Metadata::default() };
        for _ in 0..reader.bounded_count(2)? {
            let name = reader.uvarint_str()?;
            let value = reader.uvarint_str()?;
            match name {
                "UNIT" => value.clone_into(&mut metadata.unit),
                "HELP" => value.clone_into(&mut metadata.help),
                _ => {}
            }
        }
        entries.push(RefMetadata { series, metadata });
    }
    Ok(entries)
}

fn metric_type(byte: u8) -> MetricType {
    match byte {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::Stateset,
        _ => MetricType::Unknown,
    }
}

fn type_byte(metric_type: MetricType) -> u8 {
    match metric_type {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::Stateset => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::{RefMetadata, decode_metadata, encode_metadata, metric_type};
    use crate::model::metadata::{Metadata, MetricType};
    use crate::model::refs::SeriesRef;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn unknown_fields_are_skipped_and_truncated_entry_fails() {
        let record = b"\x06\x81\x01\x02\x03\x04UNIT\x01s\x03NEW\x01x\x04HELP\x02me\x01\xff\0";
        let decoded = decode_metadata(record).unwrap();
        let first =
            Metadata { metric_type: MetricType::Gauge, unit: "s".into(), help: "me".into() };
        assert_eq!((decoded[0].series.0, &decoded[0].metadata), (129, &first));
        assert_eq!((decoded[1].series.0, &decoded[1].metadata), (1, &Metadata::default()));
        assert!(decode_metadata(&record[..record.len() - 1]).is_err());
        assert!(decode_metadata(b"\x06\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err());
    }
    proptest! {
        #[test]
        fn encoded_metadata_decodes(
            entries in
                proptest::collection::vec((any::<u64>(), 0u8..8, ".{0,6}", ".{0,20}"), 0..12),
        ) {
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(n, byte, unit, help)| {
                    let metadata = Metadata { metric_type: metric_type(byte), unit, help };
                    RefMetadata { series: SeriesRef(n), metadata }
                })
                .collect();
            let mut record = Vec::new();
            encode_metadata(&mut record, &entries);
            prop_assert_eq!(decode_metadata(&record).unwrap(), entries);
        }
    }
}

//! Tombstone records: deleted time ranges of series.
//!
//! ```text
//! ┌──────────┐
//! │ type = 3 │
//! ├──────────┴───┬───────────────┬───────────────┐
//! │ ref <8b, BE> │ mint <varint> │ maxt <varint> │  per entry
//! └──────────────┴───────────────┴───────────────┘
//! ```
//!
//! A range from `i64::MIN` to `i64::MAX` means that the series itself was dropped.

use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::encoding::byte_reader::{ByteReader, put_be_u64, put_varint};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::record_type::RecordType;

/// Deleted time range with the reference of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefTombstone {
    /// Series with deleted samples.
    pub series: SeriesRef,
    /// Deleted time range, ms, both ends included.
    pub range: TimeRange,
}

/// Starts a tombstone record at the end of `out`.
pub fn begin_tombstones(out: &mut Vec<u8>) {
    out.push(RecordType::Tombstones.as_byte());
}

/// Appends a tombstone to a started record.
pub fn put_tombstone(out: &mut Vec<u8>, tombstone: RefTombstone) {
    put_be_u64(out, tombstone.series.0);
    put_varint(out, tombstone.range.mint);
    put_varint(out, tombstone.range.maxt);
}

/// Appends a tombstone record to `out`, byte for byte as Prometheus does.
pub fn encode_tombstones(out: &mut Vec<u8>, tombstones: impl IntoIterator<Item = RefTombstone>) {
    begin_tombstones(out);
    tombstones.into_iter().for_each(|tombstone| put_tombstone(out, tombstone));
}

/// Decodes a tombstone record.
///
/// # Errors
/// [`DecodeRecordError`] if the record has another type or ends within an entry.
pub fn decode_tombstones(record: &[u8]) -> Result<Vec<RefTombstone>, DecodeRecordError> {
    let found = RecordType::from_record(record);
    if found != RecordType::Tombstones {
        return Err(DecodeRecordError::UnexpectedType { expected: RecordType::Tombstones, found });
    }
    let mut reader = ByteReader::new(&record[1..]);
    let mut tombstones = Vec::with_capacity(reader.remaining() / 10);
    while !reader.is_empty() {
        let series = SeriesRef(reader.be_u64()?);
        let range = TimeRange::new(reader.varint()?, reader.varint()?);
        tombstones.push(RefTombstone { series, range });
    }
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use super::{RefTombstone, decode_tombstones, encode_tombstones};
    use crate::model::refs::SeriesRef;
    use crate::model::time::TimeRange;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn entries_decode_and_truncated_one_fails() {
        let record = b"\x03\0\0\0\0\0\0\0\x02\x01\x04";
        let expected = RefTombstone { series: SeriesRef(2), range: TimeRange::new(-1, 2) };
        assert_eq!(decode_tombstones(record).unwrap(), [expected]);
        let mut encoded = Vec::new();
        encode_tombstones(&mut encoded, [expected]);
        assert_eq!(encoded, record);
        assert!(decode_tombstones(&record[..10]).is_err());
        assert!(decode_tombstones(b"\x04").is_err());
        assert!(decode_tombstones(b"").is_err());
    }
    proptest! {
        #[test]
        fn encoded_tombstones_decode(
            entries in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i64>()), 0..20),
        ) {
            let entries: Vec<_> = entries
                .iter()
                .map(|&(n, mint, maxt)| RefTombstone {
                    series: SeriesRef(n),
                    range: TimeRange::new(mint, maxt),
                })
                .collect();
            let mut record = Vec::new();
            encode_tombstones(&mut record, entries.iter().copied());
            prop_assert_eq!(decode_tombstones(&record).unwrap(), entries);
        }
    }
}

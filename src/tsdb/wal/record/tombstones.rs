//! Tombstone records: deleted times of series.
//!
//! ```text
//! ┌──────────┬ any number ──────────────────────────────────────────┐
//! │ type = 3 │ ref <8b, BE> │ mint <varint> │ maxt <varint>          │
//! └──────────┴──────────────────────────────────────────────────────┘
//! ```
//!
//! From `i64::MIN` to `i64::MAX` means that the series itself was dropped.

use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::encoding::byte_reader::ByteReader;
use crate::tsdb::wal::record::error::DecodeError;
use crate::tsdb::wal::record::kind::RecordKind;

/// A range of time in which a series' samples are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefTombstone {
    /// The series.
    pub series: SeriesRef,
    /// The deleted time.
    pub range: TimeRange,
}

/// Decodes a tombstone record.
///
/// # Errors
/// [`DecodeError`] where the record is of another kind or ends within an entry.
pub fn decode_tombstones(record: &[u8]) -> Result<Vec<RefTombstone>, DecodeError> {
    let found = RecordKind::of(record);
    if found != RecordKind::Tombstones {
        return Err(DecodeError::WrongKind { expected: RecordKind::Tombstones, found });
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
    use super::{RefTombstone, decode_tombstones};
    use crate::model::refs::SeriesRef;
    use crate::model::time::TimeRange;

    #[test]
    fn entries_are_read_to_the_end_and_a_cut_one_is_an_error() {
        let record = b"\x03\0\0\0\0\0\0\0\x02\x01\x04";
        let expected = RefTombstone { series: SeriesRef(2), range: TimeRange::new(-1, 2) };
        assert_eq!(decode_tombstones(record).unwrap(), [expected]);
        assert!(decode_tombstones(&record[..10]).is_err());
        assert!(decode_tombstones(b"\x04").is_err());
        assert!(decode_tombstones(b"").is_err());
    }
}

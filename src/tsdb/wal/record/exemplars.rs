//! Exemplar records.
//!
//! ```text
//! ┌──────────┬──────────────┬───────────────┐
//! │ type = 4 │ ref <8b, BE> │ time <8b, BE> │
//! ├──────────┴─────────┬────┴───────────────┴┬────────────────┬────────┐
//! │ ref delta <varint> │ time delta <varint> │ value <8b, BE> │ labels │  per entry
//! └────────────────────┴─────────────────────┴────────────────┴────────┘
//! ```
//!
//! Deltas are relative to the reference and time in the header. Labels have the format of
//! [`crate::tsdb::wal::record::label_set`]; an exemplar may have none.

use crate::model::exemplar::Exemplar;
use crate::model::refs::SeriesRef;
use crate::tsdb::encoding::byte_reader::{
    ByteReader, put_be_i64, put_be_u64, put_uvarint, put_varint,
};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::label_set::{put_labels, read_labels};
use crate::tsdb::wal::record::record_type::RecordType;

/// Exemplar with the reference of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct RefExemplar {
    /// Series that the exemplar belongs to.
    pub series: SeriesRef,
    /// Timestamp, value and labels.
    pub exemplar: Exemplar,
}

/// Appends an exemplar record to `out`, byte for byte as Prometheus does.
pub fn encode_exemplars<'a>(
    out: &mut Vec<u8>,
    exemplars: impl IntoIterator<Item = &'a RefExemplar>,
) {
    out.push(RecordType::Exemplars.as_byte());
    put_exemplars(out, exemplars);
}

/// Appends the part of an exemplar record after the type byte.
pub fn put_exemplars<'a>(out: &mut Vec<u8>, exemplars: impl IntoIterator<Item = &'a RefExemplar>) {
    let mut exemplars = exemplars.into_iter().peekable();
    let Some(&first) = exemplars.peek() else { return };
    put_be_u64(out, first.series.0);
    put_be_i64(out, first.exemplar.t);
    for RefExemplar { series, exemplar } in exemplars {
        put_varint(out, series.0.wrapping_sub(first.series.0) as i64);
        put_varint(out, exemplar.t.wrapping_sub(first.exemplar.t));
        put_be_u64(out, exemplar.v.to_bits());
        match &exemplar.labels {
            Some(labels) => put_labels(out, labels),
            None => put_uvarint(out, 0),
        }
    }
}

/// Decodes an exemplar record.
///
/// # Errors
/// [`DecodeRecordError`] if the record has another type, ends within an entry or has invalid
/// labels.
pub fn decode_exemplars(record: &[u8]) -> Result<Vec<RefExemplar>, DecodeRecordError> {
    let found = RecordType::from_record(record);
    if found != RecordType::Exemplars {
        return Err(DecodeRecordError::UnexpectedType { expected: RecordType::Exemplars, found });
    }
    read_exemplars(&record[1..])
}

/// Decodes the part of an exemplar record after the type byte.
///
/// # Errors
/// [`DecodeRecordError`] if the bytes end within an entry or have invalid labels.
pub fn read_exemplars(entries: &[u8]) -> Result<Vec<RefExemplar>, DecodeRecordError> {
    let mut reader = ByteReader::new(entries);
    let mut exemplars = Vec::new();
    if reader.is_empty() {
        return Ok(exemplars);
    }
    let (base_ref, base_time) = (reader.be_u64()?, reader.be_i64()?);
    while !reader.is_empty() {
        let series = SeriesRef(base_ref.wrapping_add(reader.varint()? as u64));
        let t = base_time.wrapping_add(reader.varint()?);
        let v = reader.be_f64()?;
        let labels = read_labels(&mut reader)?;
        exemplars.push(RefExemplar { series, exemplar: Exemplar { t, v, labels } });
    }
    Ok(exemplars)
}

#[cfg(test)]
mod tests {
    use super::{RefExemplar, decode_exemplars, encode_exemplars};
    use crate::model::exemplar::Exemplar;
    use crate::model::labels::LabelsBuilder;
    use crate::model::refs::SeriesRef;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn labels_are_optional_and_truncated_entry_fails() {
        let mut record = b"\x04\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09".to_vec();
        record.extend_from_slice(b"\x02\x01\x3f\xf0\0\0\0\0\0\0\x01\x01a\x01b");
        record.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0\0");
        let decoded = decode_exemplars(&record).unwrap();
        assert_eq!(
            (decoded[0].series.0, decoded[0].exemplar.t, decoded[0].exemplar.v),
            (3, 8, 1.0)
        );
        assert_eq!(decoded[0].exemplar.labels.as_ref().and_then(|l| l.get("a")), Some("b"));
        assert_eq!((decoded[1].series.0, decoded[1].exemplar.t), (2, 9));
        assert!(decoded[1].exemplar.labels.is_none());
        assert_eq!(decoded.len(), 2);
        assert!(decode_exemplars(&record[..record.len() - 1]).is_err());
        assert_eq!(decode_exemplars(b"\x04").unwrap(), []);
    }
    proptest! {
        #[test]
        fn encoded_exemplars_decode_bit_for_bit(
            entries in proptest::collection::vec(
                (
                    any::<u64>(),
                    any::<i64>(),
                    any::<u64>(),
                    proptest::collection::btree_map(".{1,8}", ".{1,8}", 0..3),
                ),
                0..12,
            ),
        ) {
            let entries: Vec<_> = entries
                .iter()
                .map(|(n, t, v, labels)| {
                    let mut pairs: LabelsBuilder<'_> =
                        labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                    let labels = pairs.build().ok();
                    let exemplar = Exemplar { t: *t, v: f64::from_bits(*v), labels };
                    RefExemplar { series: SeriesRef(*n), exemplar }
                })
                .collect();
            let mut record = Vec::new();
            encode_exemplars(&mut record, &entries);
            prop_assert_eq!(decode_exemplars(&record).unwrap(), entries);
        }
    }
}

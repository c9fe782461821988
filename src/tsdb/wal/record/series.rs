//! Series records: references of series and their labels.
//!
//! ```text
//! ┌──────────┐
//! │ type = 1 │
//! ├──────────┴───┬───────────────────────┐
//! │ ref <8b, BE> │ labels (label_set.rs) │  per entry
//! └──────────────┴───────────────────────┘
//! ```
//!
//! A series record precedes all records that use its references.

use crate::model::labels::{BuildLabelsError, Labels};
use crate::model::refs::SeriesRef;
use crate::tsdb::encoding::byte_reader::{ByteReader, put_be_u64};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::label_set::{put_labels, read_labels};
use crate::tsdb::wal::record::record_type::RecordType;

/// Labels with the reference of their series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefSeries {
    /// Reference that later records use.
    pub series: SeriesRef,
    /// Labels, sorted and unique.
    pub labels: Labels,
}

/// Starts a series record at the end of `out`.
pub fn begin_series(out: &mut Vec<u8>) {
    out.push(1);
}

/// Appends a series to a started record.
pub fn put_series(out: &mut Vec<u8>, series: SeriesRef, labels: &Labels) {
    put_be_u64(out, series.0);
    put_labels(out, labels);
}

/// Appends a series record to `out`, byte for byte as Prometheus does.
pub fn encode_series<'a>(
    out: &mut Vec<u8>,
    series: impl IntoIterator<Item = (SeriesRef, &'a Labels)>,
) {
    begin_series(out);
    series.into_iter().for_each(|(series, labels)| put_series(out, series, labels));
}

/// Decoder for series records. Ends after the first error.
#[derive(Debug)]
pub struct SeriesDecoder<'a> {
    reader: ByteReader<'a>,
}

impl<'a> SeriesDecoder<'a> {
    /// Creates a decoder for a complete record.
    ///
    /// # Errors
    /// [`DecodeRecordError::UnexpectedType`] if the record has another type.
    pub fn new(record: &'a [u8]) -> Result<Self, DecodeRecordError> {
        let found = RecordType::from_record(record);
        if found != RecordType::Series {
            return Err(DecodeRecordError::UnexpectedType { expected: RecordType::Series, found });
        }
        Ok(Self { reader: ByteReader::new(record.get(1..).unwrap_or_default()) })
    }

    fn read(&mut self) -> Result<RefSeries, DecodeRecordError> {
        let series = self.reader.be_u64()?;
        let offset = self.reader.offset();
        if series == 0 {
            return Err(DecodeRecordError::ZeroRef { offset });
        }
        let labels = read_labels(&mut self.reader)?;
        let labels =
            labels.ok_or(DecodeRecordError::Labels { offset, source: BuildLabelsError::Empty })?;
        Ok(RefSeries { series: SeriesRef(series), labels })
    }
}

impl Iterator for SeriesDecoder<'_> {
    type Item = Result<RefSeries, DecodeRecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.reader = ByteReader::new(&[]);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::{RefSeries, SeriesDecoder, encode_series};
    use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder};
    use crate::model::refs::SeriesRef;
    use crate::tsdb::encoding::byte_reader::ByteError;
    use crate::tsdb::wal::record::error::DecodeRecordError;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    #[test]
    fn encoded_bytes_match_format() {
        let mut record = Vec::new();
        encode_series(&mut record, [(SeriesRef(7), &labels(&[("a", "xy")]))]);
        assert_eq!(record, b"\x01\0\0\0\0\0\0\0\x07\x01\x01a\x02xy");
    }

    #[test]
    fn unsorted_labels_are_sorted() {
        let record = b"\x01\0\0\0\0\0\0\0\x01\x02\x01b\x01y\x01a\x01x";
        let decoded: Vec<_> = SeriesDecoder::new(record).unwrap().map(Result::unwrap).collect();
        assert_eq!(
            decoded,
            [RefSeries { series: SeriesRef(1), labels: labels(&[("a", "x"), ("b", "y")]) }]
        );
    }

    #[test]
    fn corrupted_entry_fails_and_ends_record() {
        let all = |record: &[u8]| SeriesDecoder::new(record).unwrap().collect::<Vec<_>>();
        let twice = b"\x01\0\0\0\0\0\0\0\x01\x02\x01a\x01y\x01a\x01x";
        assert_eq!(
            all(twice),
            [Err(DecodeRecordError::Labels {
                offset: 17,
                source: BuildLabelsError::DuplicateName { name: "a".into() }
            })]
        );
        let none = b"\x01\0\0\0\0\0\0\0\x01\0";
        assert_eq!(
            all(none),
            [Err(DecodeRecordError::Labels { offset: 8, source: BuildLabelsError::Empty })]
        );
        let not_utf8 = b"\x01\0\0\0\0\0\0\0\x01\x01\x01a\x01\xff";
        assert_eq!(all(not_utf8), [Err(ByteError::NotUtf8 { offset: 12 }.into())]);
        let many = b"\x01\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\x0f\x01a\x01x";
        assert_eq!(
            all(many),
            [Err(ByteError::UnexpectedEnd { offset: 13, needed: 0x1_ffff_fffe, left: 4 }.into())]
        );
        assert_eq!(
            all(b"\x01\0\0\0\0\0\0\0\0\x01\x01a\x01x"),
            [Err(DecodeRecordError::ZeroRef { offset: 8 })]
        );
        assert!(SeriesDecoder::new(b"\x02").is_err());
        assert!(SeriesDecoder::new(b"").is_err());
    }

    proptest! {
        #[test]
        fn encoded_series_decode(
            sets in proptest::collection::vec(
                (1..u64::MAX, proptest::collection::btree_map(".{1,12}", ".{1,40}", 1..6)), 0..8),
        ) {
            let sets: Vec<_> = sets
                .iter()
                .map(|(n, map)| {
                    let mut pairs: LabelsBuilder<'_> =
                        map.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                    (SeriesRef(*n), pairs.build().unwrap())
                })
                .collect();
            let mut record = Vec::new();
            encode_series(&mut record, sets.iter().map(|(n, set)| (*n, set)));
            let decoded: Vec<_> =
                SeriesDecoder::new(&record).unwrap().map(|s| s.unwrap()).collect();
            let decoded: Vec<_> = decoded.into_iter().map(|s| (s.series, s.labels)).collect();
            prop_assert_eq!(decoded, sets);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(
            mut record in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            record[0] = 1;
            SeriesDecoder::new(&record).unwrap().for_each(drop);
        }
    }
}

//! Histogram records: integer (types 7, 9, 12) and float (types 8, 10, 13).
//!
//! ```text
//! types 7, 8 (exponential buckets), 9, 10 (custom buckets): relative to the first entry
//! ┌──────┬──────────────┬───────────────┐
//! │ type │ ref <8b, BE> │ time <8b, BE> │
//! ├──────┴─────────────┬┴───────────────┴────┬───────────┐
//! │ ref delta <varint> │ time delta <varint> │ histogram │  per entry
//! └────────────────────┴─────────────────────┴───────────┘
//! types 12, 13 (any buckets): entry headers of type 11 (samples.rs), each with a histogram
//!
//! histogram:
//! ┌─────────────────┬─────────────────┬───────────────────────────────┐
//! │ reset hint <1b> │ schema <varint> │ zero threshold <8b, BE>       │
//! ├────────────┬────┴──┬──────────────┼───────────────────────────────┘
//! │ zero count │ count │ sum <8b, BE> │
//! ├────────────┴───────┴──────────┬───┴───────────────────────────────┐
//! │ n <uvarint>, n positive spans │ n <uvarint>, n negative spans     │
//! ├───────────────────────────────┴─┬─────────────────────────────────┤
//! │ n <uvarint>, n positive buckets │ n <uvarint>, n negative buckets │
//! ├─────────────────────────────────┴─────────────────────────────────┤
//! │ only schema -53: n <uvarint>, n custom values <8b, BE each>       │
//! └───────────────────────────────────────────────────────────────────┘
//! span: offset <varint>, length <uvarint>
//! counts: <uvarint> (integer) or <8b, BE> (float)
//! buckets: <varint> deltas (integer) or <8b, BE> counts (float)
//! ```
//!
//! Histograms are returned unchanged. Prometheus drops those with an unknown schema and reads
//! schemas 9 to 52 at schema 8; replay does this
//! ([`crate::model::histogram::is_known_schema`]).

use crate::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};
use crate::model::refs::SeriesRef;
use crate::tsdb::encoding::byte_reader::{ByteError, ByteReader};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::{EntryBase, EntryHeader};

/// Histogram with the reference of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct RefHistogram<H> {
    /// Series that the histogram belongs to.
    pub series: SeriesRef,
    /// Start timestamp, ms; 0 = unknown.
    pub start_timestamp: i64,
    /// Timestamp, ms since the Unix epoch.
    pub t: i64,
    /// Integer or float histogram.
    pub histogram: H,
}

/// Decodes a record of integer histograms (types 7, 9 and 12).
///
/// # Errors
/// [`DecodeRecordError`] if the record has another type, ends within an entry or has an invalid
/// histogram.
pub fn decode_histograms(record: &[u8]) -> Result<Vec<RefHistogram<Histogram>>, DecodeRecordError> {
    match RecordType::from_record(record) {
        RecordType::Histograms | RecordType::CustomHistograms => {
            decode_v1(&record[1..], read_histogram)
        }
        RecordType::HistogramsV2 => decode_v2(&record[1..], read_histogram),
        found => Err(DecodeRecordError::UnexpectedType { expected: RecordType::Histograms, found }),
    }
}

/// Decodes a record of float histograms (types 8, 10 and 13).
///
/// # Errors
/// [`DecodeRecordError`] as for [`decode_histograms`].
pub fn decode_float_histograms(
    record: &[u8],
) -> Result<Vec<RefHistogram<FloatHistogram>>, DecodeRecordError> {
    match RecordType::from_record(record) {
        RecordType::FloatHistograms | RecordType::CustomFloatHistograms => {
            decode_v1(&record[1..], read_float_histogram)
        }
        RecordType::FloatHistogramsV2 => decode_v2(&record[1..], read_float_histogram),
        found => {
            Err(DecodeRecordError::UnexpectedType { expected: RecordType::FloatHistograms, found })
        }
    }
}

type ReadFn<H> = fn(&mut ByteReader<'_>) -> Result<H, DecodeRecordError>;

fn decode_v1<H>(
    entries: &[u8],
    read: ReadFn<H>,
) -> Result<Vec<RefHistogram<H>>, DecodeRecordError> {
    let mut reader = ByteReader::new(entries);
    let mut histograms = Vec::new();
    if reader.is_empty() {
        return Ok(histograms);
    }
    let (base_ref, base_time) = (reader.be_u64()?, reader.be_i64()?);
    while !reader.is_empty() {
        let series = SeriesRef(base_ref.wrapping_add(reader.varint()? as u64));
        let t = base_time.wrapping_add(reader.varint()?);
        histograms.push(RefHistogram {
            series,
            start_timestamp: 0,
            t,
            histogram: read(&mut reader)?,
        });
    }
    Ok(histograms)
}

fn decode_v2<H>(
    entries: &[u8],
    read: ReadFn<H>,
) -> Result<Vec<RefHistogram<H>>, DecodeRecordError> {
    let mut reader = ByteReader::new(entries);
    let mut histograms = Vec::new();
    let mut times = None;
    while !reader.is_empty() {
        let EntryHeader { series, t, start_timestamp: start } =
            EntryBase::read(&mut times, &mut reader)?;
        histograms.push(RefHistogram {
            series,
            start_timestamp: start,
            t,
            histogram: read(&mut reader)?,
        });
    }
    Ok(histograms)
}

/// Reads an integer histogram in record format.
///
/// # Errors
/// [`DecodeRecordError`] if it ends early or a field is invalid.
pub fn read_histogram(reader: &mut ByteReader<'_>) -> Result<Histogram, DecodeRecordError> {
    let (reset_hint, schema) = (read_reset_hint(reader)?, read_schema(reader)?);
    Ok(Histogram {
        reset_hint,
        schema,
        zero_threshold: reader.be_f64()?,
        zero_count: reader.uvarint()?,
        count: reader.uvarint()?,
        sum: reader.be_f64()?,
        positive_spans: read_spans(reader)?,
        negative_spans: read_spans(reader)?,
        positive_buckets: read_list(reader, 1, ByteReader::varint)?,
        negative_buckets: read_list(reader, 1, ByteReader::varint)?,
        custom_values: read_custom_values(reader, schema)?,
    })
}

/// Reads a float histogram in record format.
///
/// # Errors
/// [`DecodeRecordError`] as for [`read_histogram`].
pub fn read_float_histogram(
    reader: &mut ByteReader<'_>,
) -> Result<FloatHistogram, DecodeRecordError> {
    let (reset_hint, schema) = (read_reset_hint(reader)?, read_schema(reader)?);
    Ok(FloatHistogram {
        reset_hint,
        schema,
        zero_threshold: reader.be_f64()?,
        zero_count: reader.be_f64()?,
        count: reader.be_f64()?,
        sum: reader.be_f64()?,
        positive_spans: read_spans(reader)?,
        negative_spans: read_spans(reader)?,
        positive_buckets: read_list(reader, 8, ByteReader::be_f64)?,
        negative_buckets: read_list(reader, 8, ByteReader::be_f64)?,
        custom_values: read_custom_values(reader, schema)?,
    })
}

fn read_reset_hint(reader: &mut ByteReader<'_>) -> Result<CounterResetHint, DecodeRecordError> {
    let byte = reader.u8()?;
    CounterResetHint::from_byte(byte).ok_or(DecodeRecordError::InvalidByte {
        what: "reset hint",
        byte,
        offset: reader.offset(),
    })
}

fn read_schema(reader: &mut ByteReader<'_>) -> Result<i32, DecodeRecordError> {
    let schema = reader.varint()?;
    i32::try_from(schema)
        .map_err(|_| DecodeRecordError::OutOfRange { what: "schema", offset: reader.offset() })
}

fn read_spans(reader: &mut ByteReader<'_>) -> Result<Vec<Span>, DecodeRecordError> {
    let count = reader.bounded_count(2)?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let (offset, length) = (reader.varint()?, reader.uvarint()?);
        let out_of_range =
            |_| DecodeRecordError::OutOfRange { what: "span", offset: reader.offset() };
        spans.push(Span {
            offset: i32::try_from(offset).map_err(out_of_range)?,
            length: u32::try_from(length).map_err(out_of_range)?,
        });
    }
    Ok(spans)
}

fn read_custom_values(
    reader: &mut ByteReader<'_>,
    schema: i32,
) -> Result<Vec<f64>, DecodeRecordError> {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        read_list(reader, 8, ByteReader::be_f64)
    } else {
        Ok(Vec::new())
    }
}

/// Reads a count and that number of values, each of which takes at least `min_bytes`.
fn read_list<'a, T>(
    reader: &mut ByteReader<'a>,
    min_bytes: usize,
    read: fn(&mut ByteReader<'a>) -> Result<T, ByteError>,
) -> Result<Vec<T>, DecodeRecordError> {
    let count = reader.bounded_count(min_bytes)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(read(reader)?);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::{decode_float_histograms, decode_histograms};
    use crate::model::histogram::{CounterResetHint, Span};
    use proptest::prelude::{any, proptest};

    #[test]
    fn integer_histogram_is_read_field_by_field() {
        let mut record = b"\x09\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09".to_vec();
        record.extend_from_slice(b"\x02\x02\x03\x69"); // ref 3, time 10, gauge, schema -53
        // Threshold, zero count, count, sum.
        record.extend_from_slice(b"\0\0\0\0\0\0\0\0\x05\x06\x3f\xf0\0\0\0\0\0\0");
        // Span -2 × 2, none, buckets 2 -1, none.
        record.extend_from_slice(b"\x01\x03\x02\0\x02\x04\x01\0");
        record.extend_from_slice(b"\x01\x40\0\0\0\0\0\0\0"); // bound 2.0
        let decoded = decode_histograms(&record).unwrap();
        assert_eq!(decoded.len(), 1);
        let (entry, histogram) = (&decoded[0], &decoded[0].histogram);
        assert_eq!((entry.series.0, entry.t, entry.start_timestamp), (3, 10, 0));
        assert_eq!((histogram.reset_hint, histogram.schema), (CounterResetHint::Gauge, -53));
        assert_eq!((histogram.zero_count, histogram.count, histogram.sum), (5, 6, 1.0));
        assert_eq!(histogram.positive_spans, [Span { offset: -2, length: 2 }]);
        assert_eq!(histogram.positive_buckets, [2, -1]);
        assert_eq!(histogram.custom_values, [2.0]);
        for cut in 18..record.len() {
            assert!(decode_histograms(&record[..cut]).is_err(), "cut at {cut}");
        }
        assert!(decode_float_histograms(&record).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(
            record_type in 7u8..=13,
            mut record in proptest::collection::vec(any::<u8>(), 1..300),
        ) {
            record[0] = record_type;
            drop(decode_histograms(&record));
            drop(decode_float_histograms(&record));
        }
    }
}

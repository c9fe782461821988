//! Records of a chunk snapshot.
//!
//! ```text
//! series, one record each, in no order:
//! ┌────────┬────────────┬────────────────────┬─────────────┬──────────────────┐
//! │ 1 <8b> │ ref <64b>  │ labels, as in WAL  │ 0 <64b>     │ 0 or 1 <uvarint> │
//! └────────┴────────────┴────────────────────┴─────────────┴──────────────────┘
//!   after a 1, the open chunk:
//! ┌────────────┬────────────┬───────────────┬───────────────┬───────────────┬────────────┐
//! │ mint <64b> │ maxt <64b> │ encoding <8b> │ len <uvarint> │ chunk <bytes> │ last value │
//! └────────────┴────────────┴───────────────┴───────────────┴───────────────┴────────────┘
//!   last value of floats:     3 × 128 bits and 64 bits, unused; the value <64b>
//!   of histograms:            the histogram, as in WAL
//! tombstones, one record:
//! ┌────────┬───────────────┬─────────────────────────────────────────────────┐
//! │ 2 <8b> │ len <uvarint> │ version and entries of a block's tombstone file │
//! └────────┴───────────────┴─────────────────────────────────────────────────┘
//! exemplars, any number of records:
//! ┌────────┬────────────────────────────────────────┐
//! │ 3 <8b> │ as in the WAL after its own type byte  │
//! └────────┴────────────────────────────────────────┘
//! ```
//!
//! Numbers are big endian. Source: `tsdb/docs/format/memory_snapshot.md` and `tsdb/head_wal.go` of
//! Prometheus 3.

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::{SampleValue, ValueType};
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::encoding::byte_reader::{
    ByteError, ByteReader, put_be_i64, put_be_u64, put_uvarint, put_uvarint_bytes,
};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::histogram_encoder::{put_float_histogram, put_histogram};
use crate::tsdb::wal::record::histograms::{read_float_histogram, read_histogram};
use crate::tsdb::wal::record::label_set::{put_labels, read_labels};

/// Type byte of a series record.
pub(super) const SERIES: u8 = 1;
/// Type byte of the tombstones record.
pub(super) const TOMBSTONES: u8 = 2;
/// Type byte of an exemplars record.
pub(super) const EXEMPLARS: u8 = 3;

/// Number of unused bytes before the last value of a float chunk: older versions stored the last
/// four samples, of which only the last value is used.
const UNUSED_FLOAT_BYTES: usize = 3 * 16 + 8;

/// Series in a snapshot.
#[derive(Debug, Clone)]
pub(super) struct SnapshotSeries<'a> {
    pub(super) series_ref: SeriesRef,
    pub(super) labels: Labels,
    pub(super) open: Option<SnapshotChunk<'a>>,
}

/// Open chunk of a series.
#[derive(Debug, Clone)]
pub(super) struct SnapshotChunk<'a> {
    /// Timestamps of the first and the last sample, ms.
    pub(super) mint: i64,
    pub(super) maxt: i64,
    pub(super) encoding: ChunkEncoding,
    pub(super) bytes: &'a [u8],
    /// Value of the last sample, of the type of `encoding`.
    pub(super) last: SampleValue,
}

/// Error of decoding a snapshot record.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotRecordError {
    /// The labels or the exemplars are invalid.
    #[error(transparent)]
    Decode(#[from] DecodeRecordError),
    /// The record ends early or has an invalid number.
    #[error(transparent)]
    Bytes(#[from] ByteError),
    /// A series has no labels or the reference 0.
    #[error("series without labels or reference")]
    NoSeries,
    /// A chunk has an unknown encoding.
    #[error("unknown chunk encoding {0}")]
    Encoding(u8),
    /// Bytes follow the end of the record.
    #[error("{0} trailing bytes")]
    TrailingBytes(usize),
}

/// Appends the record of a series to `out`.
pub(super) fn put_series(
    out: &mut Vec<u8>,
    series_ref: SeriesRef,
    labels: &Labels,
    open: Option<&SnapshotChunk<'_>>,
) {
    out.push(SERIES);
    put_be_u64(out, series_ref.0);
    put_labels(out, labels);
    put_be_i64(out, 0);
    let Some(chunk) = open else {
        put_uvarint(out, 0);
        return;
    };
    put_uvarint(out, 1);
    put_be_i64(out, chunk.mint);
    put_be_i64(out, chunk.maxt);
    out.push(chunk.encoding as u8);
    put_uvarint_bytes(out, chunk.bytes);
    match &chunk.last {
        SampleValue::Float(v) => {
            out.resize(out.len() + UNUSED_FLOAT_BYTES, 0);
            put_be_u64(out, v.to_bits());
        }
        SampleValue::Histogram(histogram) => put_histogram(out, histogram),
        SampleValue::FloatHistogram(histogram) => put_float_histogram(out, histogram),
    }
}

/// Decodes the record of a series.
pub(super) fn read_series(record: &[u8]) -> Result<SnapshotSeries<'_>, SnapshotRecordError> {
    let mut reader = ByteReader::new(record.get(1..).unwrap_or_default());
    let series_ref = SeriesRef(reader.be_u64()?);
    let labels = read_labels(&mut reader)?
        .filter(|_| series_ref.0 != 0)
        .ok_or(SnapshotRecordError::NoSeries)?;
    reader.be_i64()?;
    let open = if reader.uvarint()? == 0 { None } else { Some(read_chunk(&mut reader)?) };
    match reader.remaining() {
        0 => Ok(SnapshotSeries { series_ref, labels, open }),
        trailing => Err(SnapshotRecordError::TrailingBytes(trailing)),
    }
}

fn read_chunk<'a>(reader: &mut ByteReader<'a>) -> Result<SnapshotChunk<'a>, SnapshotRecordError> {
    let (mint, maxt) = (reader.be_i64()?, reader.be_i64()?);
    let byte = reader.u8()?;
    let encoding = ChunkEncoding::from_byte(byte).ok_or(SnapshotRecordError::Encoding(byte))?;
    let bytes = reader.uvarint_bytes()?;
    let last = match encoding.value_type() {
        ValueType::Float => {
            reader.bytes(UNUSED_FLOAT_BYTES)?;
            SampleValue::Float(reader.be_f64()?)
        }
        ValueType::Histogram => SampleValue::Histogram(Box::new(read_histogram(reader)?)),
        ValueType::FloatHistogram => {
            SampleValue::FloatHistogram(Box::new(read_float_histogram(reader)?))
        }
    };
    Ok(SnapshotChunk { mint, maxt, encoding, bytes, last })
}

#[cfg(test)]
mod tests {
    use super::{SnapshotChunk, SnapshotRecordError, put_series, read_series};
    use crate::model::histogram::{FloatHistogram, Histogram};
    use crate::model::labels::LabelsBuilder;
    use crate::model::refs::SeriesRef;
    use crate::model::sample::SampleValue;
    use crate::tsdb::chunk::ChunkEncoding;

    fn record(encoding: ChunkEncoding, last: SampleValue) -> Vec<u8> {
        let labels = LabelsBuilder::from_iter([("__name__", "up"), ("job", "x")]).build().unwrap();
        let chunk = SnapshotChunk { mint: -5, maxt: 7, encoding, bytes: b"chunk", last };
        let mut out = Vec::new();
        put_series(&mut out, SeriesRef(9), &labels, Some(&chunk));
        out
    }

    fn records_of_all_types() -> [Vec<u8>; 3] {
        let histogram = Histogram { count: 4, zero_count: 4, sum: 1.5, ..Histogram::default() };
        let float =
            FloatHistogram { count: 4.5, zero_count: 4.5, sum: 1.5, ..FloatHistogram::default() };
        [
            record(ChunkEncoding::Xor2, SampleValue::Float(-0.0)),
            record(ChunkEncoding::Histogram, SampleValue::Histogram(Box::new(histogram))),
            record(ChunkEncoding::FloatHistogramSt, SampleValue::FloatHistogram(Box::new(float))),
        ]
    }

    #[test]
    fn series_round_trips_with_and_without_chunk() {
        let record = record(ChunkEncoding::Xor, SampleValue::Float(-0.0));
        let series = read_series(&record).unwrap();
        assert_eq!(
            (series.series_ref, series.labels.to_string().as_str()),
            (SeriesRef(9), "{__name__=\"up\", job=\"x\"}")
        );
        let open = series.open.unwrap();
        assert_eq!((open.mint, open.maxt, open.bytes), (-5, 7, &b"chunk"[..]));
        assert!(open.last.is_equivalent(&SampleValue::Float(-0.0)));
        let mut bare = Vec::new();
        put_series(&mut bare, SeriesRef(9), &series.labels, None);
        assert!(read_series(&bare).unwrap().open.is_none());
    }

    #[test]
    fn last_value_round_trips_for_all_types() {
        for (record, encoding) in records_of_all_types().iter().zip([
            ChunkEncoding::Xor2,
            ChunkEncoding::Histogram,
            ChunkEncoding::FloatHistogramSt,
        ]) {
            let open = read_series(record).unwrap().open.unwrap();
            assert_eq!((open.encoding, open.last.kind()), (encoding, encoding.value_type()));
            let sum = match open.last {
                SampleValue::Float(v) => v,
                SampleValue::Histogram(histogram) => histogram.sum,
                SampleValue::FloatHistogram(histogram) => histogram.sum,
            };
            assert_eq!(sum, if encoding == ChunkEncoding::Xor2 { -0.0 } else { 1.5 });
        }
    }

    #[test]
    fn truncated_longer_or_unknown_record_is_rejected() {
        for record in records_of_all_types() {
            for len in 0..record.len() {
                assert!(read_series(&record[..len]).is_err(), "{len}");
            }
            let longer = [&record[..], &[0]].concat();
            assert!(matches!(read_series(&longer), Err(SnapshotRecordError::TrailingBytes(1))));
        }
        let mut unknown = record(ChunkEncoding::Xor, SampleValue::Float(0.0));
        let at = unknown.windows(2).position(|pair| pair == [ChunkEncoding::Xor as u8, 5]).unwrap();
        unknown[at] = 99;
        assert!(matches!(read_series(&unknown), Err(SnapshotRecordError::Encoding(99))));
    }
}

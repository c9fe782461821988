//! The records of a snapshot of the head.
//!
//! ```text
//! series, one each, in no order:
//! ┌────────┬────────────┬────────────────────┬─────────────┬──────────────────┐
//! │ 1 <8b> │ ref <64b>  │ labels, as in WAL  │ 0 <64b>     │ 0 or 1 <uvarint> │
//! └────────┴────────────┴────────────────────┴─────────────┴──────────────────┘
//!   and behind a 1, the open chunk:
//! ┌────────────┬────────────┬───────────────┬───────────────┬───────────────┬────────────┐
//! │ mint <64b> │ maxt <64b> │ encoding <8b> │ len <uvarint> │ chunk <bytes> │ last value │
//! └────────────┴────────────┴───────────────┴───────────────┴───────────────┴────────────┘
//!   last value of floats:     3 × 128 bits and 64 bits, not used; the value <64b>
//!   of histograms:            the histogram, as in WAL
//! tombstones, one:
//! ┌────────┬───────────────┬─────────────────────────────────────────────────┐
//! │ 2 <8b> │ len <uvarint> │ version and entries of a block's tombstone file │
//! └────────┴───────────────┴─────────────────────────────────────────────────┘
//! exemplars, any number:
//! ┌────────┬────────────────────────────────────────┐
//! │ 3 <8b> │ as in the WAL behind its own type byte │
//! └────────┴────────────────────────────────────────┘
//! ```
//!
//! Numbers are big endian. Source: `tsdb/docs/format/memory_snapshot.md` and `tsdb/head_wal.go` of Prometheus 3.

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

/// The type byte of a series.
pub(super) const SERIES: u8 = 1;
/// The type byte of the tombstones.
pub(super) const TOMBSTONES: u8 = 2;
/// The type byte of exemplars.
pub(super) const EXEMPLARS: u8 = 3;

/// Older versions kept the last four samples of a chunk of floats; of these only the last value is used. Bytes before it.
const UNUSED_OF_FLOATS: usize = 3 * 16 + 8;

/// A series as a snapshot has it.
#[derive(Debug, Clone)]
pub(super) struct SnapshotSeries<'a> {
    pub(super) reference: SeriesRef,
    pub(super) labels: Labels,
    pub(super) open: Option<SnapshotChunk<'a>>,
}

/// The chunk of a series that was still growing.
#[derive(Debug, Clone)]
pub(super) struct SnapshotChunk<'a> {
    /// Time of its first and last sample, ms.
    pub(super) mint: i64,
    pub(super) maxt: i64,
    pub(super) encoding: ChunkEncoding,
    pub(super) bytes: &'a [u8],
    /// The value of its last sample, of the kind that the encoding says.
    pub(super) last: SampleValue,
}

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotRecordError {
    /// The labels are none.
    #[error(transparent)]
    Decode(#[from] DecodeRecordError),
    /// It ends early, or a number in it can't be.
    #[error(transparent)]
    Bytes(#[from] ByteError),
    /// A series without a label or with the reference 0.
    #[error("a series without labels or reference")]
    NoSeries,
    /// A chunk of an encoding that is not known.
    #[error("a chunk of the unknown encoding {0}")]
    Encoding(u8),
    /// Something follows where the record should end.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
}

/// Appends the record of a series.
pub(super) fn put_series(
    out: &mut Vec<u8>,
    reference: SeriesRef,
    labels: &Labels,
    open: Option<&SnapshotChunk<'_>>,
) {
    out.push(SERIES);
    put_be_u64(out, reference.0);
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
            out.resize(out.len() + UNUSED_OF_FLOATS, 0);
            put_be_u64(out, v.to_bits());
        }
        SampleValue::Histogram(histogram) => put_histogram(out, histogram),
        SampleValue::FloatHistogram(histogram) => put_float_histogram(out, histogram),
    }
}

/// Reads the record of a series.
pub(super) fn read_series(record: &[u8]) -> Result<SnapshotSeries<'_>, SnapshotRecordError> {
    let mut reader = ByteReader::new(record.get(1..).unwrap_or_default());
    let reference = SeriesRef(reader.be_u64()?);
    let labels = read_labels(&mut reader)?
        .filter(|_| reference.0 != 0)
        .ok_or(SnapshotRecordError::NoSeries)?;
    reader.be_i64()?;
    let open = if reader.uvarint()? == 0 { None } else { Some(read_chunk(&mut reader)?) };
    match reader.remaining() {
        0 => Ok(SnapshotSeries { reference, labels, open }),
        surplus => Err(SnapshotRecordError::TrailingBytes(surplus)),
    }
}

fn read_chunk<'a>(reader: &mut ByteReader<'a>) -> Result<SnapshotChunk<'a>, SnapshotRecordError> {
    let (mint, maxt) = (reader.be_i64()?, reader.be_i64()?);
    let byte = reader.u8()?;
    let encoding = ChunkEncoding::from_byte(byte).ok_or(SnapshotRecordError::Encoding(byte))?;
    let bytes = reader.uvarint_bytes()?;
    let last = match encoding.value_type() {
        ValueType::Float => {
            reader.bytes(UNUSED_OF_FLOATS)?;
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

    fn of_every_kind() -> [Vec<u8>; 3] {
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
    fn a_series_reads_back_with_and_without_a_chunk() {
        let record = record(ChunkEncoding::Xor, SampleValue::Float(-0.0));
        let series = read_series(&record).unwrap();
        assert_eq!(
            (series.reference, series.labels.to_string().as_str()),
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
    fn a_series_of_histograms_reads_back_with_its_last_one() {
        for (record, kind) in of_every_kind().iter().zip([
            ChunkEncoding::Xor2,
            ChunkEncoding::Histogram,
            ChunkEncoding::FloatHistogramSt,
        ]) {
            let open = read_series(record).unwrap().open.unwrap();
            assert_eq!((open.encoding, open.last.kind()), (kind, kind.value_type()));
            let sum = match open.last {
                SampleValue::Float(v) => v,
                SampleValue::Histogram(histogram) => histogram.sum,
                SampleValue::FloatHistogram(histogram) => histogram.sum,
            };
            assert_eq!(sum, if kind == ChunkEncoding::Xor2 { -0.0 } else { 1.5 });
        }
    }

    #[test]
    fn what_is_cut_off_or_too_long_or_unknown_is_an_error() {
        for whole in of_every_kind() {
            for len in 0..whole.len() {
                assert!(read_series(&whole[..len]).is_err(), "{len}");
            }
            let longer = [&whole[..], &[0]].concat();
            assert!(matches!(read_series(&longer), Err(SnapshotRecordError::TrailingBytes(1))));
        }
        let mut unknown = record(ChunkEncoding::Xor, SampleValue::Float(0.0));
        let at = unknown.windows(2).position(|pair| pair == [ChunkEncoding::Xor as u8, 5]).unwrap();
        unknown[at] = 99;
        assert!(matches!(read_series(&unknown), Err(SnapshotRecordError::Encoding(99))));
    }
}

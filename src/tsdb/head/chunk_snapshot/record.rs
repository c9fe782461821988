//! The records of a snapshot of the head.
//!
//! ```text
//! series, one each, in no order:
//! ┌────────┬────────────┬────────────────────┬─────────────┬──────────────────┐
//! │ 1 <8b> │ ref <64b>  │ labels, as in WAL  │ 0 <64b>     │ 0 or 1 <uvarint> │
//! └────────┴────────────┴────────────────────┴─────────────┴──────────────────┘
//!   and behind a 1, the open chunk; of floats:
//! ┌────────────┬────────────┬───────────────┬───────────────┬───────────────┬───────────────┬───────────────────┬──────────────────┐
//! │ mint <64b> │ maxt <64b> │ encoding <8b> │ len <uvarint> │ chunk <bytes> │ 3 × 128 bits  │ not used <64b>    │ last value <64b> │
//! └────────────┴────────────┴───────────────┴───────────────┴───────────────┴───────────────┴───────────────────┴──────────────────┘
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
use crate::tsdb::chunk::Encoding;
use crate::tsdb::encoding::byte_reader::{
    ByteError, ByteReader, put_be_i64, put_be_u64, put_uvarint, put_uvarint_bytes,
};
use crate::tsdb::wal::record::error::DecodeError;
use crate::tsdb::wal::record::label_set::{put_labels, read_labels};

/// The type byte of a series.
pub(super) const SERIES: u8 = 1;
/// The type byte of the tombstones.
pub(super) const TOMBSTONES: u8 = 2;
/// The type byte of exemplars.
pub(super) const EXEMPLARS: u8 = 3;

/// Older versions kept the last four samples of a chunk here; of these only the last value is used.
const OLD_SAMPLES: usize = 3;

/// A series as a snapshot has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SnapshotSeries<'a> {
    pub(super) reference: SeriesRef,
    pub(super) labels: Labels,
    pub(super) open: Option<SnapshotChunk<'a>>,
}

/// The chunk of a series that was still growing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SnapshotChunk<'a> {
    /// Time of its first and last sample, ms.
    pub(super) mint: i64,
    pub(super) maxt: i64,
    pub(super) encoding: Encoding,
    pub(super) bytes: &'a [u8],
    /// The value of its last sample.
    pub(super) last_value: f64,
}

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The labels are none.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It ends early, or a number in it can't be.
    #[error(transparent)]
    Bytes(#[from] ByteError),
    /// A series without a label or with the reference 0.
    #[error("a series without labels or reference")]
    NoSeries,
    /// A chunk of a kind that this version can't hold in the head.
    #[error("a chunk of encoding {0}, which this version can't continue")]
    Encoding(u8),
    /// Something follows where the record should end.
    #[error("{0} bytes too many")]
    Surplus(usize),
}

/// Appends the record of a series.
pub(super) fn put_series(out: &mut Vec<u8>, reference: SeriesRef, labels: &Labels, open: Option<SnapshotChunk<'_>>) {
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
    for _ in 0..OLD_SAMPLES {
        put_be_i64(out, 0);
        put_be_u64(out, 0);
    }
    put_be_i64(out, 0);
    put_be_u64(out, chunk.last_value.to_bits());
}

/// Reads the record of a series.
pub(super) fn read_series(record: &[u8]) -> Result<SnapshotSeries<'_>, RecordError> {
    let mut reader = ByteReader::new(record.get(1..).unwrap_or_default());
    let reference = SeriesRef(reader.be_u64()?);
    let labels = read_labels(&mut reader)?.filter(|_| reference.0 != 0).ok_or(RecordError::NoSeries)?;
    reader.be_i64()?;
    let open = if reader.uvarint()? == 0 { None } else { Some(read_chunk(&mut reader)?) };
    match reader.remaining() {
        0 => Ok(SnapshotSeries { reference, labels, open }),
        surplus => Err(RecordError::Surplus(surplus)),
    }
}

fn read_chunk<'a>(reader: &mut ByteReader<'a>) -> Result<SnapshotChunk<'a>, RecordError> {
    let (mint, maxt) = (reader.be_i64()?, reader.be_i64()?);
    let byte = reader.u8()?;
    let encoding = Encoding::from_byte(byte).filter(|encoding| matches!(encoding, Encoding::Xor | Encoding::Xor2));
    let encoding = encoding.ok_or(RecordError::Encoding(byte))?;
    let bytes = reader.uvarint_bytes()?;
    reader.bytes(OLD_SAMPLES * 16 + 8)?;
    Ok(SnapshotChunk { mint, maxt, encoding, bytes, last_value: reader.be_f64()? })
}

#[cfg(test)]
mod tests {
    use super::{RecordError, SnapshotChunk, put_series, read_series};
    use crate::model::labels::LabelsBuilder;
    use crate::model::refs::SeriesRef;
    use crate::tsdb::chunk::Encoding;

    fn record(encoding: Encoding) -> Vec<u8> {
        let labels = LabelsBuilder::from_iter([("__name__", "up"), ("job", "x")]).build().unwrap();
        let chunk = SnapshotChunk { mint: -5, maxt: 7, encoding, bytes: b"chunk", last_value: -0.0 };
        let mut out = Vec::new();
        put_series(&mut out, SeriesRef(9), &labels, Some(chunk));
        out
    }

    #[test]
    fn a_series_reads_back_with_and_without_a_chunk() {
        let record = record(Encoding::Xor);
        let series = read_series(&record).unwrap();
        assert_eq!(
            (series.reference, series.labels.to_string().as_str()),
            (SeriesRef(9), "{__name__=\"up\", job=\"x\"}")
        );
        let open = series.open.unwrap();
        assert_eq!(
            (open.mint, open.maxt, open.bytes, open.last_value.to_bits()),
            (-5, 7, &b"chunk"[..], (-0.0_f64).to_bits())
        );
        let mut bare = Vec::new();
        put_series(&mut bare, SeriesRef(9), &series.labels, None);
        assert_eq!(read_series(&bare).unwrap().open, None);
    }

    #[test]
    fn what_is_cut_off_or_too_long_or_can_t_be_continued_is_an_error() {
        let whole = record(Encoding::Xor2);
        for len in 0..whole.len() {
            assert!(read_series(&whole[..len]).is_err(), "{len}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(matches!(read_series(&longer), Err(RecordError::Surplus(1))));
        assert!(matches!(read_series(&record(Encoding::Histogram)), Err(RecordError::Encoding(2))));
    }
}

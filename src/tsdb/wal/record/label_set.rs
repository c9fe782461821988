//! Label sets in records.
//!
//! ```text
//! ┌─────────────┐
//! │ n <uvarint> │
//! ├─────────────┴─┬──────────────┬───────────────┬───────────────┐
//! │ len <uvarint> │ name <bytes> │ len <uvarint> │ value <bytes> │  n times
//! └───────────────┴──────────────┴───────────────┴───────────────┘
//! ```

use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder};
use crate::tsdb::encoding::byte_reader::{ByteReader, put_uvarint, put_uvarint_bytes};
use crate::tsdb::wal::record::error::DecodeRecordError;

/// Appends a label set in record format.
pub fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_uvarint_bytes(out, name.as_bytes());
        put_uvarint_bytes(out, value.as_bytes());
    }
}

/// Reads a label set; `None` if it has no labels.
///
/// # Errors
/// [`DecodeRecordError`] if the bytes end early or are not a valid label set.
pub fn read_labels(reader: &mut ByteReader<'_>) -> Result<Option<Labels>, DecodeRecordError> {
    // A label takes at least two bytes, those of its lengths.
    let count = reader.bounded_count(2)?;
    let mut builder = LabelsBuilder::new();
    for _ in 0..count {
        let name = reader.uvarint_str()?;
        let value = reader.uvarint_str()?;
        builder.add(name, value);
    }
    match builder.build() {
        Ok(labels) => Ok(Some(labels)),
        Err(BuildLabelsError::Empty) => Ok(None),
        Err(source) => Err(DecodeRecordError::Labels { offset: reader.offset(), source }),
    }
}

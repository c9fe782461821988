//! M-map marker records, in the WBL only: out-of-order samples up to here are in `chunks_head/`.
//!
//! ```text
//! ┌──────────┐
//! │ type = 5 │
//! ├──────────┴───┬────────────────────┐
//! │ ref <8b, BE> │ chunk ref <8b, BE> │  per entry
//! └──────────────┴────────────────────┘
//! ```

use crate::model::refs::{HeadChunkRef, SeriesRef};
use crate::tsdb::encoding::byte_reader::{ByteReader, put_be_u32, put_be_u64};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::record_type::RecordType;

/// Marker of an m-mapped chunk of out-of-order samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefMmapMarker {
    /// Series that the chunk belongs to.
    pub series: SeriesRef,
    /// Location of the chunk in `chunks_head/`.
    pub chunk: HeadChunkRef,
}

/// Starts an m-map marker record at the end of `out`.
pub fn begin_mmap_markers(out: &mut Vec<u8>) {
    out.push(RecordType::MmapMarkers.as_byte());
}

/// Appends a marker to a started record.
pub fn put_mmap_marker(out: &mut Vec<u8>, marker: RefMmapMarker) {
    put_be_u64(out, marker.series.0);
    put_be_u32(out, marker.chunk.file());
    put_be_u32(out, marker.chunk.offset());
}

/// Decodes an m-map marker record.
///
/// # Errors
/// [`DecodeRecordError`] if the record has another type or ends within an entry.
pub fn decode_mmap_markers(record: &[u8]) -> Result<Vec<RefMmapMarker>, DecodeRecordError> {
    let found = RecordType::from_record(record);
    if found != RecordType::MmapMarkers {
        return Err(DecodeRecordError::UnexpectedType { expected: RecordType::MmapMarkers, found });
    }
    let mut reader = ByteReader::new(&record[1..]);
    let mut markers = Vec::with_capacity(reader.remaining() / 16);
    while !reader.is_empty() {
        let series = SeriesRef(reader.be_u64()?);
        let chunk = HeadChunkRef::new(reader.be_u32()?, reader.be_u32()?);
        markers.push(RefMmapMarker { series, chunk });
    }
    Ok(markers)
}

#[cfg(test)]
mod tests {
    use super::{begin_mmap_markers, decode_mmap_markers, put_mmap_marker};

    #[test]
    fn file_and_offset_decode_and_truncated_entry_fails() {
        let record = b"\x05\0\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0\x08";
        let decoded = decode_mmap_markers(record).unwrap();
        let mut again = Vec::new();
        begin_mmap_markers(&mut again);
        decoded.iter().for_each(|marker| put_mmap_marker(&mut again, *marker));
        assert_eq!(again, record);
        assert_eq!(
            (decoded[0].series.0, decoded[0].chunk.file(), decoded[0].chunk.offset()),
            (2, 3, 8)
        );
        assert!(decode_mmap_markers(&record[..16]).is_err());
        assert_eq!(decode_mmap_markers(b"\x05").unwrap(), []);
    }
}

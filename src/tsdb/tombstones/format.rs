//! Format of the file `tombstones`.
//!
//! ```text
//! ┌───────────────┬───────────┬──────────────── any number ───────────────────┬─────────────┐
//! │ magic (4, BE) │ version 1 │ series (uvarint), mint (varint), maxt (varint) │ CRC-32C (4) │
//! └───────────────┴───────────┴────────────────────────────────────────────────┴─────────────┘
//! ```
//!
//! The magic number is 0x0130BA30. The checksum covers the entries only. `mint` and `maxt` are in
//! ms, both inclusive.
//!
//! # Compatibility
//! Prometheus's documentation (`tsdb/docs/format/tombstones.md`) mentions an offset and trailing
//! padding, its code (`tsdb/tombstones/tombstones.go`) does not have them. Prometheus groups
//! entries by series without an order; narthex sorts series and ranges. Files with duplicate,
//! adjacent or unsorted entries are read as well.

use crate::model::time::TimeRange;
use crate::tsdb::encoding::byte_reader::{
    ByteError, ByteReader, put_be_u32, put_uvarint, put_varint,
};
use crate::tsdb::encoding::checksum::crc32c;
use crate::tsdb::tombstones::Tombstones;

const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;
const HEADER: usize = 5;
const CRC: usize = 4;

/// Defect in the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TombstonesFormatError {
    /// The file is shorter than an empty set.
    #[error("file is too too_short: {0} bytes")]
    FileLength(usize),
    /// The file does not start with the magic number.
    #[error("bad magic {0:#010x}, expected 0x0130ba30")]
    Magic(u32),
    /// The format version is unknown.
    #[error("unknown format version {0}")]
    Version(u8),
    /// The stored checksum does not match the entries.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    Checksum {
        /// Checksum in the file.
        stored: u32,
        /// Checksum of the entries.
        computed: u32,
    },
    /// An entry is invalid. The offset counts from the first entry.
    #[error("invalid entry: {0}")]
    Entry(#[from] ByteError),
}

/// Encodes the file for `tombstones`.
#[must_use]
pub fn encode(tombstones: &Tombstones) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_be_u32(&mut bytes, MAGIC);
    bytes.push(VERSION);
    put_entries(&mut bytes, tombstones);
    let sum = crc32c(&bytes[HEADER..]);
    put_be_u32(&mut bytes, sum);
    bytes
}

/// Encodes version and entries only, as in a chunk snapshot of the head, whose records have a
/// checksum of their own.
#[must_use]
pub fn encode_body(tombstones: &Tombstones) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put_entries(&mut bytes, tombstones);
    bytes
}

fn put_entries(bytes: &mut Vec<u8>, tombstones: &Tombstones) {
    for (series, intervals) in tombstones.iter() {
        for range in intervals.iter() {
            put_uvarint(bytes, series);
            put_varint(bytes, range.mint);
            put_varint(bytes, range.maxt);
        }
    }
}

/// Decodes version and entries only.
///
/// # Errors
/// [`TombstonesFormatError`] if the bytes are malformed.
pub fn decode_body(bytes: &[u8]) -> Result<Tombstones, TombstonesFormatError> {
    match bytes.split_first() {
        None => Err(TombstonesFormatError::FileLength(0)),
        Some((&VERSION, entries)) => read_entries(entries),
        Some((&version, _)) => Err(TombstonesFormatError::Version(version)),
    }
}

/// Decodes a complete file.
///
/// # Errors
/// [`TombstonesFormatError`] if the bytes are malformed.
pub fn decode(bytes: &[u8]) -> Result<Tombstones, TombstonesFormatError> {
    let too_short = TombstonesFormatError::FileLength(bytes.len());
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(too_short)?;
    let (entries, stored) = rest.split_last_chunk::<CRC>().ok_or(too_short)?;
    let [magic @ .., version] = *header;
    if u32::from_be_bytes(magic) != MAGIC {
        return Err(TombstonesFormatError::Magic(u32::from_be_bytes(magic)));
    }
    if version != VERSION {
        return Err(TombstonesFormatError::Version(version));
    }
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(entries));
    if stored != computed {
        return Err(TombstonesFormatError::Checksum { stored, computed });
    }
    read_entries(entries)
}

fn read_entries(entries: &[u8]) -> Result<Tombstones, TombstonesFormatError> {
    let mut tombstones = Tombstones::default();
    let mut reader = ByteReader::new(entries);
    while !reader.is_empty() {
        let series = reader.uvarint()?;
        tombstones.add(series, TimeRange::new(reader.varint()?, reader.varint()?));
    }
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use super::{TombstonesFormatError, decode, decode_body, encode, encode_body};
    use crate::model::time::TimeRange;
    use crate::tsdb::encoding::checksum::crc32c;
    use crate::tsdb::tombstones::Tombstones;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn body_has_version_and_entries_only() {
        assert_eq!(encode_body(&Tombstones::default()), [1]);
        let body = encode_body(&example());
        assert_eq!(body, encode(&example())[4..][..body.len()]);
        assert_eq!(decode_body(&body), Ok(example()));
        assert_eq!(
            decode_body(&encode(&example())[1..]),
            Err(TombstonesFormatError::Version(0x30))
        );
        assert_eq!(decode_body(&[]), Err(TombstonesFormatError::FileLength(0)));
        assert!(matches!(
            decode_body(&body[..body.len() - 1]),
            Err(TombstonesFormatError::Entry(_))
        ));
    }

    fn example() -> Tombstones {
        let mut set = Tombstones::default();
        for (series, mint, maxt) in [(300, -1, 1), (300, 5, 5), (2, i64::MIN, i64::MAX)] {
            set.add(series, TimeRange::new(mint, maxt));
        }
        set
    }

    #[test]
    fn empty_set_encodes_as_in_prometheus() {
        assert_eq!(encode(&Tombstones::default()), [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn every_changed_or_missing_byte_is_detected() {
        let bytes = encode(&example());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(decode(&changed).is_err(), "bit {bit} of byte {at}");
            }
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn duplicate_and_adjacent_entries_are_accepted() {
        let file = |entries: &[u8]| {
            let mut bytes = vec![0x01, 0x30, 0xba, 0x30, 1];
            bytes.extend_from_slice(entries);
            bytes.extend_from_slice(&crc32c(entries).to_be_bytes());
            bytes
        };
        let set = decode(&file(&[9, 2, 4, 8, 0, 2, 9, 0, 2, 9, 6, 6, 7, 4, 2])).unwrap();
        let ranges: Vec<_> = set
            .iter()
            .map(|(series, intervals)| (series, intervals.iter().copied().collect::<Vec<_>>()))
            .collect();
        assert_eq!(ranges, [(8, vec![TimeRange::new(0, 1)]), (9, vec![TimeRange::new(0, 3)])]);
        assert!(matches!(decode(&file(&[9, 2])), Err(TombstonesFormatError::Entry(_))));
    }

    proptest! {
        #[test]
        fn written_set_is_read_back(
            ranges in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i64>()), 0..20),
        ) {
            let mut set = Tombstones::default();
            for (series, a, b) in ranges {
                set.add(series % 4, TimeRange::new(a.min(b), a.max(b)));
            }
            prop_assert_eq!(decode(&encode(&set)), Ok(set));
        }
    }
}

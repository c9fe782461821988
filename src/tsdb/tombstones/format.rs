//! The bytes of the file `tombstones`. Pure; no file is touched here.
//!
//! ```text
//! ┌─────────────────────────┬───────────┬ any number ──────────────────────────────────┬─────────────────────┐
//! │ magic 0x0130BA30 (4, BE)│ version 1 │ series (uvarint) │ mint (varint)│ maxt (varint)│ CRC-32C of them (4) │
//! └─────────────────────────┴───────────┴──────────────────────────────────────────────┴─────────────────────┘
//! ```
//!
//! The checksum covers the entries alone: magic number and version have one right value each. mint and maxt are ms, both included.
//! The format's page in Prometheus (`tsdb/docs/format/tombstones.md`) speaks of an offset and padding at the end; its code
//! (`tsdb/tombstones/tombstones.go`) knows none. The entries of a series stand together there, the series in no order; here
//! they rise, as do the ranges of each. A file that repeats, joins or mixes them is read as well.

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

/// What is wrong with the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TombstonesFormatError {
    /// Shorter than the shortest file.
    #[error("file of {0} bytes")]
    FileLength(usize),
    /// Another kind of file.
    #[error("magic number is {0:#010x}, not 0x0130ba30")]
    Magic(u32),
    /// A format that is not known.
    #[error("format version {0}")]
    Version(u8),
    /// The bytes are not those that were written.
    #[error("checksum is {computed:#010x}, stored is {stored:#010x}")]
    Checksum {
        /// The sum that stands in the file.
        stored: u32,
        /// The sum of its entries.
        computed: u32,
    },
    /// An entry that is cut short; its offset counts from the first entry.
    #[error("entries: {0}")]
    Entry(#[from] ByteError),
}

/// The bytes of a file with these tombstones.
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

/// Version and entries alone, as a snapshot of the head has them: what stands around them has the checksum.
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

/// Reads version and entries alone.
///
/// # Errors
/// [`TombstonesFormatError`] where they are not that.
pub fn decode_body(bytes: &[u8]) -> Result<Tombstones, TombstonesFormatError> {
    match bytes.split_first() {
        None => Err(TombstonesFormatError::FileLength(0)),
        Some((&VERSION, entries)) => read_entries(entries),
        Some((&version, _)) => Err(TombstonesFormatError::Version(version)),
    }
}

/// Reads the bytes of a whole file.
///
/// # Errors
/// [`TombstonesFormatError`] where they are not one.
pub fn decode(bytes: &[u8]) -> Result<Tombstones, TombstonesFormatError> {
    let short = TombstonesFormatError::FileLength(bytes.len());
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(short)?;
    let (entries, stored) = rest.split_last_chunk::<CRC>().ok_or(short)?;
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
    fn a_snapshot_has_version_and_entries_and_no_more() {
        assert_eq!(encode_body(&Tombstones::default()), [1]);
        let bare = encode_body(&example());
        assert_eq!(bare, encode(&example())[4..][..bare.len()]);
        assert_eq!(decode_body(&bare), Ok(example()));
        assert_eq!(
            decode_body(&encode(&example())[1..]),
            Err(TombstonesFormatError::Version(0x30))
        );
        assert_eq!(decode_body(&[]), Err(TombstonesFormatError::FileLength(0)));
        assert!(matches!(
            decode_body(&bare[..bare.len() - 1]),
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
    fn an_empty_set_has_the_bytes_of_prometheuss() {
        assert_eq!(encode(&Tombstones::default()), [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let whole = encode(&example());
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert!(decode(&changed).is_err(), "bit {bit} of byte {at}");
            }
            assert!(decode(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn entries_may_repeat_and_touch_but_not_end_early() {
        let file = |entries: &[u8]| {
            let mut bytes = vec![0x01, 0x30, 0xba, 0x30, 1];
            bytes.extend_from_slice(entries);
            bytes.extend_from_slice(&crc32c(entries).to_be_bytes());
            bytes
        };
        let set = decode(&file(&[9, 2, 4, 8, 0, 2, 9, 0, 2, 9, 6, 6, 7, 4, 2])).unwrap();
        let found: Vec<_> = set
            .iter()
            .map(|(series, times)| (series, times.iter().copied().collect::<Vec<_>>()))
            .collect();
        assert_eq!(found, [(8, vec![TimeRange::new(0, 1)]), (9, vec![TimeRange::new(0, 3)])]);
        assert!(matches!(decode(&file(&[9, 2])), Err(TombstonesFormatError::Entry(_))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ranges in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i64>()), 0..20),
        ) {
            let mut set = Tombstones::default();
            ranges.into_iter().for_each(|(series, a, b)| set.add(series % 4, TimeRange::new(a.min(b), a.max(b))));
            prop_assert_eq!(decode(&encode(&set)), Ok(set));
        }
    }
}

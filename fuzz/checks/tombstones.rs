//! Tombstones files of a block: intervals as the entries declare them, or an error; they survive a
//! rewrite.
//!
//! The bytes are read twice: unchanged, and between a magic number and a correct checksum.

use narthex::model::time::TimeRange;
use narthex::tsdb::encoding::byte_reader::ByteReader;
use narthex::tsdb::encoding::checksum::crc32c;
use narthex::tsdb::tombstones::format::{TombstonesFormatError, decode, encode};

/// Magic number, version 1.
const HEADER: [u8; 5] = [0x01, 0x30, 0xba, 0x30, 1];

/// Panics if reading and writing disagree.
pub(crate) fn check(data: &[u8]) {
    let sealed = [&HEADER, data, &crc32c(data).to_be_bytes()].concat();
    if let Ok(set) = decode(data) {
        assert_eq!(decode(&encode(&set)), Ok(set));
        assert!(data.starts_with(&HEADER));
    }
    let (ranges, whole) = entries(data);
    match decode(&sealed) {
        Err(error) => {
            assert!(!whole && matches!(error, TombstonesFormatError::Entry(_)), "{error}")
        }
        Ok(set) => {
            assert!(whole && set.interval_count() <= ranges.len() as u64);
            for (series, range) in &ranges {
                let empty = range.mint > range.maxt;
                assert!(empty || set.get(*series).is_some_and(|deleted| deleted.covers(*range)));
            }
            for (series, deleted) in set.iter() {
                let named =
                    |t| ranges.iter().any(|(own, range)| *own == series && range.contains(t));
                assert!(
                    !deleted.is_empty()
                        && deleted.iter().all(|range| named(range.mint) && named(range.maxt))
                );
            }
            let again = encode(&set);
            assert!(
                again.len() <= sealed.len()
                    || ranges.iter().any(|(_, range)| range.mint > range.maxt)
            );
            assert_eq!(decode(&again), Ok(set));
        }
    }
}

/// Decodes the entries independently. Returns `true` if the last one is complete.
fn entries(data: &[u8]) -> (Vec<(u64, TimeRange)>, bool) {
    let mut reader = ByteReader::new(data);
    let mut found = Vec::new();
    while !reader.is_empty() {
        let (Ok(series), Ok(mint), Ok(maxt)) = (reader.uvarint(), reader.varint(), reader.varint())
        else {
            return (found, false);
        };
        found.push((series, TimeRange::new(mint, maxt)));
    }
    (found, true)
}

//! WAL segments: they end cleanly or with a corruption at an offset, and the records before it are
//! intact.
//!
//! Randomly changed bytes fail at the first checksum. They are therefore read three times:
//! unchanged, with correct checksums, and as a script that builds a segment of several pages.

use super::wal_record;
use narthex::tsdb::encoding::checksum::crc32c;
use narthex::tsdb::wal::corruption::{CorruptionExtent, WalCorruption};
use narthex::tsdb::wal::page::{HEADER_SIZE, PAGE_SIZE};
use narthex::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use std::iter::repeat;

/// Maximum number of pages of a scripted segment.
const SCRIPT_PAGES: usize = 4;

/// Bit of a script step: the fragment fills its page. In a segment, the bit is unused.
const FILL: u8 = 0x20;

/// Fill byte. No fragment starts with it, so that the search behind a corruption is fast.
const FILLER: u8 = 7;

/// Maximum number of decoded records: a few bytes of zstd can contain very many.
const DECODED: usize = 1 << 20;

/// Panics if the reader returns an invalid result.
pub(crate) fn check(data: &[u8]) {
    check_segment(data);
    check_segment(&with_checksums(data));
    check_segment(&build_segment(data));
}

/// Length and checksum of each record, and the corruption.
struct Content {
    records: Vec<(usize, u32)>,
    /// End of the valid records, bytes.
    good_end: usize,
    damage: Option<Box<WalCorruption>>,
}

fn check_segment(segment: &[u8]) {
    let content = read(segment);
    // Truncated at the reported offset, the segment has the same records and no corruption.
    let kept = read(&segment[..content.good_end]);
    assert_eq!(kept.records, content.records);
    assert!(kept.damage.is_none(), "{:?} after {:?}", kept.damage, content.damage);
    assert_eq!(kept.good_end, content.good_end);
}

fn read(segment: &[u8]) -> Content {
    let mut reader = LogSegmentReader::from_bytes(segment);
    let mut records = Vec::new();
    let mut good_end = 0;
    loop {
        match reader.next_record() {
            Ok(None) => break,
            Ok(Some(record)) => {
                assert!(!record.is_empty());
                records.push((record.len(), crc32c(record)));
                if record.len() <= DECODED {
                    wal_record::check(record);
                }
            }
            Err(ReadLogError::Corrupted(damage)) => {
                let end = in_bounds(&damage, reader.valid_end(), segment.len());
                assert!(end >= good_end);
                return Content { records, good_end: end as usize, damage: Some(damage) };
            }
            Err(error @ ReadLogError::Io { .. }) => panic!("memory can be read: {error}"),
        }
        assert!(good_end < reader.valid_end() && reader.valid_end() <= segment.len() as u64);
        good_end = reader.valid_end();
    }
    assert!(reader.valid_end() <= segment.len() as u64);
    Content { records, good_end: reader.valid_end() as usize, damage: None }
}

/// Checks the offsets of the corruption. Returns the end of the valid records before it.
fn in_bounds(damage: &WalCorruption, readers: u64, len: usize) -> u64 {
    assert!(damage.good_end <= damage.offset && damage.offset <= len as u64, "{damage:?} of {len}");
    // The reader counts a record before it fails to decompress it.
    assert!(damage.good_end <= readers && readers <= len as u64, "{damage:?}, reader at {readers}");
    assert!(
        damage.extent == CorruptionExtent::Middle || damage.reason.may_be_torn_write(),
        "{damage:?}"
    );
    damage.good_end
}

/// Returns the bytes with the correct checksum for every fragment that ends within its page.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut segment = data.to_vec();
    for page in segment.chunks_mut(PAGE_SIZE) {
        let mut rest = page;
        while let Some((header, body)) = rest.split_first_chunk_mut::<HEADER_SIZE>() {
            let len = usize::from(u16::from_be_bytes([header[1], header[2]]));
            let Some((content, behind)) =
                body.split_at_mut_checked(len).filter(|_| header[0] & 7 != 0)
            else {
                break;
            };
            header[3..].copy_from_slice(&crc32c(content).to_be_bytes());
            rest = behind;
        }
    }
    segment
}

/// Builds a segment from a script of steps: type byte, length, data. Zeros are avoided: the search
/// for a record after a corruption is quadratic in them.
fn build_segment(mut script: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    while let [kind, len, rest @ ..] = script {
        let room = PAGE_SIZE - segment.len() % PAGE_SIZE;
        if segment.len() >= SCRIPT_PAGES * PAGE_SIZE {
            break;
        }
        let (content, behind) = rest.split_at(rest.len().min(usize::from(*len)));
        script = behind;
        if room < HEADER_SIZE + content.len() {
            segment.resize(segment.len() + room, 0);
            continue;
        }
        let content = match kind & FILL {
            0 => content.to_vec(),
            _ => content.iter().copied().chain(repeat(FILLER)).take(room - HEADER_SIZE).collect(),
        };
        segment.push(*kind);
        segment.extend_from_slice(&(content.len() as u16).to_be_bytes());
        segment.extend_from_slice(&crc32c(&content).to_be_bytes());
        segment.extend_from_slice(&content);
    }
    segment
}

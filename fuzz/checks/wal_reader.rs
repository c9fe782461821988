//! Any bytes as a segment of the log: they end cleanly or in damage with a place, and what stands before it is whole.
//!
//! Bytes that were changed at random fail at their first checksum. So they are read three times: as they are; with every
//! checksum put right; and taken as a script of which a segment of several pages is made.

use super::wal_record;
use narthex::tsdb::encoding::checksum::crc32c;
use narthex::tsdb::wal::corruption::{CorruptionExtent, WalCorruption};
use narthex::tsdb::wal::page::{HEADER_SIZE, PAGE_SIZE};
use narthex::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use std::iter::repeat;

/// The most pages that a script makes.
const SCRIPT_PAGES: usize = 4;

/// In a script: the fragment is to fill its page. (In a segment the bit means nothing.)
const FILL: u8 = 0x20;

/// What it is filled with: no fragment begins with it, so that looking for one behind damage is quick.
const FILLER: u8 = 7;

/// Records beyond this are counted but not decoded: a few bytes of zstd can make very many.
const DECODED: usize = 1 << 20;

/// Panics where the reader gives what it should not.
pub(crate) fn check(data: &[u8]) {
    check_segment(data);
    check_segment(&sealed(data));
    check_segment(&laid_out(data));
}

/// What a segment holds; of each record its length and checksum.
struct Content {
    records: Vec<(usize, u32)>,
    /// Where what is to be kept ends.
    good_end: usize,
    damage: Option<Box<WalCorruption>>,
}

fn check_segment(segment: &[u8]) {
    let content = read(segment);
    // Cut where the damage report says, the segment has the same records and no fault.
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
            Err(ReadLogError::Damaged(damage)) => {
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

/// The end of what is good before the damage.
fn in_bounds(damage: &WalCorruption, readers: u64, len: usize) -> u64 {
    assert!(damage.good_end <= damage.offset && damage.offset <= len as u64, "{damage:?} of {len}");
    // The reader had counted a record that it then could not decompress.
    assert!(damage.good_end <= readers && readers <= len as u64, "{damage:?}, reader at {readers}");
    assert!(
        damage.extent == CorruptionExtent::Middle || damage.reason.may_be_torn_write(),
        "{damage:?}"
    );
    damage.good_end
}

/// The same bytes, but every fragment that ends within its page has the checksum of its data.
fn sealed(data: &[u8]) -> Vec<u8> {
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

/// A segment after a script of steps: a type byte, a length, as many bytes of data. Zeros are few: to look for a record behind
/// damage takes time quadratic in them.
fn laid_out(mut script: &[u8]) -> Vec<u8> {
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

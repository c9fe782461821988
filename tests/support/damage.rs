//! Corruption of WAL segments, and the offsets of their records.
//!
//! A segment is a row of pages of 32 KiB; a page is a row of fragments, each a header of 7 bytes
//! (type, two bytes of length, four of CRC-32C over the data) and its data; zeros fill the end of a
//! page that has no room for another header.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

/// Size of a page, bytes.
pub(crate) const PAGE: u64 = 32 * 1024;

const HEADER: usize = 7;

/// Bits of the type byte with the fragment type. The other bits are the compression.
const KIND: u8 = 7;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

pub(crate) fn cut(file: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(file).expect("the file can be opened");
    file.set_len(length).expect("the file can be cut");
}

/// Inverts a bit of a file.
pub(crate) fn flip(file: &Path, byte: u64, bit: u32) {
    let mut file =
        OpenOptions::new().read(true).write(true).open(file).expect("the file can be opened");
    let mut value = [0];
    file.seek(SeekFrom::Start(byte)).expect("the byte is there");
    file.read_exact(&mut value).expect("the byte is there");
    value[0] ^= 1 << bit;
    file.seek(SeekFrom::Start(byte)).expect("the byte is there");
    file.write_all(&value).expect("the byte can be written");
}

/// Appends bytes to a file.
pub(crate) fn append(file: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(file).expect("the file can be opened");
    file.write_all(bytes).expect("the bytes can be written");
}

/// Position and type of a fragment.
struct Fragment {
    bytes: Range<u64>,
    begins_record: bool,
}

/// Parses the fragments of a segment.
fn fragments(segment: &Path) -> Vec<Fragment> {
    let bytes = std::fs::read(segment).expect("the segment can be read");
    let page = usize::try_from(PAGE).expect("a page fits into memory");
    let mut fragments = Vec::new();
    let mut at = 0;
    while at + HEADER <= bytes.len() {
        let room = page - at % page;
        let kind = bytes[at] & KIND;
        if kind == 0 || room < HEADER {
            at += room;
            continue;
        }
        let begin = at as u64;
        at += HEADER + usize::from(u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]));
        fragments.push(Fragment {
            bytes: begin..at as u64,
            begins_record: kind != MIDDLE && kind != LAST,
        });
    }
    fragments
}

/// Returns the byte ranges of the records of a segment.
pub(crate) fn records(segment: &Path) -> Vec<Range<u64>> {
    let mut records: Vec<Range<u64>> = Vec::new();
    for fragment in fragments(segment) {
        match records.last_mut() {
            Some(record) if !fragment.begins_record => record.end = fragment.bytes.end,
            _ => records.push(fragment.bytes),
        }
    }
    records
}

/// Returns `true` if the byte is the type of a fragment, which no checksum covers.
pub(crate) fn is_type_byte(segment: &Path, offset: u64) -> bool {
    fragments(segment).iter().any(|fragment| fragment.bytes.start == offset)
}

//! Pages: the layout of records in a segment.
//!
//! ```text
//! segment: pages of 32 KiB, no header; the last page may be shorter, as if zeros followed
//! page:    fragments, then zeros
//! ┌───────────┬─────────────┬─────────────────────────┬─────────────┐
//! │ type <1b> │ len <2b,BE> │ CRC-32C of data <4b,BE> │ data <len>  │
//! └───────────┴─────────────┴─────────────────────────┴─────────────┘
//! type: bits 0..=2  0 the rest of the page is zeros
//!                   1 a complete record   2 first, 3 middle, 4 last fragment of a record
//!       bit 3 snappy, bit 4 zstd: compression of the record   bits 5..=7 unused, ignored
//!       0xff        a write begins here that was not finished
//! ```
//!
//! A record is split only at the end of a page, so a fragment never crosses one. Fewer than 7 bytes
//! at the end of a page stay zero. A record never crosses segments. The checksum does not cover
//! type and length; [`crate::tsdb::wal::reader`] lists which bit flips there are detected. Source:
//! `tsdb/wlog` of Prometheus 3.14.

use crate::tsdb::encoding::checksum::crc32c;
use crate::tsdb::wal::compression::RecordCompression;

/// Size of a page, bytes.
pub const PAGE_SIZE: usize = 32 * 1024;

/// Size of a fragment header, bytes.
pub const HEADER_SIZE: usize = 7;

const ROLE_MASK: u8 = 0b111;

/// Type byte of the first fragment of a write until all of the write is in the file. It differs
/// from every valid type in five bits or more. Prometheus reports an unknown type.
pub const UNFINISHED: u8 = 0xff;

/// Part of a record that a fragment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentType {
    /// The complete record, in one page.
    Full = 1,
    /// The start of a record that continues.
    First = 2,
    /// A part between the first and the last fragment.
    Middle = 3,
    /// The end of a record with several fragments.
    Last = 4,
}

impl FragmentType {
    /// Returns the type of a fragment from whether earlier ones exist and whether it ends the
    /// record.
    fn next(has_first: bool, complete: bool) -> Self {
        match (has_first, complete) {
            (false, true) => Self::Full,
            (false, false) => Self::First,
            (true, false) => Self::Middle,
            (true, true) => Self::Last,
        }
    }

    /// Returns `true` if the record ends with this fragment.
    #[must_use]
    pub fn ends_record(self) -> bool {
        matches!(self, Self::Full | Self::Last)
    }

    /// Returns `true` if a record starts with this fragment.
    #[must_use]
    pub fn begins_record(self) -> bool {
        matches!(self, Self::Full | Self::First)
    }
}

/// Fragment of a record, with a verified checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Part of the record.
    pub role: FragmentType,
    /// Compression of the whole record.
    pub compression: RecordCompression,
    /// Bytes of the record, without the fragment header.
    pub data: &'a [u8],
}

/// Content of a page at one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageItem<'a> {
    /// Zeros up to the end of the page.
    Padding,
    /// A fragment with a verified checksum.
    Fragment(Fragment<'a>),
}

/// Error of reading an offset of a page that holds neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// The file ends within the fragment.
    #[error("file ends within a fragment")]
    CutShort,
    /// The fragment would cross the end of the page.
    #[error("fragment of {len} bytes crosses the end of its page")]
    CrossesPage {
        /// Declared length of its data, bytes; 0 if the header itself does not fit.
        len: usize,
    },
    /// The write that begins here was not finished.
    #[error("unfinished write")]
    Unfinished,
    /// The type bits are none of 0 to 4.
    #[error("unknown fragment type {0:#04x}")]
    UnknownType(u8),
    /// The type is 0, but later bytes of the page are not.
    #[error("nonzero bytes in the padding of a page")]
    NotZero,
    /// The data does not match its checksum.
    #[error("checksum mismatch: stored {found:08x}, computed {computed:08x}")]
    Checksum {
        /// Checksum in the header.
        found: u32,
        /// Checksum of the data.
        computed: u32,
    },
}

/// Reads the item at `rest[0]`. `rest` ends with the page or with the file. `page_remaining` is the
/// number of bytes up to the end of the page and exceeds `rest` only at the end of the file.
///
/// # Errors
/// [`FragmentError`] if there is neither a fragment nor padding.
pub fn read_page_item(rest: &[u8], page_remaining: usize) -> Result<PageItem<'_>, FragmentError> {
    let Some((&type_byte, after)) = rest.split_first() else { return Ok(PageItem::Padding) };
    let role = match type_byte & ROLE_MASK {
        0 if after.iter().all(|&byte| byte == 0) => return Ok(PageItem::Padding),
        0 => return Err(FragmentError::NotZero),
        1 => FragmentType::Full,
        2 => FragmentType::First,
        3 => FragmentType::Middle,
        4 => FragmentType::Last,
        _ if type_byte == UNFINISHED => return Err(FragmentError::Unfinished),
        _ => return Err(FragmentError::UnknownType(type_byte)),
    };
    let Some((&[_, len_high, len_low, c0, c1, c2, c3], body)) =
        rest.split_first_chunk::<HEADER_SIZE>()
    else {
        return Err(if rest.len() < page_remaining {
            FragmentError::CutShort
        } else {
            FragmentError::CrossesPage { len: 0 }
        });
    };
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    if HEADER_SIZE + len > page_remaining {
        return Err(FragmentError::CrossesPage { len });
    }
    let Some(data) = body.get(..len) else { return Err(FragmentError::CutShort) };
    let (found, computed) = (u32::from_be_bytes([c0, c1, c2, c3]), crc32c(data));
    if found != computed {
        return Err(FragmentError::Checksum { found, computed });
    }
    Ok(PageItem::Fragment(Fragment {
        role,
        compression: RecordCompression::from_type_byte(type_byte),
        data,
    }))
}

/// Appends the fragments of a record to `out`, which ends at `offset` of its segment. The bytes
/// equal those of Prometheus. Pads the page at once if no further fragment fits.
pub fn append_record(
    out: &mut Vec<u8>,
    mut offset: u64,
    mut data: &[u8],
    compression: RecordCompression,
) {
    let mut has_first = false;
    loop {
        let page_remaining = PAGE_SIZE - page_offset(offset);
        let (part, rest) =
            data.split_at(data.len().min(page_remaining.saturating_sub(HEADER_SIZE)));
        let role = FragmentType::next(has_first, rest.is_empty());
        out.push(role as u8 | compression.flag());
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
        out.extend_from_slice(&crc32c(part).to_be_bytes());
        out.extend_from_slice(part);
        let remaining = page_remaining.saturating_sub(HEADER_SIZE + part.len());
        let padding = if remaining < HEADER_SIZE { remaining } else { 0 };
        out.resize(out.len() + padding, 0);
        offset += (HEADER_SIZE + part.len() + padding) as u64;
        if rest.is_empty() {
            return;
        }
        (data, has_first) = (rest, true);
    }
}

/// Returns the number of bytes from `offset` of a segment to the end of its page, 0 at the start of
/// a page.
#[must_use]
pub fn padding_at(offset: u64) -> usize {
    (PAGE_SIZE - page_offset(offset)) % PAGE_SIZE
}

/// Returns `true` if Prometheus would still put a record of `len` bytes into a segment filled up to
/// `offset`.
#[must_use]
pub fn fits(offset: u64, segment_size: u64, len: usize) -> bool {
    let page = PAGE_SIZE as u64;
    let here = (PAGE_SIZE - page_offset(offset)).saturating_sub(HEADER_SIZE) as i64;
    let pages_behind = (segment_size / page) as i64 - (offset / page) as i64 - 1;
    len as i64 <= here + (PAGE_SIZE - HEADER_SIZE) as i64 * pages_behind
}

/// Returns the offset within its page of an `offset` within a segment.
#[must_use]
pub fn page_offset(offset: u64) -> usize {
    (offset % PAGE_SIZE as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::{
        Fragment, FragmentError, FragmentType, HEADER_SIZE, PAGE_SIZE, PageItem, append_record,
        fits, padding_at, read_page_item,
    };
    use crate::tsdb::wal::compression::RecordCompression;

    #[test]
    fn record_leaving_six_bytes_pads_page() {
        let data = vec![1; PAGE_SIZE - HEADER_SIZE - 6];
        let mut out = Vec::new();
        append_record(&mut out, 0, &data, RecordCompression::None);
        assert_eq!(out.len(), PAGE_SIZE);
        let data = vec![1; PAGE_SIZE - HEADER_SIZE - 7];
        let mut out = Vec::new();
        append_record(&mut out, 0, &data, RecordCompression::None);
        assert_eq!(out.len(), PAGE_SIZE - 7);
        // Only an empty fragment still fits.
        append_record(&mut out, (PAGE_SIZE - 7) as u64, b"x", RecordCompression::Snappy);
        assert_eq!(
            out[PAGE_SIZE - 7..],
            [&[0x0a, 0, 0, 0, 0, 0, 0][..], &out[PAGE_SIZE..]].concat()
        );
        assert_eq!(out[PAGE_SIZE], 0x0c);
    }

    #[test]
    fn long_record_has_first_middle_and_last_fragments() {
        let data: Vec<u8> = (0..80_000u32).map(|i| i as u8).collect();
        let mut out = Vec::new();
        append_record(&mut out, 0, &data, RecordCompression::Zstd);
        let (mut types, mut joined) = (Vec::new(), Vec::new());
        for page in out.chunks(PAGE_SIZE) {
            let Ok(PageItem::Fragment(Fragment { role, compression, data })) =
                read_page_item(page, PAGE_SIZE)
            else {
                panic!("expected a fragment")
            };
            assert_eq!(compression, RecordCompression::Zstd);
            types.push(role);
            joined.extend_from_slice(data);
        }
        assert_eq!(types, [FragmentType::First, FragmentType::Middle, FragmentType::Last]);
        assert_eq!(joined, data);
    }

    #[test]
    fn invalid_fragments_are_distinguished() {
        let mut page = Vec::new();
        append_record(&mut page, 0, b"data", RecordCompression::None);
        assert_eq!(read_page_item(&page[..10], PAGE_SIZE), Err(FragmentError::CutShort));
        assert_eq!(read_page_item(&page[..5], PAGE_SIZE), Err(FragmentError::CutShort));
        assert_eq!(read_page_item(&page[..5], 5), Err(FragmentError::CrossesPage { len: 0 }));
        assert_eq!(read_page_item(&page, 10), Err(FragmentError::CrossesPage { len: 4 }));
        page[8] ^= 1;
        assert!(matches!(read_page_item(&page, PAGE_SIZE), Err(FragmentError::Checksum { .. })));
        page[0] = 5;
        assert_eq!(read_page_item(&page, PAGE_SIZE), Err(FragmentError::UnknownType(5)));
        page[0] = 0;
        assert_eq!(read_page_item(&page, PAGE_SIZE), Err(FragmentError::NotZero));
        assert_eq!(read_page_item(&[0; 9], PAGE_SIZE), Ok(PageItem::Padding));
    }

    #[test]
    fn segment_is_full_as_in_prometheus() {
        let size = 2 * PAGE_SIZE as u64;
        let capacity = 2 * (PAGE_SIZE - HEADER_SIZE);
        assert!(fits(0, size, capacity) && !fits(0, size, capacity + 1));
        assert!(fits(size - 10, size, 3) && !fits(size - 10, size, 4));
        assert!(fits(size, size, 0) && !fits(size, size, 1));
        assert_eq!((padding_at(0), padding_at(1), padding_at(size)), (0, PAGE_SIZE - 1, 0));
    }
}

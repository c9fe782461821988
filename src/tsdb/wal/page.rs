//! Pages: how records stand in a segment.
//!
//! ```text
//! segment: pages of 32 KiB, no header; only the last page of a file may be shorter, as if zeros followed
//! page:    fragments one behind the other; zeros from where no further one begins
//! ┌───────────┬─────────────┬──────────────────────┬────────────────┐
//! │ type <1b> │ len <2b,BE> │ CRC-32C of data <4b,BE> │ data <len>  │
//! └───────────┴─────────────┴──────────────────────┴────────────────┘
//! type: bits 0..=2  0 the rest of the page is zeros
//!                   1 a whole record   2 a record's first, 3 a middle, 4 its last fragment
//!       bit 3 snappy, bit 4 zstd: how the record is compressed   bits 5..=7 unused, not looked at
//! ```
//!
//! A record is split only where a page ends, so a fragment never crosses one; less than 7 bytes at a page's end stay zero.
//! A record never reaches into another segment. The checksum does not cover type and length: what a reader can notice of
//! a flipped bit there, and what not, stands in `reader.rs`. Source: `tsdb/wlog` of Prometheus 3.14.

use crate::tsdb::encoding::checksum::crc32c;
use crate::tsdb::wal::compression::RecordCompression;

/// The size of a page in bytes.
pub const PAGE_SIZE: usize = 32 * 1024;

/// The size of a fragment's header in bytes.
pub const HEADER_SIZE: usize = 7;

const ROLE_MASK: u8 = 0b111;

/// Which part of its record a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentType {
    /// All of it.
    Full = 1,
    /// Its beginning.
    First = 2,
    /// Neither beginning nor end.
    Middle = 3,
    /// Its end.
    Last = 4,
}

impl FragmentType {
    /// The role of the fragment that carries on a record of which `begun` was already seen.
    fn next(begun: bool, complete: bool) -> Self {
        match (begun, complete) {
            (false, true) => Self::Full,
            (false, false) => Self::First,
            (true, false) => Self::Middle,
            (true, true) => Self::Last,
        }
    }

    /// Whether the record ends with this fragment.
    #[must_use]
    pub fn ends_record(self) -> bool {
        matches!(self, Self::Full | Self::Last)
    }

    /// Whether a record begins with this fragment.
    #[must_use]
    pub fn begins_record(self) -> bool {
        matches!(self, Self::Full | Self::First)
    }
}

/// A fragment of a record, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Which part of the record it is.
    pub role: FragmentType,
    /// How the whole record is compressed.
    pub compression: RecordCompression,
    /// The fragment's bytes.
    pub data: &'a [u8],
}

/// What stands at a place in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageItem<'a> {
    /// Zeros to the end of the page.
    Padding,
    /// A fragment.
    Fragment(Fragment<'a>),
}

/// Why a place in a page holds neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// The file ends within the fragment.
    #[error("the file ends within a fragment")]
    CutShort,
    /// The fragment would reach into the next page.
    #[error("fragment of {len} bytes reaches over the end of its page")]
    CrossesPage {
        /// Its length as it declares it.
        len: usize,
    },
    /// There is no such fragment type.
    #[error("unknown fragment type {0:#04x}")]
    UnknownType(u8),
    /// Something stands where the page should be empty.
    #[error("bytes other than zero in the unused rest of a page")]
    NotZero,
    /// The data are not those that were written.
    #[error("checksum {found:08x} where the data give {computed:08x}")]
    Checksum {
        /// What the header says.
        found: u32,
        /// What the data give.
        computed: u32,
    },
}

/// Reads what stands at `rest[0]`. `rest` goes to the end of the page, or of the file where `room`, the bytes up to the end
/// of the page, are more.
///
/// # Errors
/// [`FragmentError`].
pub fn read_page_item(rest: &[u8], room: usize) -> Result<PageItem<'_>, FragmentError> {
    let Some((&type_byte, after)) = rest.split_first() else { return Ok(PageItem::Padding) };
    let role = match type_byte & ROLE_MASK {
        0 if after.iter().all(|&byte| byte == 0) => return Ok(PageItem::Padding),
        0 => return Err(FragmentError::NotZero),
        1 => FragmentType::Full,
        2 => FragmentType::First,
        3 => FragmentType::Middle,
        4 => FragmentType::Last,
        _ => return Err(FragmentError::UnknownType(type_byte)),
    };
    let Some((&[_, len_high, len_low, c0, c1, c2, c3], body)) =
        rest.split_first_chunk::<HEADER_SIZE>()
    else {
        return Err(if rest.len() < room {
            FragmentError::CutShort
        } else {
            FragmentError::CrossesPage { len: 0 }
        });
    };
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    if HEADER_SIZE + len > room {
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

/// Appends the fragments of a record to `out`, whose end lies at `offset` of its segment: exactly Prometheus's bytes.
/// The page is padded at once where no further fragment fits into it.
pub fn append_record(
    out: &mut Vec<u8>,
    mut offset: u64,
    mut data: &[u8],
    compression: RecordCompression,
) {
    let mut begun = false;
    loop {
        let room = PAGE_SIZE - page_offset(offset);
        let (part, rest) = data.split_at(data.len().min(room.saturating_sub(HEADER_SIZE)));
        let role = FragmentType::next(begun, rest.is_empty());
        out.push(role as u8 | compression.flag());
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
        out.extend_from_slice(&crc32c(part).to_be_bytes());
        out.extend_from_slice(part);
        let left = room.saturating_sub(HEADER_SIZE + part.len());
        let padding = if left < HEADER_SIZE { left } else { 0 };
        out.resize(out.len() + padding, 0);
        offset += (HEADER_SIZE + part.len() + padding) as u64;
        if rest.is_empty() {
            return;
        }
        (data, begun) = (rest, true);
    }
}

/// How many zeros fill the page that `offset` of a segment lies in; none where it lies at a page's beginning.
#[must_use]
pub fn padding_at(offset: u64) -> usize {
    (PAGE_SIZE - page_offset(offset)) % PAGE_SIZE
}

/// Whether a record of `len` bytes still fits into a segment that is filled up to `offset`, by Prometheus's reckoning.
#[must_use]
pub fn fits(offset: u64, segment_size: u64, len: usize) -> bool {
    let page = PAGE_SIZE as u64;
    let here = (PAGE_SIZE - page_offset(offset)).saturating_sub(HEADER_SIZE) as i64;
    let pages_behind = (segment_size / page) as i64 - (offset / page) as i64 - 1;
    len as i64 <= here + (PAGE_SIZE - HEADER_SIZE) as i64 * pages_behind
}

/// The offset within its page of an `offset` within a segment.
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
    fn a_record_that_fills_its_page_but_six_bytes_pads_it() {
        let data = vec![1; PAGE_SIZE - HEADER_SIZE - 6];
        let mut out = Vec::new();
        append_record(&mut out, 0, &data, RecordCompression::None);
        assert_eq!(out.len(), PAGE_SIZE);
        let data = vec![1; PAGE_SIZE - HEADER_SIZE - 7];
        let mut out = Vec::new();
        append_record(&mut out, 0, &data, RecordCompression::None);
        assert_eq!(out.len(), PAGE_SIZE - 7);
        // Then an empty fragment is all that still fits.
        append_record(&mut out, (PAGE_SIZE - 7) as u64, b"x", RecordCompression::Snappy);
        assert_eq!(
            out[PAGE_SIZE - 7..],
            [&[0x0a, 0, 0, 0, 0, 0, 0][..], &out[PAGE_SIZE..]].concat()
        );
        assert_eq!(out[PAGE_SIZE], 0x0c);
    }

    #[test]
    fn a_long_record_has_first_middle_and_last_fragments() {
        let data: Vec<u8> = (0..80_000u32).map(|i| i as u8).collect();
        let mut out = Vec::new();
        append_record(&mut out, 0, &data, RecordCompression::Zstd);
        let (mut roles, mut joined) = (Vec::new(), Vec::new());
        for page in out.chunks(PAGE_SIZE) {
            let Ok(PageItem::Fragment(Fragment { role, compression, data })) =
                read_page_item(page, PAGE_SIZE)
            else {
                panic!("no fragment")
            };
            assert_eq!(compression, RecordCompression::Zstd);
            roles.push(role);
            joined.extend_from_slice(data);
        }
        assert_eq!(roles, [FragmentType::First, FragmentType::Middle, FragmentType::Last]);
        assert_eq!(joined, data);
    }

    #[test]
    fn what_is_no_fragment_is_told_apart() {
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
    fn a_segment_is_full_when_prometheus_says_so() {
        let size = 2 * PAGE_SIZE as u64;
        let whole = 2 * (PAGE_SIZE - HEADER_SIZE);
        assert!(fits(0, size, whole) && !fits(0, size, whole + 1));
        assert!(fits(size - 10, size, 3) && !fits(size - 10, size, 4));
        assert!(fits(size, size, 0) && !fits(size, size, 1));
        assert_eq!((padding_at(0), padding_at(1), padding_at(size)), (0, PAGE_SIZE - 1, 0));
    }
}

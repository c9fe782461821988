//! Reading a segment record by record.
//!
//! A [`LogSegmentReader`] reads one file (or any bytes) from its beginning: checks every fragment, joins fragments to records,
//! decompresses them. It accepts what Prometheus accepts: zeros to the end of a page, a last page that is cut short, empty
//! records (passed over). At the first damage it ends, says where the last good record ended, and whether what stands there looks
//! like a torn write: no other record begins behind it.
//!
//! Invariant: what is handed out is what was written, as far as the checksums reach. They cover data, not the headers
//! (`page.rs`). A flipped bit in a length makes the checksum wrong. One in a type byte is noticed as an unknown type, a fragment
//! out of order, a page that should be empty and is not, or by decompressing and decoding strictly; except:
//! * one of the three unused bits, or zstd's bit beside snappy's: it changes nothing;
//! * the bit that makes an empty record of the first zero behind the last record: it changes nothing. (The same bytes are left
//!   of a record of which all but the very first one was zeroed: that is not noticed.)
//! * a compression bit of a record of one fragment, where the bytes decompress and decode both ways. Compressed bytes begin
//!   with their length (snappy) or a magic number (zstd), which are not record types ([`crate::tsdb::wal::record::record_type`]), so the one way
//!   left is an uncompressed record that happens to be a whole snappy block and then a record: not for any real one known.
//!
//! One thread; buffers are reused, so a record is valid until the next one is read.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;

use crate::tsdb::wal::compression::{Decompressor, MAX_RECORD_BYTES, RecordCompression};
use crate::tsdb::wal::corruption::{CorruptionExtent, CorruptionReason, WalCorruption};
use crate::tsdb::wal::page::{
    Fragment, HEADER_SIZE, PAGE_SIZE, PageItem, page_offset, read_page_item,
};
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::segment::Segment;

/// How many pages are read at once.
const PAGES_AT_ONCE: usize = 16;

/// Why there is no further record.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// The system can't read the file: no reason to cut anything.
    #[error("reading {} at {offset}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The offset in bytes.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds what is no record.
    #[error(transparent)]
    Damaged(Box<WalCorruption>),
}

/// Reads the records of one segment.
#[derive(Debug)]
pub struct LogSegmentReader<R> {
    source: PageBuffer<R>,
    segment: Segment,
    /// The record being joined, or the last one joined.
    joined: Vec<u8>,
    decompressor: Decompressor,
    /// Where the record handed out last begins.
    record_start: u64,
    /// Where the record before that ends.
    previous_end: u64,
    /// Where the record handed out last ends.
    good_end: u64,
}

impl LogSegmentReader<File> {
    /// A reader at the beginning of a segment's file.
    ///
    /// # Errors
    /// [`ReadLogError::Io`] where the file can't be opened.
    pub fn open(segment: Segment) -> Result<Self, ReadLogError> {
        match File::open(&segment.path) {
            Ok(file) => Ok(Self::new(file, segment)),
            Err(source) => Err(ReadLogError::Io { path: segment.path, offset: 0, source }),
        }
    }
}

impl<'a> LogSegmentReader<&'a [u8]> {
    /// A reader of a segment that stands in memory.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Segment { number: 0, path: PathBuf::new() })
    }
}

impl<R: Read> LogSegmentReader<R> {
    /// A reader of whatever `source` gives, which errors will name as `segment`.
    pub fn new(source: R, segment: Segment) -> Self {
        Self {
            source: PageBuffer::new(source),
            segment,
            joined: Vec::new(),
            decompressor: Decompressor::new(),
            record_start: 0,
            previous_end: 0,
            good_end: 0,
        }
    }

    /// The next record, decompressed and never empty, or `None` at the end of the file. Not to be called again after an
    /// error.
    ///
    /// # Errors
    /// [`ReadLogError`].
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, ReadLogError> {
        self.next_record_of(|_| true)
    }

    /// The next record of a wanted kind, as [`Self::next_record`] has it. Others are passed over, most of them without being
    /// decompressed; that they could be is then not known.
    ///
    /// # Errors
    /// [`ReadLogError`].
    pub fn next_record_of(
        &mut self,
        wanted: impl Fn(RecordType) -> bool,
    ) -> Result<Option<&[u8]>, ReadLogError> {
        let (place, compression) = loop {
            let Some((place, compression)) = self.locate_next_record()? else { return Ok(None) };
            let first = compression.first_byte(place.data(&self.source.buffer, &self.joined));
            if first.is_none_or(|first| wanted(RecordType::from_record(&[first]))) {
                break (place, compression);
            }
        };
        let data = place.data(&self.source.buffer, &self.joined);
        if compression == RecordCompression::None {
            return Ok(Some(data));
        }
        if let Err(error) = self.decompressor.decompress(compression, data) {
            return Err(ReadLogError::Damaged(Box::new(
                self.corruption_at_last_record(error.into()),
            )));
        }
        // An empty record that was compressed is no use, and no Prometheus writes one.
        match self.decompressor.output() {
            [] => Err(ReadLogError::Damaged(Box::new(
                self.corruption_at_last_record(CorruptionReason::UnknownKind(0)),
            ))),
            record => Ok(Some(record)),
        }
    }

    /// The offset behind the last good record, in bytes.
    #[must_use]
    pub fn valid_end(&self) -> u64 {
        self.good_end
    }

    /// Declares the record handed out last as damage, as it does not decode. It is then not among the good ones.
    #[must_use]
    pub fn corruption_at_last_record(&self, reason: CorruptionReason) -> WalCorruption {
        WalCorruption {
            segment: self.segment.number,
            path: self.segment.path.clone(),
            offset: self.record_start,
            good_end: self.previous_end,
            extent: CorruptionExtent::Middle,
            reason,
        }
    }

    /// Finds the next record that is not empty: where its bytes are and how they are compressed.
    fn locate_next_record(
        &mut self,
    ) -> Result<Option<(RecordLocation, RecordCompression)>, ReadLogError> {
        let mut begun: Option<RecordCompression> = None;
        loop {
            let start = self.source.offset();
            let Some(room) = self.source.load().map_err(|source| self.io_error(source))? else {
                return match begun {
                    None => Ok(None),
                    Some(_) => {
                        Err(self
                            .classify_corruption(self.record_start, CorruptionReason::Unfinished))
                    }
                };
            };
            let rest = self.source.rest();
            let Fragment { role, compression, data } = match read_page_item(rest, room) {
                Ok(PageItem::Padding) => {
                    self.source.skip(rest.len());
                    continue;
                }
                Ok(PageItem::Fragment(fragment)) => fragment,
                Err(error) => return Err(self.classify_corruption(start, error.into())),
            };
            if role.begins_record() != begun.is_none() {
                return Err(self.classify_corruption(start, CorruptionReason::OutOfOrder));
            }
            if begun.is_some_and(|begun| begun != compression) {
                return Err(self.classify_corruption(start, CorruptionReason::MixedCompression));
            }
            if begun.is_none() {
                self.record_start = start;
                self.joined.clear();
            }
            let len = data.len();
            let fills_page = HEADER_SIZE + len == room;
            if (!role.ends_record() && !fills_page) || (begun.is_some() && len == 0) {
                return Err(self.classify_corruption(start, CorruptionReason::ShortFragment));
            }
            if self.joined.len() + len > MAX_RECORD_BYTES {
                return Err(self.classify_corruption(start, CorruptionReason::TooLong));
            }
            let whole = begun.is_none() && role.ends_record();
            if !whole {
                self.joined.extend_from_slice(data);
            }
            let range = self.source.skip(HEADER_SIZE + len);
            if !role.ends_record() {
                begun = Some(compression);
                continue;
            }
            begun = None;
            self.previous_end = self.good_end;
            self.good_end = self.source.offset();
            if whole && len > 0 {
                return Ok(Some((
                    RecordLocation::Page(range.start + HEADER_SIZE..range.end),
                    compression,
                )));
            }
            if !whole && !self.joined.is_empty() {
                return Ok(Some((RecordLocation::Joined, compression)));
            }
        }
    }

    fn damage(
        &self,
        offset: u64,
        reason: CorruptionReason,
        extent: CorruptionExtent,
    ) -> ReadLogError {
        ReadLogError::Damaged(Box::new(WalCorruption {
            segment: self.segment.number,
            path: self.segment.path.clone(),
            offset,
            good_end: self.good_end,
            extent,
            reason,
        }))
    }

    /// Damage at `offset`, behind which the rest of the file is looked through.
    fn classify_corruption(&mut self, offset: u64, reason: CorruptionReason) -> ReadLogError {
        let extent = match reason.may_be_torn_write() {
            false => CorruptionExtent::Middle,
            true => match self.source.has_later_record() {
                Ok(true) => CorruptionExtent::Middle,
                Ok(false) => CorruptionExtent::TornTail,
                Err(source) => return self.io_error(source),
            },
        };
        self.damage(offset, reason, extent)
    }

    fn io_error(&self, source: io::Error) -> ReadLogError {
        ReadLogError::Io { path: self.segment.path.clone(), offset: self.source.offset(), source }
    }
}

/// Where a record's bytes are.
enum RecordLocation {
    /// In the pages as they were read.
    Page(Range<usize>),
    /// Joined from several fragments.
    Joined,
}

impl RecordLocation {
    fn data<'a>(&self, pages: &'a [u8], joined: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Page(range) => pages.get(range.clone()).unwrap_or_default(),
            Self::Joined => joined,
        }
    }
}

/// Reads whole pages ahead and keeps a place in them.
#[derive(Debug)]
struct PageBuffer<R> {
    reader: R,
    buffer: Vec<u8>,
    /// How much of the buffer is filled.
    filled: usize,
    /// The place in the buffer.
    at: usize,
    /// Where in the file the buffer begins; always at a page.
    base: u64,
}

impl<R: Read> PageBuffer<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), filled: 0, at: 0, base: 0 }
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Makes sure that something stands at the place; the bytes up to the end of the page there, or `None` at the end of the
    /// file.
    fn load(&mut self) -> io::Result<Option<usize>> {
        if self.at == self.filled {
            self.base += self.at as u64;
            (self.at, self.filled) = (0, 0);
            self.buffer.resize(PAGES_AT_ONCE * PAGE_SIZE, 0);
            while self.filled < self.buffer.len() {
                match self.reader.read(&mut self.buffer[self.filled..]) {
                    Ok(0) => break,
                    Ok(n) => self.filled += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if self.filled == 0 {
                return Ok(None);
            }
        }
        Ok(Some(PAGE_SIZE - page_offset(self.offset())))
    }

    /// From the place to the end of the page or file.
    fn rest(&self) -> &[u8] {
        let room = PAGE_SIZE - page_offset(self.offset());
        &self.buffer[self.at..self.filled.min(self.at + room)]
    }

    /// Moves the place on; the part of the buffer that was passed.
    fn skip(&mut self, n: usize) -> Range<usize> {
        let start = self.at;
        self.at = self.filled.min(start + n);
        start..self.at
    }

    /// Whether a further record begins behind the place: anywhere in its page, or among the fragments with which a later page begins.
    fn has_later_record(&mut self) -> io::Result<bool> {
        if self.load()?.is_none() {
            return Ok(false);
        }
        let page = self.rest();
        // Most of a page that is not full is zeros: no look behind each of them.
        if (1..page.len()).any(|i| page[i] & 0b111 != 0 && record_begins_in(&page[i..])) {
            return Ok(true);
        }
        self.skip(page.len());
        while self.load()?.is_some() {
            let page = self.rest();
            if record_begins_in(page) {
                return Ok(true);
            }
            self.skip(page.len());
        }
        Ok(false)
    }
}

/// Whether good fragments stand from the beginning of `rest` on, of which one begins a record.
fn record_begins_in(mut rest: &[u8]) -> bool {
    // The room does not matter: a fragment that is cut short is not a good one.
    while let Ok(PageItem::Fragment(Fragment { role, data, .. })) = read_page_item(rest, PAGE_SIZE)
    {
        if role.begins_record() && !data.is_empty() {
            return true;
        }
        rest = rest.get(HEADER_SIZE + data.len()..).unwrap_or_default();
    }
    false
}

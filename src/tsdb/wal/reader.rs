//! Segment reader: returns records one by one.
//!
//! A [`LogSegmentReader`] reads one file (or any bytes) from the start, verifies each fragment,
//! joins fragments to records and decompresses these. It accepts what Prometheus accepts: zeros up
//! to the end of a page, a short last page, empty records (skipped). Buffers are reused, so a
//! record is valid until the next call. Single-threaded.
//!
//! # Corruption
//! Reading ends at the first corruption. The error has the end of the last valid record and tells a
//! torn write (no other record starts later) from other corruption.
//!
//! # Undetected bit flips
//! Checksums cover data, not fragment headers ([`crate::tsdb::wal::page`]). A bit flip in a length
//! breaks the checksum. A bit flip in a type byte shows as an unknown type, a fragment out of
//! order, nonzero padding, or an error of decompression or decoding, except:
//! - One of the three unused bits, or the zstd bit next to the snappy bit. It changes nothing.
//! - The bit that turns the first zero after the last record into an empty record. It changes
//!   nothing. The same bytes remain if all bytes of a record except its first are zeroed; that is
//!   not detected.
//! - A compression bit of a record with one fragment, if the bytes decompress and decode both ways.
//!   Compressed bytes start with their length (snappy) or a magic number (zstd), which are not
//!   record types ([`crate::tsdb::wal::record::record_type`]). So this needs an uncompressed record
//!   that is also a valid snappy block of a record. No real one is known.

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

/// Number of pages per read.
const PAGES_AT_ONCE: usize = 16;

/// Error of reading the next record.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// The operating system cannot read the file. This is no reason to truncate it.
    #[error("cannot read {} at {offset}: {source}", path.display())]
    Io {
        /// Path of the segment.
        path: PathBuf,
        /// Offset in the file, bytes.
        offset: u64,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is corrupted.
    #[error(transparent)]
    Corrupted(Box<WalCorruption>),
}

/// Reader for the records of one segment.
#[derive(Debug)]
pub struct LogSegmentReader<R> {
    source: PageBuffer<R>,
    segment: Segment,
    /// Buffer of the record with several fragments that was read last.
    joined: Vec<u8>,
    decompressor: Decompressor,
    /// Start offset of the last returned record, bytes.
    record_start: u64,
    /// End offset of the record before it, bytes.
    previous_end: u64,
    /// End offset of the last returned record, bytes.
    good_end: u64,
}

impl LogSegmentReader<File> {
    /// Opens the file of a segment.
    ///
    /// # Errors
    /// [`ReadLogError::Io`] if the file cannot be opened.
    pub fn open(segment: Segment) -> Result<Self, ReadLogError> {
        match File::open(&segment.path) {
            Ok(file) => Ok(Self::new(file, segment)),
            Err(source) => Err(ReadLogError::Io { path: segment.path, offset: 0, source }),
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl<'a> LogSegmentReader<&'a [u8]> {
    /// Creates a reader for a segment in memory.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Segment { number: 0, path: PathBuf::new() })
    }
}

impl<R: Read> LogSegmentReader<R> {
    /// Creates a reader for `source`. Errors name it as `segment`.
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

    /// Returns the next record, decompressed and not empty, or `None` at the end of the file. Must
    /// not be called after an error.
    ///
    /// # Errors
    /// [`ReadLogError`] if the file cannot be read or is corrupted.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, ReadLogError> {
        self.next_record_of(|_| true)
    }

    /// Returns the next record whose type satisfies `is_wanted`, as [`Self::next_record`] does.
    /// Most other records are skipped without decompression, so corruption in them may go
    /// unnoticed.
    ///
    /// # Errors
    /// [`ReadLogError`] if the file cannot be read or is corrupted.
    pub fn next_record_of(
        &mut self,
        is_wanted: impl Fn(RecordType) -> bool,
    ) -> Result<Option<&[u8]>, ReadLogError> {
        let (location, compression) = loop {
            let Some((location, compression)) = self.locate_next_record()? else { return Ok(None) };
            let first = compression.first_byte(location.data(&self.source.buffer, &self.joined));
            if first.is_none_or(|first| is_wanted(RecordType::from_record(&[first]))) {
                break (location, compression);
            }
        };
        let data = location.data(&self.source.buffer, &self.joined);
        if compression == RecordCompression::None {
            return Ok(Some(data));
        }
        if let Err(error) = self.decompressor.decompress(compression, data) {
            return Err(ReadLogError::Corrupted(Box::new(
                self.corruption_at_last_record(error.into()),
            )));
        }
        // Prometheus never writes a compressed empty record.
        match self.decompressor.output() {
            [] => Err(ReadLogError::Corrupted(Box::new(
                self.corruption_at_last_record(CorruptionReason::UnknownKind(0)),
            ))),
            record => Ok(Some(record)),
        }
    }

    /// Returns the end offset of the last valid record, bytes.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn valid_end(&self) -> u64 {
        self.good_end
    }

    /// Returns the corruption of the last returned record, which does not decode. Valid data then
    /// ends before it.
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

    /// Finds the next nonempty record. Returns the location of its bytes and its compression.
    fn locate_next_record(
        &mut self,
    ) -> Result<Option<(RecordLocation, RecordCompression)>, ReadLogError> {
        let mut open_compression: Option<RecordCompression> = None;
        loop {
            let start = self.source.offset();
            let Some(page_remaining) =
                self.source.load().map_err(|source| self.io_error(source))?
            else {
                return match open_compression {
                    None => Ok(None),
                    Some(_) => {
                        Err(self
                            .classify_corruption(self.record_start, CorruptionReason::Unfinished))
                    }
                };
            };
            let rest = self.source.rest();
            let Fragment { role, compression, data } = match read_page_item(rest, page_remaining) {
                Ok(PageItem::Padding) => {
                    self.source.skip(rest.len());
                    continue;
                }
                Ok(PageItem::Fragment(fragment)) => fragment,
                Err(error) => return Err(self.classify_corruption(start, error.into())),
            };
            if role.begins_record() != open_compression.is_none() {
                return Err(self.classify_corruption(start, CorruptionReason::OutOfOrder));
            }
            if open_compression.is_some_and(|open_compression| open_compression != compression) {
                return Err(self.classify_corruption(start, CorruptionReason::MixedCompression));
            }
            if open_compression.is_none() {
                self.record_start = start;
                self.joined.clear();
            }
            let len = data.len();
            let fills_page = HEADER_SIZE + len == page_remaining;
            if (!role.ends_record() && !fills_page) || (open_compression.is_some() && len == 0) {
                return Err(self.classify_corruption(start, CorruptionReason::ShortFragment));
            }
            if self.joined.len() + len > MAX_RECORD_BYTES {
                return Err(self.classify_corruption(start, CorruptionReason::TooLong));
            }
            let is_single = open_compression.is_none() && role.ends_record();
            if !is_single {
                self.joined.extend_from_slice(data);
            }
            let range = self.source.skip(HEADER_SIZE + len);
            if !role.ends_record() {
                open_compression = Some(compression);
                continue;
            }
            open_compression = None;
            self.previous_end = self.good_end;
            self.good_end = self.source.offset();
            if is_single && len > 0 {
                return Ok(Some((
                    RecordLocation::Page(range.start + HEADER_SIZE..range.end),
                    compression,
                )));
            }
            if !is_single && !self.joined.is_empty() {
                return Ok(Some((RecordLocation::Joined, compression)));
            }
        }
    }

    fn corruption_error(
        &self,
        offset: u64,
        reason: CorruptionReason,
        extent: CorruptionExtent,
    ) -> ReadLogError {
        ReadLogError::Corrupted(Box::new(WalCorruption {
            segment: self.segment.number,
            path: self.segment.path.clone(),
            offset,
            good_end: self.good_end,
            extent,
            reason,
        }))
    }

    /// Creates the error for a corruption at `offset`. Reads the rest of the file to find its
    /// extent.
    fn classify_corruption(&mut self, offset: u64, reason: CorruptionReason) -> ReadLogError {
        let extent = match reason.may_be_torn_write() {
            false => CorruptionExtent::Middle,
            true if reason.is_unfinished_write() => CorruptionExtent::TornTail,
            true => match self.source.has_later_record() {
                Ok(true) => CorruptionExtent::Middle,
                Ok(false) => CorruptionExtent::TornTail,
                Err(source) => return self.io_error(source),
            },
        };
        self.corruption_error(offset, reason, extent)
    }

    fn io_error(&self, source: io::Error) -> ReadLogError {
        ReadLogError::Io { path: self.segment.path.clone(), offset: self.source.offset(), source }
    }
}

/// Location of the bytes of a record.
enum RecordLocation {
    /// Range of the page buffer.
    Page(Range<usize>),
    /// The buffer of joined fragments.
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

/// Read-ahead buffer of whole pages with a read position.
#[derive(Debug)]
struct PageBuffer<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Number of valid bytes in the buffer.
    filled: usize,
    /// Read position in the buffer.
    at: usize,
    /// Offset of the buffer in the file; always at the start of a page.
    base: u64,
}

impl<R: Read> PageBuffer<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), filled: 0, at: 0, base: 0 }
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Reads further pages if the buffer is used up. Returns the number of bytes up to the end of
    /// the current page, or `None` at the end of the file.
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

    /// Returns the bytes from the read position to the end of the page or file.
    fn rest(&self) -> &[u8] {
        let page_remaining = PAGE_SIZE - page_offset(self.offset());
        &self.buffer[self.at..self.filled.min(self.at + page_remaining)]
    }

    /// Advances the read position by `n` bytes and returns the skipped range of the buffer.
    fn skip(&mut self, n: usize) -> Range<usize> {
        let start = self.at;
        self.at = self.filled.min(start + n);
        start..self.at
    }

    /// Returns `true` if another record starts after the read position: anywhere in its page, or
    /// among the first fragments of a later page.
    fn has_later_record(&mut self) -> io::Result<bool> {
        if self.load()?.is_none() {
            return Ok(false);
        }
        let page = self.rest();
        // Most of a partly filled page is zeros, so skip them cheaply.
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

/// Returns `true` if valid fragments at the start of `rest` include the start of a record.
fn record_begins_in(mut rest: &[u8]) -> bool {
    // The remaining page size does not matter: a truncated fragment is invalid.
    while let Ok(PageItem::Fragment(Fragment { role, data, .. })) = read_page_item(rest, PAGE_SIZE)
    {
        if role.begins_record() && !data.is_empty() {
            return true;
        }
        rest = rest.get(HEADER_SIZE + data.len()..).unwrap_or_default();
    }
    false
}

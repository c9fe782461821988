//! Reading a segment record by record.
//!
//! A [`SegmentReader`] reads one file (or any bytes) from its beginning: checks every fragment, joins fragments to records,
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
//!   with their length (snappy) or a magic number (zstd), which are not record types ([`crate::tsdb::wal::record::kind`]), so the one way
//!   left is an uncompressed record that happens to be a whole snappy block and then a record: not for any real one known.
//!
//! One thread; buffers are reused, so a record is valid until the next one is read.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;

use crate::tsdb::wal::compression::{Compression, Decompressor, MAX_RECORD_BYTES};
use crate::tsdb::wal::damage::{Damage, DamageReason, Extent};
use crate::tsdb::wal::page::{Fragment, HEADER_SIZE, PAGE_SIZE, Slot, page_offset, read_slot};
use crate::tsdb::wal::record::kind::RecordKind;
use crate::tsdb::wal::segment::Segment;

/// How many pages are read at once.
const PAGES_AT_ONCE: usize = 16;

/// Why there is no further record.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
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
    Damaged(Box<Damage>),
}

/// Reads the records of one segment.
#[derive(Debug)]
pub struct SegmentReader<R> {
    source: Source<R>,
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

impl SegmentReader<File> {
    /// A reader at the beginning of a segment's file.
    ///
    /// # Errors
    /// [`ReadError::Io`] where the file can't be opened.
    pub fn open(segment: Segment) -> Result<Self, ReadError> {
        match File::open(&segment.path) {
            Ok(file) => Ok(Self::new(file, segment)),
            Err(source) => Err(ReadError::Io { path: segment.path, offset: 0, source }),
        }
    }
}

impl<'a> SegmentReader<&'a [u8]> {
    /// A reader of a segment that stands in memory.
    #[must_use]
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Segment { number: 0, path: PathBuf::new() })
    }
}

impl<R: Read> SegmentReader<R> {
    /// A reader of whatever `source` gives, which errors will name as `segment`.
    pub fn new(source: R, segment: Segment) -> Self {
        Self {
            source: Source::new(source),
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
    /// [`ReadError`].
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.next_record_of(|_| true)
    }

    /// The next record of a wanted kind, as [`Self::next_record`] has it. Others are passed over, most of them without being
    /// decompressed; that they could be is then not known.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next_record_of(&mut self, wanted: impl Fn(RecordKind) -> bool) -> Result<Option<&[u8]>, ReadError> {
        let (place, compression) = loop {
            let Some((place, compression)) = self.next_place()? else { return Ok(None) };
            let first = compression.first_byte(place.data(&self.source.buffer, &self.joined));
            if first.is_none_or(|first| wanted(RecordKind::of(&[first]))) {
                break (place, compression);
            }
        };
        let data = place.data(&self.source.buffer, &self.joined);
        if compression == Compression::None {
            return Ok(Some(data));
        }
        if let Err(error) = self.decompressor.decompress(compression, data) {
            return Err(ReadError::Damaged(Box::new(self.reject(error.into()))));
        }
        // An empty record that was compressed is no use, and no Prometheus writes one.
        match self.decompressor.output() {
            [] => Err(ReadError::Damaged(Box::new(self.reject(DamageReason::UnknownKind(0))))),
            record => Ok(Some(record)),
        }
    }

    /// The offset behind the last good record, in bytes.
    #[must_use]
    pub fn good_end(&self) -> u64 {
        self.good_end
    }

    /// Declares the record handed out last as damage, as it does not decode. It is then not among the good ones.
    #[must_use]
    pub fn reject(&self, reason: DamageReason) -> Damage {
        Damage {
            segment: self.segment.number,
            path: self.segment.path.clone(),
            offset: self.record_start,
            good_end: self.previous_end,
            extent: Extent::Middle,
            reason,
        }
    }

    /// Finds the next record that is not empty: where its bytes are and how they are compressed.
    fn next_place(&mut self) -> Result<Option<(Place, Compression)>, ReadError> {
        let mut begun: Option<Compression> = None;
        loop {
            let start = self.source.offset();
            let Some(room) = self.source.load().map_err(|source| self.io_error(source))? else {
                return match begun {
                    None => Ok(None),
                    Some(_) => Err(self.torn_or_damage(self.record_start, DamageReason::Unfinished)),
                };
            };
            let rest = self.source.rest();
            let Fragment { role, compression, data } = match read_slot(rest, room) {
                Ok(Slot::Padding) => {
                    self.source.skip(rest.len());
                    continue;
                }
                Ok(Slot::Fragment(fragment)) => fragment,
                Err(error) => return Err(self.torn_or_damage(start, error.into())),
            };
            if role.begins_record() != begun.is_none() {
                return Err(self.torn_or_damage(start, DamageReason::OutOfOrder));
            }
            if begun.is_some_and(|begun| begun != compression) {
                return Err(self.torn_or_damage(start, DamageReason::MixedCompression));
            }
            if begun.is_none() {
                self.record_start = start;
                self.joined.clear();
            }
            let len = data.len();
            let fills_page = HEADER_SIZE + len == room;
            if (!role.ends_record() && !fills_page) || (begun.is_some() && len == 0) {
                return Err(self.torn_or_damage(start, DamageReason::BrokenOff));
            }
            if self.joined.len() + len > MAX_RECORD_BYTES {
                return Err(self.torn_or_damage(start, DamageReason::TooLong));
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
                return Ok(Some((Place::Page(range.start + HEADER_SIZE..range.end), compression)));
            }
            if !whole && !self.joined.is_empty() {
                return Ok(Some((Place::Joined, compression)));
            }
        }
    }

    fn damage(&self, offset: u64, reason: DamageReason, extent: Extent) -> ReadError {
        ReadError::Damaged(Box::new(Damage {
            segment: self.segment.number,
            path: self.segment.path.clone(),
            offset,
            good_end: self.good_end,
            extent,
            reason,
        }))
    }

    /// Damage at `offset`, behind which the rest of the file is looked through.
    fn torn_or_damage(&mut self, offset: u64, reason: DamageReason) -> ReadError {
        let extent = match reason.can_be_torn() {
            false => Extent::Middle,
            true => match self.source.another_record_behind() {
                Ok(true) => Extent::Middle,
                Ok(false) => Extent::TornTail,
                Err(source) => return self.io_error(source),
            },
        };
        self.damage(offset, reason, extent)
    }

    fn io_error(&self, source: io::Error) -> ReadError {
        ReadError::Io { path: self.segment.path.clone(), offset: self.source.offset(), source }
    }
}

/// Where a record's bytes are.
enum Place {
    /// In the pages as they were read.
    Page(Range<usize>),
    /// Joined from several fragments.
    Joined,
}

impl Place {
    fn data<'a>(&self, pages: &'a [u8], joined: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Page(range) => pages.get(range.clone()).unwrap_or_default(),
            Self::Joined => joined,
        }
    }
}

/// Reads whole pages ahead and keeps a place in them.
#[derive(Debug)]
struct Source<R> {
    reader: R,
    buffer: Vec<u8>,
    /// How much of the buffer is filled.
    filled: usize,
    /// The place in the buffer.
    at: usize,
    /// Where in the file the buffer begins; always at a page.
    base: u64,
}

impl<R: Read> Source<R> {
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
    fn another_record_behind(&mut self) -> io::Result<bool> {
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
    while let Ok(Slot::Fragment(Fragment { role, data, .. })) = read_slot(rest, PAGE_SIZE) {
        if role.begins_record() && !data.is_empty() {
            return true;
        }
        rest = rest.get(HEADER_SIZE + data.len()..).unwrap_or_default();
    }
    false
}

//! Lookup of symbols in the symbol table of a mapped index file.
//!
//! Memory holds the offset of every [`STRIDE`]th symbol, half a byte per symbol. A lookup by number
//! skips forward from the nearest sampled offset; a lookup by string is a binary search over the
//! sampled offsets.
//!
//! Invariant: symbols ascend and lie within the table. Both are checked when the table is opened.

use super::error::{FormatErrorAt, IndexFormatError};
use super::format::{IndexVersion, Section};
use crate::tsdb::encoding::byte_reader::ByteReader;

/// Number of symbols per sampled offset.
const STRIDE: usize = 8;

/// Symbol table of an open index.
#[derive(Debug)]
pub(super) struct SymbolTable {
    version: IndexVersion,
    /// Offset of the table's content in the file, which starts with the count.
    start: usize,
    end: usize,
    count: usize,
    /// Offsets of every [`STRIDE`]th symbol, relative to `start`.
    sampled_offsets: Vec<u32>,
}

/// Symbol table under construction: collects sampled offsets.
#[derive(Debug)]
pub(super) struct SymbolTableBuilder {
    count: usize,
    sampled_offsets: Vec<u32>,
}

impl SymbolTableBuilder {
    pub(super) fn new() -> Self {
        Self { count: 0, sampled_offsets: Vec::new() }
    }

    /// Adds the next symbol at `from_start` bytes after the start of the count.
    pub(super) fn add(&mut self, from_start: u32) {
        if self.count.is_multiple_of(STRIDE) {
            self.sampled_offsets.push(from_start);
        }
        self.count += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the table at `start..end` of a version 2 file.
    pub(super) fn build(self, start: usize, end: usize) -> SymbolTable {
        SymbolTable {
            version: IndexVersion::V2,
            start,
            end,
            count: self.count,
            sampled_offsets: self.sampled_offsets,
        }
    }
}

impl SymbolTable {
    /// Reads and checks the table at `offset` of `file`.
    pub(super) fn open(
        file: &[u8],
        version: IndexVersion,
        offset: u64,
    ) -> Result<Self, FormatErrorAt> {
        let section = Section::checked(file, offset)?;
        let start = section.start;
        let at = |error| FormatErrorAt::new(start, error);
        let mut reader = ByteReader::new(section.bytes);
        let count = reader.be_u32().map_err(at)?;
        if u64::from(count) > reader.remaining() as u64 {
            let (needed, left) = (u64::from(count), reader.remaining() as u64);
            return Err(FormatErrorAt::new(
                start,
                IndexFormatError::UnexpectedEnd { needed, left },
            ));
        }
        let mut builder = SymbolTableBuilder::new();
        let mut last: Option<&[u8]> = None;
        for _ in 0..count {
            let symbol_offset = reader.offset();
            let symbol = reader.uvarint_bytes().map_err(at)?;
            if last.is_some_and(|last| last >= symbol) {
                return Err(FormatErrorAt::new(
                    start + symbol_offset,
                    IndexFormatError::Order("symbols"),
                ));
            }
            last = Some(symbol);
            builder.add(symbol_offset as u32);
        }
        match reader.remaining() {
            0 => Ok(Self { version, ..builder.build(start, start + section.bytes.len()) }),
            left => Err(FormatErrorAt::new(start, IndexFormatError::TrailingBytes(left as u64))),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the symbol that an entry references.
    pub(super) fn get<'a>(&self, file: &'a [u8], symbol: u32) -> Result<&'a str, FormatErrorAt> {
        let unknown = || FormatErrorAt::new(self.start, IndexFormatError::NoSymbol(symbol.into()));
        let symbol_offset = match self.version {
            IndexVersion::V1 => (symbol as usize)
                .checked_sub(self.start)
                .filter(|symbol_offset| *symbol_offset >= 4)
                .ok_or_else(unknown)?,
            IndexVersion::V2 if symbol as usize >= self.count => return Err(unknown()),
            IndexVersion::V2 => {
                self.sampled_offsets.get(symbol as usize / STRIDE).copied().ok_or_else(unknown)?
                    as usize
            }
        };
        let mut reader = self.reader(file, symbol_offset);
        let num_skipped =
            if self.version == IndexVersion::V1 { 0 } else { symbol as usize % STRIDE };
        let at = |error| FormatErrorAt::new(self.start + symbol_offset, error);
        for _ in 0..num_skipped {
            reader.uvarint_bytes().map_err(at)?;
        }
        reader.uvarint_str().map_err(at)
    }

    /// Returns the number of a symbol, counted from 0.
    pub(super) fn find(&self, file: &[u8], string: &str) -> Option<u32> {
        let string = string.as_bytes();
        let after = self.sampled_offsets.partition_point(|symbol_offset| {
            self.reader(file, *symbol_offset as usize)
                .uvarint_bytes()
                .is_ok_and(|symbol| symbol <= string)
        });
        let sample = after.checked_sub(1)?;
        let mut reader = self.reader(file, *self.sampled_offsets.get(sample)? as usize);
        let first = sample * STRIDE;
        for nth in first..self.count.min(first + STRIDE) {
            let symbol = reader.uvarint_bytes().ok()?;
            if symbol >= string {
                return (symbol == string).then_some(nth as u32);
            }
        }
        None
    }

    /// Iterates over all symbols in ascending order.
    pub(super) fn iter<'a>(
        &self,
        file: &'a [u8],
    ) -> impl Iterator<Item = Result<&'a str, FormatErrorAt>> + use<'a> {
        let mut reader = self.reader(file, 4);
        let start = self.start;
        (0..self.count)
            .map(move |_| reader.uvarint_str().map_err(|error| FormatErrorAt::new(start, error)))
    }

    fn reader<'a>(&self, file: &'a [u8], symbol_offset: usize) -> ByteReader<'a> {
        ByteReader::new(file.get(self.start + symbol_offset..self.end).unwrap_or_default())
    }
}

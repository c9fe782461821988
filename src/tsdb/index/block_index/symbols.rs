//! Looking symbols up in the table of an index, whose bytes stay where they are, in the mapped file.
//!
//! Of every [`STRIDE`] symbols the place of the first is kept, half a byte a symbol. A symbol is found by its number by
//! walking on from there, and by its text by halving between those places.
//!
//! Invariant: symbols rise and lie within the table; both are checked when the table is opened.

use super::error::{FormatErrorAt, IndexFormatError};
use super::format::{IndexVersion, Section};
use crate::tsdb::encoding::byte_reader::ByteReader;

/// One of so many symbols has its place kept.
const STRIDE: usize = 8;

/// Where the symbols are.
#[derive(Debug)]
pub(super) struct SymbolTable {
    version: IndexVersion,
    /// Offset in the file of the table's bytes, which begin with the count.
    start: usize,
    end: usize,
    count: usize,
    /// Of every `STRIDE`th symbol, from `start`.
    sampled_offsets: Vec<u32>,
}

/// A table while it is written: gathers the places.
#[derive(Debug)]
pub(super) struct SymbolTableBuilder {
    count: usize,
    sampled_offsets: Vec<u32>,
}

impl SymbolTableBuilder {
    pub(super) fn new() -> Self {
        Self { count: 0, sampled_offsets: Vec::new() }
    }

    /// Takes in the next symbol, `from_start` bytes behind the beginning of the count.
    pub(super) fn add(&mut self, from_start: u32) {
        if self.count.is_multiple_of(STRIDE) {
            self.sampled_offsets.push(from_start);
        }
        self.count += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The table lies at `start..end` of a file of version 2.
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
    /// Walks over the table at `offset` of `file` and checks it.
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
        let mut places = SymbolTableBuilder::new();
        let mut last: Option<&[u8]> = None;
        for _ in 0..count {
            let place = reader.offset();
            let symbol = reader.uvarint_bytes().map_err(at)?;
            if last.is_some_and(|last| last >= symbol) {
                return Err(FormatErrorAt::new(start + place, IndexFormatError::Order("symbols")));
            }
            last = Some(symbol);
            places.add(place as u32);
        }
        match reader.remaining() {
            0 => Ok(Self { version, ..places.build(start, start + section.bytes.len()) }),
            left => Err(FormatErrorAt::new(start, IndexFormatError::TrailingBytes(left as u64))),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The symbol that an entry names.
    pub(super) fn get<'a>(&self, file: &'a [u8], symbol: u32) -> Result<&'a str, FormatErrorAt> {
        let unknown = || FormatErrorAt::new(self.start, IndexFormatError::NoSymbol(symbol.into()));
        let place = match self.version {
            IndexVersion::V1 => (symbol as usize)
                .checked_sub(self.start)
                .filter(|place| *place >= 4)
                .ok_or_else(unknown)?,
            IndexVersion::V2 if symbol as usize >= self.count => return Err(unknown()),
            IndexVersion::V2 => {
                self.sampled_offsets.get(symbol as usize / STRIDE).copied().ok_or_else(unknown)?
                    as usize
            }
        };
        let mut reader = self.reader(file, place);
        let skipped = if self.version == IndexVersion::V1 { 0 } else { symbol as usize % STRIDE };
        let at = |error| FormatErrorAt::new(self.start + place, error);
        for _ in 0..skipped {
            reader.uvarint_bytes().map_err(at)?;
        }
        reader.uvarint_str().map_err(at)
    }

    /// The number of a symbol, counted from 0.
    pub(super) fn find(&self, file: &[u8], text: &str) -> Option<u32> {
        let text = text.as_bytes();
        let after = self.sampled_offsets.partition_point(|place| {
            self.reader(file, *place as usize).uvarint_bytes().is_ok_and(|symbol| symbol <= text)
        });
        let sample = after.checked_sub(1)?;
        let mut reader = self.reader(file, *self.sampled_offsets.get(sample)? as usize);
        let first = sample * STRIDE;
        for nth in first..self.count.min(first + STRIDE) {
            let symbol = reader.uvarint_bytes().ok()?;
            if symbol >= text {
                return (symbol == text).then_some(nth as u32);
            }
        }
        None
    }

    /// All symbols, rising.
    pub(super) fn iter<'a>(
        &self,
        file: &'a [u8],
    ) -> impl Iterator<Item = Result<&'a str, FormatErrorAt>> + use<'a> {
        let mut reader = self.reader(file, 4);
        let start = self.start;
        (0..self.count)
            .map(move |_| reader.uvarint_str().map_err(|error| FormatErrorAt::new(start, error)))
    }

    fn reader<'a>(&self, file: &'a [u8], place: usize) -> ByteReader<'a> {
        ByteReader::new(file.get(self.start + place..self.end).unwrap_or_default())
    }
}

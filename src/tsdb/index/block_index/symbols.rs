//! Looking symbols up in the table of an index, whose bytes stay where they are, in the mapped file.
//!
//! Of every [`STRIDE`] symbols the place of the first is kept, half a byte a symbol. A symbol is found by its number by
//! walking on from there, and by its text by halving between those places.
//!
//! Invariant: symbols rise and lie within the table; both are checked when the table is opened.

use super::error::{Fault, FaultAt};
use super::format::{Section, Version};
use crate::tsdb::encoding::byte_reader::ByteReader;

/// One of so many symbols has its place kept.
const STRIDE: usize = 8;

/// Where the symbols are.
#[derive(Debug)]
pub(super) struct SymbolPlaces {
    version: Version,
    /// Offset in the file of the table's bytes, which begin with the count.
    start: usize,
    end: usize,
    count: usize,
    /// Of every `STRIDE`th symbol, from `start`.
    samples: Vec<u32>,
}

/// A table while it is written: gathers the places.
#[derive(Debug)]
pub(super) struct PlacesBuilder {
    count: usize,
    samples: Vec<u32>,
}

impl PlacesBuilder {
    pub(super) fn new() -> Self {
        Self { count: 0, samples: Vec::new() }
    }

    /// Takes in the next symbol, `from_start` bytes behind the beginning of the count.
    pub(super) fn add(&mut self, from_start: u32) {
        if self.count.is_multiple_of(STRIDE) {
            self.samples.push(from_start);
        }
        self.count += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The table lies at `start..end` of a file of version 2.
    pub(super) fn build(self, start: usize, end: usize) -> SymbolPlaces {
        SymbolPlaces { version: Version::V2, start, end, count: self.count, samples: self.samples }
    }
}

impl SymbolPlaces {
    /// Walks over the table at `offset` of `file` and checks it.
    pub(super) fn open(file: &[u8], version: Version, offset: u64) -> Result<Self, FaultAt> {
        let section = Section::checked(file, offset)?;
        let start = section.start;
        let at = |error| FaultAt::new(start, error);
        let mut reader = ByteReader::new(section.bytes);
        let count = reader.be_u32().map_err(at)?;
        if u64::from(count) > reader.remaining() as u64 {
            let (needed, left) = (u64::from(count), reader.remaining() as u64);
            return Err(FaultAt::new(start, Fault::Short { needed, left }));
        }
        let mut places = PlacesBuilder::new();
        let mut last: Option<&[u8]> = None;
        for _ in 0..count {
            let place = reader.offset();
            let symbol = reader.uvarint_bytes().map_err(at)?;
            if last.is_some_and(|last| last >= symbol) {
                return Err(FaultAt::new(start + place, Fault::Order("symbols")));
            }
            last = Some(symbol);
            places.add(place as u32);
        }
        match reader.remaining() {
            0 => Ok(Self { version, ..places.build(start, start + section.bytes.len()) }),
            left => Err(FaultAt::new(start, Fault::Surplus(left as u64))),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The symbol that an entry names.
    pub(super) fn get<'a>(&self, file: &'a [u8], symbol: u32) -> Result<&'a str, FaultAt> {
        let unknown = || FaultAt::new(self.start, Fault::NoSymbol(symbol.into()));
        let place = match self.version {
            Version::V1 => (symbol as usize).checked_sub(self.start).filter(|place| *place >= 4).ok_or_else(unknown)?,
            Version::V2 if symbol as usize >= self.count => return Err(unknown()),
            Version::V2 => self.samples.get(symbol as usize / STRIDE).copied().ok_or_else(unknown)? as usize,
        };
        let mut reader = self.reader(file, place);
        let skipped = if self.version == Version::V1 { 0 } else { symbol as usize % STRIDE };
        let at = |error| FaultAt::new(self.start + place, error);
        for _ in 0..skipped {
            reader.uvarint_bytes().map_err(at)?;
        }
        reader.uvarint_str().map_err(at)
    }

    /// The number of a symbol, counted from 0.
    pub(super) fn find(&self, file: &[u8], text: &str) -> Option<u32> {
        let text = text.as_bytes();
        let after = self.samples.partition_point(|place| {
            self.reader(file, *place as usize).uvarint_bytes().is_ok_and(|symbol| symbol <= text)
        });
        let sample = after.checked_sub(1)?;
        let mut reader = self.reader(file, *self.samples.get(sample)? as usize);
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
    pub(super) fn iter<'a>(&self, file: &'a [u8]) -> impl Iterator<Item = Result<&'a str, FaultAt>> + use<'a> {
        let mut reader = self.reader(file, 4);
        let start = self.start;
        (0..self.count).map(move |_| reader.uvarint_str().map_err(|error| FaultAt::new(start, error)))
    }

    fn reader<'a>(&self, file: &'a [u8], place: usize) -> ByteReader<'a> {
        ByteReader::new(file.get(self.start + place..self.end).unwrap_or_default())
    }
}

//! The posting lists of an index that is being written, made from its series.
//!
//! The entries of the series are walked over once for the list of all series, and then once for each batch of label names. A batch has as many
//! names as have together no more postings than [`BATCH_POSTINGS`], or than there are series, which is the most that one name can have: 8 bytes
//! each are all the memory that is taken. Entries come in the order of their references and symbols are numbered in theirs, so
//! sorting pairs of value and reference as numbers gives the lists as they stand in the file.

use super::WrittenSymbols;
use super::output::IndexFileWriter;
use super::spill::SpillBuffer;
use crate::tsdb::encoding::byte_reader::{put_be_u32, put_uvarint, put_uvarint_bytes};
use crate::tsdb::encoding::checksum::Crc32c;
use crate::tsdb::index::block_index::entry::{LabelSymbols, RawSeriesEntry};
use crate::tsdb::index::block_index::error::{FormatErrorAt, IndexError, IndexInputError};
use crate::tsdb::index::block_index::format::{POSTINGS_ALIGN, SERIES_ALIGN};
use std::collections::BTreeMap;
use std::io;

/// So many postings are gathered in one walk, or as many as there are series. Few in tests, so that there are many walks.
const BATCH_POSTINGS: u64 = if cfg!(test) { 8 } else { 4 << 20 };
/// References are encoded in pieces of so many.
const PIECE: usize = 4 << 10;

/// What the lists are made of.
pub(super) struct PostingsWriter<'a> {
    /// The file up to the end of the series.
    pub(super) entries: &'a [u8],
    /// Where the series begin.
    pub(super) start: usize,
    pub(super) series: u64,
    pub(super) symbols: &'a WrittenSymbols,
    pub(super) output: &'a mut IndexFileWriter,
    /// Returns `false` once the lists are no longer wanted.
    pub(super) go_on: &'a dyn Fn() -> bool,
}

/// The postings offset table, put aside.
pub(super) struct OffsetTableWriter {
    lists: u64,
    entries: SpillBuffer,
}

/// A label name of a batch, and its postings: the symbol of the value in the upper half, the reference in the lower.
struct NamePostings {
    name: u32,
    postings: Vec<u64>,
}

impl PostingsWriter<'_> {
    /// Writes all lists. `uses`: of how many series each label name is.
    pub(super) fn write(
        mut self,
        uses: &BTreeMap<u32, u64>,
    ) -> Result<OffsetTableWriter, IndexError> {
        let mut path = self.output.path().as_os_str().to_owned();
        path.push("_tmp_po");
        let mut table = OffsetTableWriter { lists: 0, entries: SpillBuffer::new(path.into()) };
        self.output.pad(POSTINGS_ALIGN)?;
        self.write_all_series(&mut table)?;
        let mut left = uses.iter().peekable();
        while left.peek().is_some() {
            let mut room = BATCH_POSTINGS.max(self.series);
            let mut batch = Vec::new();
            while let Some((name, count)) = left.next_if(|(_, count)| **count <= room) {
                room -= count;
                batch.push(NamePostings {
                    name: *name,
                    postings: Vec::with_capacity(*count as usize),
                });
            }
            if batch.is_empty() {
                // A name of more series than there are.
                return Err(self.output.input_error(IndexInputError::Broken));
            }
            self.collect_postings(&mut batch)?;
            for gathered in &mut batch {
                gathered.postings.sort_unstable();
                self.write_name(gathered, &mut table)?;
            }
        }
        Ok(table)
    }

    fn check(&self) -> Result<(), IndexError> {
        if (self.go_on)() { Ok(()) } else { Err(IndexError::Stopped) }
    }

    fn write_all_series(&mut self, table: &mut OffsetTableWriter) -> Result<(), IndexError> {
        table.add(self.output, "", "")?;
        let (entries, start, go_on) = (self.entries, self.start, self.go_on);
        let mut list = ListWriter::begin(self.output, self.series)?;
        for entry in (EntryIter { file: entries, offset: start }) {
            if !go_on() {
                return Err(IndexError::Stopped);
            }
            let placed = entry.map_err(|fault| fault.in_file(list.output.path()))?;
            list.add(placed.reference)?;
        }
        list.end()
    }

    /// Walks over the series for the postings of a batch, whose names rise.
    fn collect_postings(&self, batch: &mut [NamePostings]) -> Result<(), IndexError> {
        let located = |fault: FormatErrorAt| fault.in_file(self.output.path());
        for entry in (EntryIter { file: self.entries, offset: self.start }) {
            self.check()?;
            let placed = entry.map_err(located)?;
            let mut take = |label: LabelSymbols| -> Result<(), FormatErrorAt> {
                if let Ok(nth) = batch.binary_search_by_key(&label.name, |gathered| gathered.name) {
                    batch[nth]
                        .postings
                        .push(u64::from(label.value) << 32 | u64::from(placed.reference));
                }
                Ok(())
            };
            placed.entry.labels(&mut take).map_err(located)?;
        }
        Ok(())
    }

    fn write_name(
        &mut self,
        gathered: &NamePostings,
        table: &mut OffsetTableWriter,
    ) -> Result<(), IndexError> {
        let file = self.symbols.file.bytes();
        let symbol = |number| {
            self.symbols.places.get(file, number).map_err(|fault| fault.in_file(self.output.path()))
        };
        let name = symbol(gathered.name)?;
        for postings in gathered.postings.chunk_by(|a, b| a >> 32 == b >> 32) {
            self.check()?;
            let value = self.symbols.places.get(file, (postings[0] >> 32) as u32);
            let value = value.map_err(|fault| fault.in_file(self.output.path()))?;
            table.add(self.output, name, value)?;
            let mut list = ListWriter::begin(self.output, postings.len() as u64)?;
            for posting in postings {
                list.add(*posting as u32)?;
            }
            list.end()?;
        }
        Ok(())
    }
}

/// An entry and the reference to it.
struct EntryWithRef<'a> {
    reference: u32,
    entry: RawSeriesEntry<'a>,
}

/// The entries that were written.
struct EntryIter<'a> {
    file: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = Result<EntryWithRef<'a>, FormatErrorAt>;

    fn next(&mut self) -> Option<Self::Item> {
        self.offset = self.offset.next_multiple_of(SERIES_ALIGN as usize);
        if self.offset >= self.file.len() {
            return None;
        }
        let reference = (self.offset as u64 / SERIES_ALIGN) as u32;
        let entry = RawSeriesEntry::unchecked(self.file, self.offset);
        self.offset = entry.as_ref().map_or(self.file.len(), RawSeriesEntry::end);
        Some(entry.map(|entry| EntryWithRef { reference, entry }))
    }
}

/// A list being written.
struct ListWriter<'a> {
    output: &'a mut IndexFileWriter,
    sum: Crc32c,
    piece: Vec<u8>,
}

impl<'a> ListWriter<'a> {
    fn begin(output: &'a mut IndexFileWriter, count: u64) -> Result<Self, IndexError> {
        let bytes = 4 + 4 * count;
        let Ok(len) = u32::try_from(bytes) else {
            return Err(
                output.input_error(IndexInputError::TooLarge { what: "posting list", bytes })
            );
        };
        output.put(&len.to_be_bytes())?;
        let mut piece = Vec::with_capacity(4 * PIECE.min(count as usize + 1));
        put_be_u32(&mut piece, count as u32);
        Ok(Self { output, sum: Crc32c::new(), piece })
    }

    fn add(&mut self, reference: u32) -> Result<(), IndexError> {
        put_be_u32(&mut self.piece, reference);
        if self.piece.len() >= 4 * PIECE {
            self.output.put_checksummed(&mut self.sum, &self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), IndexError> {
        self.output.put_checksummed(&mut self.sum, &self.piece)?;
        self.output.put(&self.sum.finish().to_be_bytes())
    }
}

impl OffsetTableWriter {
    /// Adds the list of a label, which is written next.
    fn add(&mut self, output: &IndexFileWriter, name: &str, value: &str) -> Result<(), IndexError> {
        let mut entry = Vec::with_capacity(name.len() + value.len() + 16);
        put_uvarint(&mut entry, 2);
        put_uvarint_bytes(&mut entry, name.as_bytes());
        put_uvarint_bytes(&mut entry, value.as_bytes());
        put_uvarint(&mut entry, output.position());
        self.lists += 1;
        self.entries.put(&entry).map_err(|source| output.io_error("put aside", source))
    }

    /// Writes the table.
    pub(super) fn write(self, output: &mut IndexFileWriter) -> Result<(), IndexError> {
        let bytes = self.entries.len() + 4;
        let (Ok(len), Ok(lists)) = (u32::try_from(bytes), u32::try_from(self.lists)) else {
            return Err(output
                .input_error(IndexInputError::TooLarge { what: "postings offset table", bytes }));
        };
        output.put(&len.to_be_bytes())?;
        let mut sum = Crc32c::new();
        output.put_checksummed(&mut sum, &lists.to_be_bytes())?;
        let copied = self
            .entries
            .read(|piece| output.put_checksummed(&mut sum, piece).map_err(CopyError::Written));
        copied.map_err(|error| match error {
            CopyError::Read(source) => output.io_error("read back", source),
            CopyError::Written(error) => error,
        })?;
        output.put(&sum.finish().to_be_bytes())
    }
}

/// Which side of a copy failed.
enum CopyError {
    Read(io::Error),
    Written(IndexError),
}

impl From<io::Error> for CopyError {
    fn from(source: io::Error) -> Self {
        Self::Read(source)
    }
}

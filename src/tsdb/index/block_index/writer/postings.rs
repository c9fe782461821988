//! Creation of the posting lists from the series entries of the same file.
//!
//! A first pass over the entries writes the list of all series. Each batch of label names then
//! takes one more pass. The names of a batch have at most [`BATCH_POSTINGS`] postings in total, or
//! as many as there are series, the maximum of a single name. Memory: 8 bytes per posting of the
//! batch.
//!
//! Entries are ordered by reference and symbols are numbered in ascending order. So sorting pairs
//! of value and reference as integers yields the lists in file order.

use super::WrittenSymbols;
use super::output::IndexFileWriter;
use super::spill::SpillBuffer;
use crate::tsdb::encoding::byte_reader::{put_be_u32, put_uvarint, put_uvarint_bytes};
use crate::tsdb::encoding::checksum::Crc32c;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::index::block_index::entry::{LabelSymbols, RawSeriesEntry};
use crate::tsdb::index::block_index::error::{FormatErrorAt, IndexError, IndexInputError};
use crate::tsdb::index::block_index::format::{POSTINGS_ALIGN, SERIES_ALIGN};
use std::collections::BTreeMap;
use std::io;

/// Number of postings per batch, unless there are more series. Small in tests, to have many
/// batches.
const BATCH_POSTINGS: u64 = if cfg!(test) { 8 } else { 4 << 20 };
/// Number of references encoded per write.
const REFS_PER_WRITE: usize = 4 << 10;

/// Input and output of the posting lists.
pub(super) struct PostingsWriter<'a, 'd> {
    /// Disk of the buffered postings offset table.
    pub(super) disk: &'d dyn Disk,
    /// The file up to the end of the series.
    pub(super) entries: &'a [u8],
    /// Offset of the first series.
    pub(super) start: usize,
    pub(super) series: u64,
    pub(super) symbols: &'a WrittenSymbols,
    pub(super) output: &'a mut IndexFileWriter,
    /// Returns `false` to cancel.
    pub(super) go_on: &'a dyn Fn() -> bool,
}

/// Buffered postings offset table.
pub(super) struct OffsetTableWriter<'a> {
    lists: u64,
    entries: SpillBuffer<'a>,
}

/// Label name of a batch and its postings: the symbol of the value in the upper half, the reference
/// in the lower half.
struct NamePostings {
    name: u32,
    postings: Vec<u64>,
}

impl<'d> PostingsWriter<'_, 'd> {
    /// Writes all lists. `series_per_name` has the number of series of each label name.
    pub(super) fn write(
        mut self,
        series_per_name: &BTreeMap<u32, u64>,
    ) -> Result<OffsetTableWriter<'d>, IndexError> {
        let mut path = self.output.path().as_os_str().to_owned();
        path.push("_tmp_po");
        let entries = SpillBuffer::new(self.disk, path.into());
        let mut table = OffsetTableWriter { lists: 0, entries };
        self.output.pad(POSTINGS_ALIGN)?;
        self.write_all_series(&mut table)?;
        let mut remaining = series_per_name.iter().peekable();
        while remaining.peek().is_some() {
            let mut capacity = BATCH_POSTINGS.max(self.series);
            let mut batch = Vec::new();
            while let Some((name, count)) = remaining.next_if(|(_, count)| **count <= capacity) {
                capacity -= count;
                batch.push(NamePostings {
                    name: *name,
                    postings: Vec::with_capacity(*count as usize),
                });
            }
            if batch.is_empty() {
                // A name cannot have more postings than there are series.
                return Err(self.output.input_error(IndexInputError::Broken));
            }
            self.collect_postings(&mut batch)?;
            for collected in &mut batch {
                collected.postings.sort_unstable();
                self.write_name(collected, &mut table)?;
            }
        }
        Ok(table)
    }

    fn check_cancelled(&self) -> Result<(), IndexError> {
        if (self.go_on)() { Ok(()) } else { Err(IndexError::Stopped) }
    }

    fn write_all_series(&mut self, table: &mut OffsetTableWriter<'_>) -> Result<(), IndexError> {
        table.add(self.output, "", "")?;
        let (entries, start, go_on) = (self.entries, self.start, self.go_on);
        let mut list = ListWriter::new(self.output, self.series)?;
        for entry in (EntryIter { file: entries, offset: start }) {
            if !go_on() {
                return Err(IndexError::Stopped);
            }
            let entry = entry.map_err(|fault| fault.in_file(list.output.path()))?;
            list.add(entry.reference)?;
        }
        list.finish()
    }

    /// Collects the postings of a batch, whose names ascend, in one pass over the series.
    fn collect_postings(&self, batch: &mut [NamePostings]) -> Result<(), IndexError> {
        let in_file = |fault: FormatErrorAt| fault.in_file(self.output.path());
        for entry in (EntryIter { file: self.entries, offset: self.start }) {
            self.check_cancelled()?;
            let EntryWithRef { reference, entry } = entry.map_err(in_file)?;
            let mut push_posting = |label: LabelSymbols| -> Result<(), FormatErrorAt> {
                if let Ok(nth) = batch.binary_search_by_key(&label.name, |collected| collected.name)
                {
                    batch[nth].postings.push(u64::from(label.value) << 32 | u64::from(reference));
                }
                Ok(())
            };
            entry.labels(&mut push_posting).map_err(in_file)?;
        }
        Ok(())
    }

    fn write_name(
        &mut self,
        collected: &NamePostings,
        table: &mut OffsetTableWriter<'_>,
    ) -> Result<(), IndexError> {
        let file = self.symbols.file.bytes();
        let symbol = |number| {
            self.symbols.table.get(file, number).map_err(|fault| fault.in_file(self.output.path()))
        };
        let name = symbol(collected.name)?;
        for postings in collected.postings.chunk_by(|a, b| a >> 32 == b >> 32) {
            self.check_cancelled()?;
            let value = self.symbols.table.get(file, (postings[0] >> 32) as u32);
            let value = value.map_err(|fault| fault.in_file(self.output.path()))?;
            table.add(self.output, name, value)?;
            let mut list = ListWriter::new(self.output, postings.len() as u64)?;
            for posting in postings {
                list.add(*posting as u32)?;
            }
            list.finish()?;
        }
        Ok(())
    }
}

/// Series entry and its reference.
struct EntryWithRef<'a> {
    reference: u32,
    entry: RawSeriesEntry<'a>,
}

/// Iterator over the written series entries.
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

/// Writer of one posting list.
struct ListWriter<'a> {
    output: &'a mut IndexFileWriter,
    checksum: Crc32c,
    buffer: Vec<u8>,
}

impl<'a> ListWriter<'a> {
    fn new(output: &'a mut IndexFileWriter, count: u64) -> Result<Self, IndexError> {
        let bytes = 4 + 4 * count;
        let Ok(len) = u32::try_from(bytes) else {
            return Err(
                output.input_error(IndexInputError::TooLarge { what: "posting list", bytes })
            );
        };
        output.put(&len.to_be_bytes())?;
        let mut buffer = Vec::with_capacity(4 * REFS_PER_WRITE.min(count as usize + 1));
        put_be_u32(&mut buffer, count as u32);
        Ok(Self { output, checksum: Crc32c::new(), buffer })
    }

    fn add(&mut self, reference: u32) -> Result<(), IndexError> {
        put_be_u32(&mut self.buffer, reference);
        if self.buffer.len() >= 4 * REFS_PER_WRITE {
            self.output.put_checksummed(&mut self.checksum, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), IndexError> {
        self.output.put_checksummed(&mut self.checksum, &self.buffer)?;
        self.output.put(&self.checksum.finish().to_be_bytes())
    }
}

impl OffsetTableWriter<'_> {
    /// Adds an entry for the list that is written next.
    fn add(&mut self, output: &IndexFileWriter, name: &str, value: &str) -> Result<(), IndexError> {
        let mut entry = Vec::with_capacity(name.len() + value.len() + 16);
        put_uvarint(&mut entry, 2);
        put_uvarint_bytes(&mut entry, name.as_bytes());
        put_uvarint_bytes(&mut entry, value.as_bytes());
        put_uvarint(&mut entry, output.position());
        self.lists += 1;
        self.entries
            .put(&entry)
            .map_err(|source| output.io_error("buffer postings offset table of", source))
    }

    /// Writes the table to the index.
    pub(super) fn write(self, output: &mut IndexFileWriter) -> Result<(), IndexError> {
        let bytes = self.entries.len() + 4;
        let (Ok(len), Ok(lists)) = (u32::try_from(bytes), u32::try_from(self.lists)) else {
            return Err(output
                .input_error(IndexInputError::TooLarge { what: "postings offset table", bytes }));
        };
        output.put(&len.to_be_bytes())?;
        let mut checksum = Crc32c::new();
        output.put_checksummed(&mut checksum, &lists.to_be_bytes())?;
        let result = self.entries.read(|buffer| {
            output.put_checksummed(&mut checksum, buffer).map_err(CopyError::Written)
        });
        result.map_err(|error| match error {
            CopyError::Read(source) => {
                output.io_error("read buffered postings offset table of", source)
            }
            CopyError::Written(error) => error,
        })?;
        output.put(&checksum.finish().to_be_bytes())
    }
}

/// Error of copying the buffered table, by side.
enum CopyError {
    Read(io::Error),
    Written(IndexError),
}

impl From<io::Error> for CopyError {
    fn from(source: io::Error) -> Self {
        Self::Read(source)
    }
}

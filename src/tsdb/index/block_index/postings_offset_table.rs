//! Postings offset table of an index: locates the posting list of each label.
//!
//! The table stays in the mapped file. Memory holds the label names and the offset of every
//! [`STRIDE`]th entry; a lookup is a binary search over these offsets, then a linear scan. The
//! table of a version 1 file is unordered, so the offsets of all its entries are kept, sorted.
//!
//! Invariant: names ascend, the values of a name ascend, all are UTF-8. Checked when the table is
//! opened.

use super::error::{FormatErrorAt, IndexFormatError};
use super::format::{IndexVersion, Section};
use crate::tsdb::encoding::byte_reader::ByteReader;

/// Number of entries per sampled offset.
const STRIDE: usize = 32;

/// Label names and sampled offsets of an index.
#[derive(Debug)]
pub(super) struct PostingsOffsetTable {
    /// Offset of the table's content in the file.
    start: usize,
    end: usize,
    stride: usize,
    /// Label names, ascending.
    names: Vec<NameEntry>,
    /// Offsets relative to `start`, grouped by name.
    sampled_offsets: Vec<u32>,
}

#[derive(Debug)]
struct NameEntry {
    name: Box<str>,
    values: usize,
    first_sample: usize,
}

/// Value of a label and the location of its posting list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValuePostings<'a> {
    pub(super) value: &'a str,
    /// Offset of the list in the file.
    pub(super) list: u64,
}

/// Entry of the table.
struct OffsetTableEntry<'a> {
    name: &'a str,
    value: ValuePostings<'a>,
}

impl PostingsOffsetTable {
    /// Reads and checks the table at `offset` of `file`.
    pub(super) fn open(
        file: &[u8],
        version: IndexVersion,
        offset: u64,
    ) -> Result<Self, FormatErrorAt> {
        let section = Section::checked(file, offset)?;
        let stride = if version == IndexVersion::V1 { 1 } else { STRIDE };
        let (start, end) = (section.start, section.start + section.bytes.len());
        let mut table = Self { start, end, stride, names: Vec::new(), sampled_offsets: Vec::new() };
        let at = |error| FormatErrorAt::new(start, error);
        let mut reader = ByteReader::new(section.bytes);
        let count = reader.be_u32().map_err(at)?;
        let mut entries: Vec<(OffsetTableEntry<'_>, u32)> = Vec::new();
        let mut last = None;
        for _ in 0..count {
            let entry_offset = reader.offset() as u32;
            let entry = read_entry(&mut reader)
                .map_err(|fault| FormatErrorAt::new(start + entry_offset as usize, fault))?;
            if version == IndexVersion::V1 {
                entries.push((entry, entry_offset));
            } else {
                table.add(last.as_ref(), &entry, entry_offset)?;
                last = Some(entry);
            }
        }
        if reader.remaining() > 0 {
            return Err(FormatErrorAt::new(
                start,
                IndexFormatError::TrailingBytes(reader.remaining() as u64),
            ));
        }
        entries.sort_unstable_by_key(|(entry, _)| (entry.name, entry.value.value));
        for (entry, entry_offset) in entries {
            table.add(last.as_ref(), &entry, entry_offset)?;
            last = Some(entry);
        }
        table.sampled_offsets.shrink_to_fit();
        Ok(table)
    }

    fn add(
        &mut self,
        last: Option<&OffsetTableEntry<'_>>,
        entry: &OffsetTableEntry<'_>,
        entry_offset: u32,
    ) -> Result<(), FormatErrorAt> {
        let same_name = last.is_some_and(|last| last.name == entry.name);
        let is_ascending = match last {
            None => true,
            Some(last) if same_name => last.value.value < entry.value.value,
            Some(last) => last.name < entry.name,
        };
        if !is_ascending {
            return Err(FormatErrorAt::new(
                self.start + entry_offset as usize,
                IndexFormatError::Order("labels of the postings offset table"),
            ));
        }
        if !same_name {
            self.names.push(NameEntry {
                name: entry.name.into(),
                values: 0,
                first_sample: self.sampled_offsets.len(),
            });
        }
        if let Some(name) = self.names.last_mut() {
            if name.values.is_multiple_of(self.stride) {
                self.sampled_offsets.push(entry_offset);
            }
            name.values += 1;
        }
        Ok(())
    }

    /// Iterates over all label names in ascending order, without the empty name of the list of all
    /// series.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &*name.name).filter(|name| !name.is_empty())
    }

    /// Iterates over the values of a label in ascending order, starting at `from`.
    pub(super) fn values<'a>(
        &'a self,
        file: &'a [u8],
        name: &str,
        from: &str,
    ) -> impl Iterator<Item = Result<ValuePostings<'a>, FormatErrorAt>> {
        let name = self
            .names
            .binary_search_by(|probe| (*probe.name).cmp(name))
            .ok()
            .map(|nth| &self.names[nth]);
        let samples = name.map_or(&[][..], |name| {
            let count = name.values.div_ceil(self.stride);
            self.sampled_offsets
                .get(name.first_sample..name.first_sample + count)
                .unwrap_or_default()
        });
        let before = |entry_offset: &u32| {
            read_entry(&mut self.reader(file, *entry_offset))
                .is_ok_and(|entry| entry.value.value <= from)
        };
        let first =
            if from.is_empty() { 0 } else { samples.partition_point(before).saturating_sub(1) };
        let values = ValuesIter {
            table: self,
            file,
            sampled_offsets: samples,
            num_values: name.map_or(0, |name| name.values),
            next: first * self.stride,
            reader: ByteReader::new(&[]),
        };
        let from = from.to_owned();
        values.skip_while(move |value| value.as_ref().is_ok_and(|value| *value.value < *from))
    }

    /// Returns the offset of the posting list of a label.
    pub(super) fn find(
        &self,
        file: &[u8],
        name: &str,
        value: &str,
    ) -> Result<Option<u64>, FormatErrorAt> {
        let first = self.values(file, name, value).next().transpose()?;
        Ok(first.filter(|found| found.value == value).map(|found| found.list))
    }

    fn reader<'a>(&self, file: &'a [u8], entry_offset: u32) -> ByteReader<'a> {
        ByteReader::new(file.get(self.start + entry_offset as usize..self.end).unwrap_or_default())
    }
}

/// Iterator over the values of a name.
struct ValuesIter<'a> {
    table: &'a PostingsOffsetTable,
    file: &'a [u8],
    /// Sampled offsets of the name.
    sampled_offsets: &'a [u32],
    num_values: usize,
    next: usize,
    reader: ByteReader<'a>,
}

impl<'a> Iterator for ValuesIter<'a> {
    type Item = Result<ValuePostings<'a>, FormatErrorAt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.num_values {
            return None;
        }
        if self.next.is_multiple_of(self.table.stride) {
            self.reader = self
                .table
                .reader(self.file, *self.sampled_offsets.get(self.next / self.table.stride)?);
        }
        let entry = read_entry(&mut self.reader);
        self.next = if entry.is_ok() { self.next + 1 } else { self.num_values };
        Some(
            entry
                .map(|entry| entry.value)
                .map_err(|fault| FormatErrorAt::new(self.table.start, fault)),
        )
    }
}

fn read_entry<'a>(reader: &mut ByteReader<'a>) -> Result<OffsetTableEntry<'a>, IndexFormatError> {
    let found = reader.uvarint()?;
    if found != 2 {
        return Err(IndexFormatError::Unexpected {
            what: "number of keys of a posting list",
            found,
        });
    }
    let (name, value) = (reader.uvarint_str()?, reader.uvarint_str()?);
    Ok(OffsetTableEntry { name, value: ValuePostings { value, list: reader.uvarint()? } })
}

//! The index of a block, opened for reading.
//!
//! The file is mapped. Opening it reads its table of contents, symbols and postings offset table whole and checks their checksums; entries of
//! series and posting lists are checked as they are read. In memory are places (half a byte a symbol, an eighth of one a
//! label) and label names. No bytes whatever make it panic or allocate more than the file is long.
//!
//! Not changed once open; any number of threads.

use super::entry::{ChunkMeta, RawSeriesEntry, SeriesEntry};
use super::error::{FormatErrorAt, IndexError, IndexFormatError};
use super::format::{IndexVersion, Toc};
use super::postings;
use super::postings_offset_table::PostingsOffsetTable;
use super::symbols::SymbolTable;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::refs::BlockSeriesRef;
use crate::tsdb::fs::mmap::MappedFile;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An open index.
#[derive(Debug)]
pub struct IndexReader {
    path: PathBuf,
    file: MappedFile,
    pub(super) version: IndexVersion,
    pub(super) toc: Toc,
    pub(super) symbols: SymbolTable,
    pub(super) labels: PostingsOffsetTable,
}

impl IndexReader {
    /// Opens the file, of version 1, 2 or 3.
    ///
    /// # Errors
    /// [`IndexError::Io`] and [`IndexError::Corrupted`].
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let failed =
            |step| move |source: io::Error| IndexError::Io { step, path: path.to_owned(), source };
        let file = File::open(path).map_err(failed("open"))?;
        let file = MappedFile::map_all(&file).map_err(failed("map"))?;
        Self::read(path, file).map_err(|fault| fault.in_file(path))
    }

    fn read(path: &Path, file: MappedFile) -> Result<Self, FormatErrorAt> {
        let bytes = file.bytes();
        let version = IndexVersion::read(bytes)?;
        let toc = Toc::read(bytes)?;
        let symbols = SymbolTable::open(bytes, version, toc.symbols)?;
        let labels = PostingsOffsetTable::open(bytes, version, toc.postings_table)?;
        Ok(Self { path: path.to_owned(), version, toc, symbols, labels, file })
    }

    /// The size of the file, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// All symbols, rising.
    pub fn symbols(&self) -> impl Iterator<Item = Result<&str, IndexError>> {
        self.symbols
            .iter(self.bytes())
            .map(|symbol| symbol.map_err(|fault| self.corruption_error(fault)))
    }

    /// A series, its entry checked.
    ///
    /// # Errors
    /// [`IndexError::Corrupted`]; also for a reference that [`IndexReader::select`] did not give.
    pub fn series(&self, series: BlockSeriesRef) -> Result<SeriesEntry, IndexError> {
        let mut chunks = Vec::new();
        let labels = self.read_series(series, &mut chunks)?;
        Ok(SeriesEntry { labels, chunks })
    }

    /// The same, with the chunks put in place of those in `chunks`.
    ///
    /// # Errors
    /// As [`IndexReader::series`].
    pub fn read_series(
        &self,
        series: BlockSeriesRef,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<Labels, IndexError> {
        chunks.clear();
        self.decode_series(series, chunks).map_err(|fault| self.corruption_error(fault))
    }

    /// Every series, rising by reference, which is rising by labels.
    ///
    /// # Errors
    /// [`IndexError::Corrupted`].
    pub fn all_series(&self) -> Result<Vec<BlockSeriesRef>, IndexError> {
        let mut all = Vec::new();
        self.read_list("", "", &mut all)?;
        Ok(all)
    }

    /// The series that have the label, rising.
    ///
    /// # Errors
    /// [`IndexError::Corrupted`].
    pub fn postings(&self, name: &str, value: &str) -> Result<Vec<BlockSeriesRef>, IndexError> {
        let mut list = Vec::new();
        if !name.is_empty() {
            self.read_list(name, value, &mut list)?;
        }
        Ok(list)
    }

    /// The names of all labels, rising.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        self.labels.names().map(str::to_owned).collect()
    }

    /// The values of a label, rising; none for a label that no series has.
    ///
    /// # Errors
    /// [`IndexError::Corrupted`].
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, IndexError> {
        self.values(name).map(|value| value.map(str::to_owned)).collect()
    }

    /// The values of a label, rising, read one by one; none for a label that no series has.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Result<&str, IndexError>> {
        // The empty name stands for all series: no label.
        let name = Some(name).filter(|name| !name.is_empty());
        let values = name.into_iter().flat_map(|name| self.labels.values(self.bytes(), name, ""));
        values.map(|value| {
            value.map(|value| value.value).map_err(|fault| self.corruption_error(fault))
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    pub(super) fn corruption_error(&self, fault: FormatErrorAt) -> IndexError {
        fault.in_file(&self.path)
    }

    /// The file up to the end of the series.
    pub(super) fn series_section(&self) -> &[u8] {
        let bytes = self.bytes();
        let end = self.toc.series_end(bytes.len());
        &bytes[..bytes.len().min(end as usize)]
    }

    pub(super) fn decode_series(
        &self,
        series: BlockSeriesRef,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<Labels, FormatErrorAt> {
        let offset = u64::from(series.0) * self.version.series_align();
        if offset < self.toc.series {
            return Err(FormatErrorAt {
                offset,
                fault: IndexFormatError::Unexpected {
                    what: "series reference",
                    found: series.0.into(),
                },
            });
        }
        let entry = RawSeriesEntry::checked(self.series_section(), offset as usize)?;
        let mut builder = LabelsBuilder::new();
        let rest = entry.labels(|label| -> Result<(), FormatErrorAt> {
            builder.add(
                self.symbols.get(self.bytes(), label.name)?,
                self.symbols.get(self.bytes(), label.value)?,
            );
            Ok(())
        })?;
        entry.chunks(rest, chunks)?;
        builder.build().map_err(|error| FormatErrorAt {
            offset,
            fault: IndexFormatError::Labels(error.to_string()),
        })
    }

    fn read_list(
        &self,
        name: &str,
        value: &str,
        list: &mut Vec<BlockSeriesRef>,
    ) -> Result<(), IndexError> {
        let read = || match self.labels.find(self.bytes(), name, value)? {
            Some(offset) => postings::read(self.bytes(), offset, list).map(drop),
            None => Ok(()),
        };
        let mut read = read;
        read().map_err(|fault| self.corruption_error(fault))
    }
}

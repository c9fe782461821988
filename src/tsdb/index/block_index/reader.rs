//! An open index of a block.
//!
//! The file is memory-mapped. Opening reads the table of contents, the symbols and the postings
//! offset table completely and verifies their checksums; series entries and posting lists are
//! verified when they are read.
//!
//! Memory: half a byte per symbol, an eighth of a byte per label, and the label names. Malformed
//! files cause neither panics nor allocations larger than the file. The reader is immutable and can
//! be shared by any number of threads.

use super::entry::{ChunkMeta, RawSeriesEntry, SeriesEntry};
use super::error::{FormatErrorAt, IndexCorruption, IndexError, IndexFormatError};
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

/// Reader of an index file; see the module documentation.
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
    /// Opens an index file of version 1, 2 or 3.
    ///
    /// # Errors
    /// [`IndexError::Io`] and [`IndexError::Corrupted`].
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let io_error =
            |step| move |source: io::Error| IndexError::Io { step, path: path.to_owned(), source };
        let file = File::open(path).map_err(io_error("open"))?;
        let file = MappedFile::map_all(&file).map_err(io_error("map"))?;
        Ok(Self::read(path, file).map_err(|fault| fault.in_file(path))?)
    }

    fn read(path: &Path, file: MappedFile) -> Result<Self, FormatErrorAt> {
        let bytes = file.bytes();
        let version = IndexVersion::read(bytes)?;
        let toc = Toc::read(bytes)?;
        let symbols = SymbolTable::open(bytes, version, toc.symbols)?;
        let labels = PostingsOffsetTable::open(bytes, version, toc.postings_table)?;
        Ok(Self { path: path.to_owned(), version, toc, symbols, labels, file })
    }

    /// Returns the size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Iterates over all symbols in ascending order.
    pub fn symbols(&self) -> impl Iterator<Item = Result<&str, IndexCorruption>> {
        self.symbols.iter(self.bytes()).map(|symbol| symbol.map_err(|fault| self.corruption(fault)))
    }

    /// Reads a series and verifies its entry.
    ///
    /// # Errors
    /// [`IndexCorruption`], also for a reference that [`IndexReader::select`] did not return.
    pub fn series(&self, series: BlockSeriesRef) -> Result<SeriesEntry, IndexCorruption> {
        let mut chunks = Vec::new();
        let labels = self.read_series(series, &mut chunks)?;
        Ok(SeriesEntry { labels, chunks })
    }

    /// Reads a series like [`IndexReader::series`] and replaces the content of `chunks`.
    ///
    /// # Errors
    /// As [`IndexReader::series`].
    pub fn read_series(
        &self,
        series: BlockSeriesRef,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<Labels, IndexCorruption> {
        chunks.clear();
        self.decode_series(series, chunks).map_err(|fault| self.corruption(fault))
    }

    /// Returns all series, ascending by reference and thus by labels.
    ///
    /// # Errors
    /// [`IndexCorruption`].
    pub fn all_series(&self) -> Result<Vec<BlockSeriesRef>, IndexCorruption> {
        let mut all = Vec::new();
        self.read_list("", "", &mut all)?;
        Ok(all)
    }

    /// Returns the series with this label, ascending.
    ///
    /// # Errors
    /// [`IndexCorruption`].
    #[cfg(any(test, feature = "testing"))]
    pub fn postings(
        &self,
        name: &str,
        value: &str,
    ) -> Result<Vec<BlockSeriesRef>, IndexCorruption> {
        let mut list = Vec::new();
        if !name.is_empty() {
            self.read_list(name, value, &mut list)?;
        }
        Ok(list)
    }

    /// Returns all label names, ascending.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        self.labels.names().map(str::to_owned).collect()
    }

    /// Returns the values of a label, ascending. The list is empty if no series has the label.
    ///
    /// # Errors
    /// [`IndexCorruption`].
    #[cfg(any(test, feature = "testing"))]
    pub fn label_values(&self, name: &str) -> Result<Vec<String>, IndexCorruption> {
        self.values(name).map(|value| value.map(str::to_owned)).collect()
    }

    /// Iterates over the values of a label in ascending order. It yields nothing if no series has
    /// the label.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Result<&str, IndexCorruption>> {
        // The empty name denotes the list of all series, not a label.
        let name = Some(name).filter(|name| !name.is_empty());
        let values = name.into_iter().flat_map(|name| self.labels.values(self.bytes(), name, ""));
        values.map(|value| value.map(|value| value.value).map_err(|fault| self.corruption(fault)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    pub(super) fn corruption(&self, fault: FormatErrorAt) -> IndexCorruption {
        fault.in_file(&self.path)
    }

    /// Returns the file up to the end of the series.
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
        builder.build().map_err(|error| FormatErrorAt { offset, fault: error.into() })
    }

    fn read_list(
        &self,
        name: &str,
        value: &str,
        list: &mut Vec<BlockSeriesRef>,
    ) -> Result<(), IndexCorruption> {
        let read = || match self.labels.find(self.bytes(), name, value)? {
            Some(offset) => postings::read(self.bytes(), offset, list).map(drop),
            None => Ok(()),
        };
        let mut read = read;
        read().map_err(|fault| self.corruption(fault))
    }
}

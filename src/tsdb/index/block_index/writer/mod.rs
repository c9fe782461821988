//! Creation of a block's index: symbols, then series; the rest is derived from them.
//!
//! The bytes equal those that Prometheus 3.14 writes for the same symbols and series.
//!
//! | module | contents |
//! |--------|----------|
//! | `cache` | numbers of recently used symbols |
//! | `output` | buffered file |
//! | `postings` | posting lists and their offset table |
//! | `spill` | buffer of the offset table |
//!
//! # Memory
//! Sampled symbol offsets (half a byte per symbol), series counts per label name, and a bounded
//! number of postings. Everything else is read back from the mapped part of the file that is
//! already written.
//!
//! # Failure
//! After an I/O error the writer rejects all calls. The file then has no table of contents, and the
//! caller removes it.

mod cache;
mod output;
mod postings;
mod spill;

use super::entry::{ChunkMeta, put_chunks};
use super::error::{IndexError, IndexInputError};
use super::format::{HEADER_LEN, MAGIC, SERIES_ALIGN, Toc, WRITTEN_VERSION};
use super::symbols::{SymbolTable, SymbolTableBuilder};
use crate::model::labels::Labels;
use crate::tsdb::encoding::byte_reader::{put_be_u32, put_uvarint, put_uvarint_bytes};
use crate::tsdb::encoding::checksum::{Crc32c, crc32c};
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::mmap::MappedFile;
use cache::SymbolCache;
use output::IndexFileWriter;
use postings::PostingsWriter;
use std::collections::BTreeMap;
use std::path::Path;

/// Size of a complete index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSize {
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Number of symbols in the table.
    pub symbols: u64,
    /// Number of series entries.
    pub series: u64,
    /// Number of chunks of all series.
    pub chunks: u64,
}

/// Writer of an index file. One thread uses it.
#[derive(Debug)]
pub struct IndexWriter<'a> {
    disk: &'a dyn Disk,
    output: IndexFileWriter,
    toc: Toc,
    stage: WriteStage,
    last: LastWritten,
    size: IndexSize,
    /// Number of series per label name, by symbol.
    series_per_name: BTreeMap<u32, u64>,
    scratch: Vec<u8>,
    frame: Vec<u8>,
    names: Vec<u32>,
}

/// Last accepted input; the next must be greater.
#[derive(Debug, Default)]
struct LastWritten {
    symbol: String,
    series: Option<Labels>,
    chunk: u64,
}

/// Part of the file that is being written.
#[derive(Debug)]
enum WriteStage {
    Symbols {
        table: SymbolTableBuilder,
        checksum: Crc32c,
    },
    Series(WrittenSymbols),
    /// A write failed, so all calls are rejected.
    Broken,
}

/// Symbol table that is completely written.
#[derive(Debug)]
struct WrittenSymbols {
    file: MappedFile,
    table: SymbolTable,
    cache: SymbolCache,
}

impl WrittenSymbols {
    fn symbol_number(&mut self, string: &str) -> Option<u32> {
        let (file, table) = (self.file.bytes(), &self.table);
        self.cache.get(
            string,
            |number| table.get(file, number).is_ok_and(|symbol| symbol == string),
            || table.find(file, string),
        )
    }
}

impl<'a> IndexWriter<'a> {
    /// Creates or replaces the file.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn create(disk: &'a dyn Disk, path: &Path) -> Result<Self, IndexError> {
        let mut output = IndexFileWriter::create(disk, path)?;
        let mut header = Vec::new();
        put_be_u32(&mut header, MAGIC);
        header.push(WRITTEN_VERSION);
        // Placeholders for length and count of the symbols, which `finish_symbols` patches.
        header.extend_from_slice(&[0; 8]);
        output.put(&header)?;
        Ok(Self {
            disk,
            output,
            toc: Toc { symbols: HEADER_LEN as u64, ..Toc::default() },
            stage: WriteStage::Symbols {
                table: SymbolTableBuilder::new(),
                checksum: Crc32c::new(),
            },
            last: LastWritten::default(),
            size: IndexSize { bytes: 0, symbols: 0, series: 0, chunks: 0 },
            series_per_name: BTreeMap::new(),
            scratch: Vec::new(),
            frame: Vec::new(),
            names: Vec::new(),
        })
    }

    /// Adds a symbol, which must be greater (by its bytes) than the previous one.
    ///
    /// All label names and values must be added before the first series. Blocks that Prometheus
    /// writes from its head also have the empty symbol.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] for an unordered symbol or a symbol table that is too large,
    /// [`IndexError::Io`].
    pub fn add_symbol(&mut self, symbol: &str) -> Result<(), IndexError> {
        let WriteStage::Symbols { table, checksum } = &mut self.stage else {
            let is_broken = matches!(self.stage, WriteStage::Broken);
            let cause = if is_broken {
                IndexInputError::Broken
            } else {
                IndexInputError::LateSymbol { symbol: symbol.to_owned() }
            };
            return Err(self.output.input_error(cause));
        };
        if table.count() > 0 && symbol <= self.last.symbol.as_str() {
            return Err(self
                .output
                .input_error(IndexInputError::SymbolOrder { symbol: symbol.to_owned() }));
        }
        let bytes = self.output.position() - self.toc.symbols - 4;
        let Ok(symbol_offset) =
            u32::try_from(bytes + symbol.len() as u64 + 10).map(|_| bytes as u32)
        else {
            return Err(self
                .output
                .input_error(IndexInputError::TooLarge { what: "symbol table", bytes }));
        };
        self.scratch.clear();
        put_uvarint_bytes(&mut self.scratch, symbol.as_bytes());
        let result = self.output.put_checksummed(checksum, &self.scratch);
        table.add(symbol_offset);
        self.last.symbol.clear();
        self.last.symbol.push_str(symbol);
        if result.is_err() {
            self.stage = WriteStage::Broken;
        }
        result
    }

    /// Adds a series, which must be greater than the previous one.
    ///
    /// Its chunks ascend without overlap, and no chunk reference is lower than the previous one.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] for unordered input, an unknown symbol, or a file that is too
    /// large; [`IndexError::Io`].
    pub fn add_series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), IndexError> {
        if let WriteStage::Symbols { .. } = self.stage {
            self.finish_symbols()?;
        }
        self.check_series(labels, chunks)?;
        self.encode(labels, chunks)?;
        let result = self.put_entry();
        if result.is_err() {
            self.stage = WriteStage::Broken;
        }
        self.last.series = Some(labels.clone());
        self.last.chunk = chunks.last().map_or(self.last.chunk, |chunk| chunk.chunk_ref.0);
        self.size.series += 1;
        self.size.chunks += chunks.len() as u64;
        result
    }

    /// Writes the rest of the file and syncs it. The caller syncs the directory.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] if a part is too large or an earlier write failed,
    /// [`IndexError::Io`].
    #[cfg(any(test, feature = "testing"))]
    pub fn finish(self) -> Result<IndexSize, IndexError> {
        self.finish_while(&|| true)
    }

    /// Finishes like [`Self::finish`] while `go_on`, called for each series and each list, returns
    /// `true`.
    ///
    /// # Errors
    /// [`IndexError::Stopped`], else as [`Self::finish`].
    pub fn finish_while(mut self, go_on: &dyn Fn() -> bool) -> Result<IndexSize, IndexError> {
        if let WriteStage::Symbols { .. } = self.stage {
            self.finish_symbols()?;
        }
        let WriteStage::Series(symbols) = &self.stage else {
            return Err(self.output.input_error(IndexInputError::Broken));
        };
        let position = self.output.position();
        (self.toc.label_indices, self.toc.postings) = (position, position);
        let entries = self.output.map()?;
        let writer = PostingsWriter {
            disk: self.disk,
            entries: &entries.bytes()[..position as usize],
            start: self.toc.series as usize,
            series: self.size.series,
            symbols,
            output: &mut self.output,
            go_on,
        };
        let table = writer.write(&self.series_per_name)?;
        let position = self.output.position();
        (self.toc.label_indices_table, self.toc.postings_table) = (position, position);
        table.write(&mut self.output)?;
        self.put_toc()?;
        if !go_on() {
            return Err(IndexError::Stopped);
        }
        self.output.sync()?;
        Ok(IndexSize { bytes: self.output.position(), ..self.size })
    }

    fn finish_symbols(&mut self) -> Result<(), IndexError> {
        let WriteStage::Symbols { table, checksum } =
            std::mem::replace(&mut self.stage, WriteStage::Broken)
        else {
            return Ok(());
        };
        let start = self.toc.symbols + 4;
        let end = self.output.position();
        let count = (table.count() as u32).to_be_bytes();
        let mut total = Crc32c::new();
        total.update(&count);
        let checksum = total.combine(checksum, end - start - 4);
        self.output.put(&checksum.finish().to_be_bytes())?;
        self.output.patch(self.toc.symbols, &((end - start) as u32).to_be_bytes())?;
        self.output.patch(start, &count)?;
        self.toc.series = self.output.position();
        self.size.symbols = table.count() as u64;
        let table = table.build(start as usize, end as usize);
        self.stage = WriteStage::Series(WrittenSymbols {
            file: self.output.map()?,
            table,
            cache: SymbolCache::new(),
        });
        Ok(())
    }

    fn check_series(&self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), IndexError> {
        if self.last.series.as_ref().is_some_and(|last| last >= labels) {
            return Err(self
                .output
                .input_error(IndexInputError::SeriesOrder { series: labels.clone() }));
        }
        let mut last_chunk = self.last.chunk;
        let mut last_time = None;
        for chunk in chunks {
            if chunk.chunk_ref.0 < last_chunk {
                let cause = IndexInputError::ChunkPlace {
                    series: labels.clone(),
                    chunk: chunk.chunk_ref.0,
                };
                return Err(self.output.input_error(cause));
            }
            if chunk.maxt < chunk.mint || last_time.is_some_and(|last| chunk.mint <= last) {
                let (mint, maxt) = (chunk.mint, chunk.maxt);
                return Err(self.output.input_error(IndexInputError::ChunkOrder {
                    series: labels.clone(),
                    mint,
                    maxt,
                }));
            }
            (last_chunk, last_time) = (chunk.chunk_ref.0, Some(chunk.maxt));
        }
        Ok(())
    }

    /// Encodes the entry into `scratch`.
    fn encode(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), IndexError> {
        let WriteStage::Series(symbols) = &mut self.stage else {
            return Err(self.output.input_error(IndexInputError::Broken));
        };
        self.scratch.clear();
        put_uvarint(&mut self.scratch, labels.len() as u64);
        self.names.clear();
        for (name, value) in labels.iter() {
            let unknown = |string: &str| {
                self.output
                    .input_error(IndexInputError::UnknownSymbol { symbol: string.to_owned() })
            };
            let name = symbols.symbol_number(name).ok_or_else(|| unknown(name))?;
            let value = symbols.symbol_number(value).ok_or_else(|| unknown(value))?;
            put_uvarint(&mut self.scratch, name.into());
            put_uvarint(&mut self.scratch, value.into());
            self.names.push(name);
        }
        for name in &self.names {
            *self.series_per_name.entry(*name).or_default() += 1;
        }
        put_chunks(&mut self.scratch, chunks);
        Ok(())
    }

    /// Appends the entry in `scratch` to the file.
    fn put_entry(&mut self) -> Result<(), IndexError> {
        self.output.pad(SERIES_ALIGN)?;
        self.frame.clear();
        put_uvarint(&mut self.frame, self.scratch.len() as u64);
        self.output.put(&self.frame)?;
        self.output.put(&self.scratch)?;
        self.output.put(&crc32c(&self.scratch).to_be_bytes())
    }

    fn put_toc(&mut self) -> Result<(), IndexError> {
        self.scratch.clear();
        self.toc.put(&mut self.scratch);
        let checksum = crc32c(&self.scratch);
        put_be_u32(&mut self.scratch, checksum);
        self.output.put(&self.scratch)
    }
}

//! Writing the index of a block: symbols, then series, then all that follows from them.
//!
//! The bytes are those that Prometheus 3.14 writes for the same symbols and series. Nothing is held in memory but places of
//! symbols (half a byte each), counts of label names and a bounded number of postings: what is needed again is read from the part of the
//! file that is written, which is mapped for that.
//!
//! One thread. After an error the writer takes nothing more; the file is then incomplete (without table of contents) and is the caller's to remove.

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
use crate::tsdb::fs::mmap::MappedFile;
use cache::SymbolCache;
use output::IndexFileWriter;
use postings::PostingsWriter;
use std::collections::BTreeMap;
use std::path::Path;

/// How large a finished index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSize {
    /// The file, bytes.
    pub bytes: u64,
    /// Symbols.
    pub symbols: u64,
    /// Series.
    pub series: u64,
    /// Chunks of all series.
    pub chunks: u64,
}

/// An index being written.
#[derive(Debug)]
pub struct IndexWriter {
    output: IndexFileWriter,
    toc: Toc,
    stage: WriteStage,
    last: LastWritten,
    size: IndexSize,
    /// Of how many series each label name is, by its symbol.
    series_per_name: BTreeMap<u32, u64>,
    scratch: Vec<u8>,
    frame: Vec<u8>,
    names: Vec<u32>,
}

/// What was taken last: what comes next has to be greater.
#[derive(Debug, Default)]
struct LastWritten {
    symbol: String,
    series: Option<Labels>,
    chunk: u64,
}

/// How far the file is.
#[derive(Debug)]
enum WriteStage {
    Symbols {
        places: SymbolTableBuilder,
        sum: Crc32c,
    },
    Series(WrittenSymbols),
    /// A step failed.
    Broken,
}

/// The symbols, written.
#[derive(Debug)]
struct WrittenSymbols {
    file: MappedFile,
    places: SymbolTable,
    cache: SymbolCache,
}

impl WrittenSymbols {
    fn symbol_number(&mut self, text: &str) -> Option<u32> {
        let (file, places) = (self.file.bytes(), &self.places);
        self.cache.get(
            text,
            |number| places.get(file, number).is_ok_and(|symbol| symbol == text),
            || places.find(file, text),
        )
    }
}

impl IndexWriter {
    /// Makes the file anew.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn create(path: &Path) -> Result<Self, IndexError> {
        let mut output = IndexFileWriter::create(path)?;
        let mut header = Vec::new();
        put_be_u32(&mut header, MAGIC);
        header.push(WRITTEN_VERSION);
        // Length and count of the symbols, which are known later.
        header.extend_from_slice(&[0; 8]);
        output.put(&header)?;
        Ok(Self {
            output,
            toc: Toc { symbols: HEADER_LEN as u64, ..Toc::default() },
            stage: WriteStage::Symbols { places: SymbolTableBuilder::new(), sum: Crc32c::new() },
            last: LastWritten::default(),
            size: IndexSize { bytes: 0, symbols: 0, series: 0, chunks: 0 },
            series_per_name: BTreeMap::new(),
            scratch: Vec::new(),
            frame: Vec::new(),
            names: Vec::new(),
        })
    }

    /// Adds a symbol: each is greater (by its bytes) than the one before. Every name and value of a label has to be one, before
    /// the first series. Prometheus has the empty one too in a block that it writes from its head.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] for one out of order or too many bytes of them, [`IndexError::Io`].
    pub fn add_symbol(&mut self, symbol: &str) -> Result<(), IndexError> {
        let WriteStage::Symbols { places, sum } = &mut self.stage else {
            let broken = matches!(self.stage, WriteStage::Broken);
            let refusal = if broken {
                IndexInputError::Broken
            } else {
                IndexInputError::LateSymbol(symbol.to_owned())
            };
            return Err(self.output.input_error(refusal));
        };
        if places.count() > 0 && symbol <= self.last.symbol.as_str() {
            return Err(self.output.input_error(IndexInputError::SymbolOrder(symbol.to_owned())));
        }
        let bytes = self.output.position() - self.toc.symbols - 4;
        let Ok(place) = u32::try_from(bytes + symbol.len() as u64 + 10).map(|_| bytes as u32)
        else {
            return Err(self
                .output
                .input_error(IndexInputError::TooLarge { what: "symbol table", bytes }));
        };
        self.scratch.clear();
        put_uvarint_bytes(&mut self.scratch, symbol.as_bytes());
        let put = self.output.put_checksummed(sum, &self.scratch);
        places.add(place);
        self.last.symbol.clear();
        self.last.symbol.push_str(symbol);
        if put.is_err() {
            self.stage = WriteStage::Broken;
        }
        put
    }

    /// Adds a series with its chunks: each series is greater than the one before, its chunks rise without overlap, and every
    /// chunk lies behind those named before it.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] for what is out of order, a label that is no symbol, or a file too large; [`IndexError::Io`].
    pub fn add_series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), IndexError> {
        if let WriteStage::Symbols { .. } = self.stage {
            self.finish_symbols()?;
        }
        self.check_series(labels, chunks)?;
        self.encode(labels, chunks)?;
        let put = self.put_entry();
        if put.is_err() {
            self.stage = WriteStage::Broken;
        }
        self.last.series = Some(labels.clone());
        self.last.chunk = chunks.last().map_or(self.last.chunk, |chunk| chunk.chunk_ref.0);
        self.size.series += 1;
        self.size.chunks += chunks.len() as u64;
        put
    }

    /// Writes the rest of the file and brings it to the disk; the name of the file is the caller's to make durable.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] where a part is too large or a step before failed, [`IndexError::Io`].
    pub fn finish(self) -> Result<IndexSize, IndexError> {
        self.finish_while(&|| true)
    }

    /// The same, as long as `go_on`, which is asked for each series and each list, returns `true`.
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
        let WriteStage::Symbols { places, sum } =
            std::mem::replace(&mut self.stage, WriteStage::Broken)
        else {
            return Ok(());
        };
        let start = self.toc.symbols + 4;
        let end = self.output.position();
        let count = (places.count() as u32).to_be_bytes();
        let mut whole = Crc32c::new();
        whole.update(&count);
        let sum = whole.combine(sum, end - start - 4);
        self.output.put(&sum.finish().to_be_bytes())?;
        self.output.patch(self.toc.symbols, &((end - start) as u32).to_be_bytes())?;
        self.output.patch(start, &count)?;
        self.toc.series = self.output.position();
        self.size.symbols = places.count() as u64;
        let places = places.build(start as usize, end as usize);
        self.stage = WriteStage::Series(WrittenSymbols {
            file: self.output.map()?,
            places,
            cache: SymbolCache::new(),
        });
        Ok(())
    }

    fn check_series(&self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), IndexError> {
        if self.last.series.as_ref().is_some_and(|last| last >= labels) {
            return Err(self.output.input_error(IndexInputError::SeriesOrder(labels.to_string())));
        }
        let mut last_place = self.last.chunk;
        let mut last_time = None;
        for chunk in chunks {
            if chunk.chunk_ref.0 < last_place {
                let refusal = IndexInputError::ChunkPlace {
                    series: labels.to_string(),
                    chunk: chunk.chunk_ref.0,
                };
                return Err(self.output.input_error(refusal));
            }
            if chunk.maxt < chunk.mint || last_time.is_some_and(|last| chunk.mint <= last) {
                let (mint, maxt) = (chunk.mint, chunk.maxt);
                return Err(self.output.input_error(IndexInputError::ChunkOrder {
                    series: labels.to_string(),
                    mint,
                    maxt,
                }));
            }
            (last_place, last_time) = (chunk.chunk_ref.0, Some(chunk.maxt));
        }
        Ok(())
    }

    /// Puts the bytes of the entry into `scratch`.
    fn encode(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), IndexError> {
        let WriteStage::Series(symbols) = &mut self.stage else {
            return Err(self.output.input_error(IndexInputError::Broken));
        };
        self.scratch.clear();
        put_uvarint(&mut self.scratch, labels.len() as u64);
        self.names.clear();
        for (name, value) in labels.iter() {
            let unknown = |text: &str| {
                self.output.input_error(IndexInputError::UnknownSymbol(text.to_owned()))
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
        let sum = crc32c(&self.scratch);
        put_be_u32(&mut self.scratch, sum);
        self.output.put(&self.scratch)
    }
}

//! Complete verification of an index.
//!
//! # Limits
//! Nothing reads the bytes between posting lists, nor the content of label indices in old files, so
//! they are not checked except for the checksums of the latter. A version 2 file is also valid as
//! version 3 and vice versa.
//!
//! # Consistency of postings and entries
//! Both sides add up 64-bit hashes of all pairs of label and series. The sums need no memory, and a
//! difference stays undetected only if hashes collide.

use super::entry::{ChunkMeta, RawSeriesEntry};
use super::error::{FormatErrorAt, IndexError, IndexFormatError};
use super::format::Section;
use super::postings;
use super::postings_offset_table::PostingsOffsetTable;
use super::reader::IndexReader;
use super::symbols::SymbolTable;
use crate::model::labels::Labels;
use crate::model::refs::BlockSeriesRef;
use crate::tsdb::encoding::byte_reader::ByteReader;
use foldhash::quality::FixedState;
use std::hash::BuildHasher;

/// Content of a valid index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexReport {
    /// Number of symbols in the table.
    pub symbols: u64,
    /// Number of series entries.
    pub series: u64,
    /// Number of chunks of all series.
    pub chunks: u64,
    /// Number of labels of all series; a label of two series counts twice.
    pub labels: u64,
    /// Timestamp of the first sample, ms; `i64::MAX` without chunks.
    pub mint: i64,
    /// Timestamp of the last sample, ms; `i64::MIN` without chunks.
    pub maxt: i64,
}

/// Reads and checks the complete index: checksums, sort orders, zero padding before entries,
/// references, and the consistency of posting lists and entries.
///
/// # Errors
/// [`IndexError::Corrupted`] with the first defect.
#[cfg(any(test, feature = "testing"))]
pub fn verify(index: &IndexReader) -> Result<IndexReport, IndexError> {
    verify_while(index, &|| true)
}

/// Verifies `index` like [`verify`] while `go_on`, called for each entry and each list, returns
/// `true`.
///
/// # Errors
/// [`IndexError::Corrupted`] as [`verify`]; [`IndexError::Stopped`].
pub fn verify_while(
    index: &IndexReader,
    go_on: &dyn Fn() -> bool,
) -> Result<IndexReport, IndexError> {
    IndexVerifier::run(index, go_on).map_err(|ended| match ended {
        Ended::Fault(fault) => index.corruption(fault).into(),
        Ended::Stopped => IndexError::Stopped,
    })
}

/// Reason for the early end of a verification.
enum Ended {
    Fault(FormatErrorAt),
    Stopped,
}

impl From<FormatErrorAt> for Ended {
    fn from(fault: FormatErrorAt) -> Self {
        Self::Fault(fault)
    }
}

/// State of a verification.
struct IndexVerifier<'a> {
    index: &'a IndexReader,
    go_on: &'a dyn Fn() -> bool,
    report: IndexReport,
    pairs: PairSum,
    refs: Vec<BlockSeriesRef>,
    last_labels: Option<Labels>,
    last_chunk: u64,
}

/// Order-independent sum of the hashes of pairs of label and series.
#[derive(Default, PartialEq, Eq)]
struct PairSum {
    sum: u64,
    count: u64,
}

impl PairSum {
    fn add(&mut self, label: u64, series: BlockSeriesRef) {
        self.sum = self.sum.wrapping_add(STATE.hash_one((label, series)));
        self.count += 1;
    }
}

const STATE: FixedState = FixedState::with_seed(0);

fn label_hash(name: &str, value: &str) -> u64 {
    STATE.hash_one((name, value))
}

impl<'a> IndexVerifier<'a> {
    fn run(index: &'a IndexReader, go_on: &'a dyn Fn() -> bool) -> Result<IndexReport, Ended> {
        let report = IndexReport {
            symbols: 0,
            series: 0,
            chunks: 0,
            labels: 0,
            mint: i64::MAX,
            maxt: i64::MIN,
        };
        let (pairs, refs) = (PairSum::default(), Vec::new());
        let mut verifier =
            Self { index, go_on, report, pairs, refs, last_labels: None, last_chunk: 0 };
        verifier.check_tables()?;
        verifier.check_entries()?;
        verifier.check_postings()?;
        verifier.check_label_indices()?;
        verifier.report.series = verifier.refs.len() as u64;
        verifier.report.labels = verifier.pairs.count;
        Ok(verifier.report)
    }

    fn check_cancelled(&self) -> Result<(), Ended> {
        if (self.go_on)() { Ok(()) } else { Err(Ended::Stopped) }
    }

    /// Checks the tables that were checked at opening again, as the file may have changed.
    fn check_tables(&mut self) -> Result<(), FormatErrorAt> {
        let (index, bytes) = (self.index, self.index.bytes());
        SymbolTable::open(bytes, index.version, index.toc.symbols)?;
        PostingsOffsetTable::open(bytes, index.version, index.toc.postings_table)?;
        index.symbols.iter(bytes).try_for_each(|symbol| symbol.map(drop))?;
        self.report.symbols = index.symbols.count() as u64;
        Ok(())
    }

    fn check_entries(&mut self) -> Result<(), Ended> {
        let align = self.index.version.series_align();
        let file = self.index.series_section();
        let mut offset = self.index.toc.series;
        let mut chunks = Vec::new();
        loop {
            self.check_cancelled()?;
            let start =
                offset.checked_next_multiple_of(align).unwrap_or(offset).min(file.len() as u64);
            if file
                .get(offset as usize..start as usize)
                .is_none_or(|zeros| zeros.iter().any(|byte| *byte != 0))
            {
                let fault = IndexFormatError::Inconsistent("alignment and padding of a series");
                return Err(FormatErrorAt { offset, fault }.into());
            }
            if start >= file.len() as u64 {
                return Ok(());
            }
            let Ok(series) = u32::try_from(start / align).map(BlockSeriesRef) else {
                let fault =
                    IndexFormatError::Unexpected { what: "offset of a series", found: start };
                return Err(FormatErrorAt { offset: start, fault }.into());
            };
            let entry = RawSeriesEntry::checked(file, start as usize)?;
            self.check_entry(series, &entry, start, &mut chunks)?;
            offset = entry.end() as u64;
        }
    }

    fn check_entry(
        &mut self,
        series: BlockSeriesRef,
        entry: &RawSeriesEntry<'_>,
        offset: u64,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<(), FormatErrorAt> {
        let defect = |fault| FormatErrorAt { offset, fault };
        let (file, symbols) = (self.index.bytes(), &self.index.symbols);
        let mut last_name = "";
        entry.labels(|label| -> Result<(), FormatErrorAt> {
            let (name, value) = (symbols.get(file, label.name)?, symbols.get(file, label.value)?);
            if name <= last_name {
                return Err(defect(IndexFormatError::Order("label names of a series")));
            }
            if value.is_empty() {
                return Err(defect(IndexFormatError::EmptyValue { name: name.to_owned() }));
            }
            last_name = name;
            self.pairs.add(label_hash(name, value), series);
            Ok(())
        })?;
        chunks.clear();
        let labels = self.index.decode_series(series, chunks)?;
        if self.last_labels.as_ref().is_some_and(|last| *last >= labels) {
            return Err(defect(IndexFormatError::Order("series")));
        }
        self.last_labels = Some(labels);
        self.refs.push(series);
        self.check_chunks(chunks).map_err(defect)
    }

    fn check_chunks(&mut self, chunks: &[ChunkMeta]) -> Result<(), IndexFormatError> {
        let mut last = None;
        for chunk in chunks {
            if chunk.maxt < chunk.mint || last.is_some_and(|last| chunk.mint <= last) {
                return Err(IndexFormatError::Order("chunk time ranges"));
            }
            if chunk.chunk_ref.0 < self.last_chunk {
                return Err(IndexFormatError::Order("chunk references"));
            }
            (last, self.last_chunk) = (Some(chunk.maxt), chunk.chunk_ref.0);
            self.report.mint = self.report.mint.min(chunk.mint);
            self.report.maxt = self.report.maxt.max(chunk.maxt);
        }
        self.report.chunks += chunks.len() as u64;
        Ok(())
    }

    fn check_postings(&mut self) -> Result<(), Ended> {
        let table = self.index.toc.postings_table;
        let defect =
            |what| FormatErrorAt { offset: table, fault: IndexFormatError::Inconsistent(what) };
        let file = self.index.bytes();
        let mut pairs = PairSum::default();
        let mut list = Vec::new();
        for name in self.index.labels.names() {
            for value in self.index.labels.values(file, name, "") {
                self.check_cancelled()?;
                let value = value?;
                list.clear();
                postings::read(file, value.list, &mut list)?;
                let label = label_hash(name, value.value);
                list.iter().for_each(|series| pairs.add(label, *series));
            }
        }
        if pairs != self.pairs {
            return Err(defect("posting lists and series entries").into());
        }
        list.clear();
        let all = self
            .index
            .labels
            .find(file, "", "")?
            .ok_or_else(|| defect("list of all series and series entries"))?;
        postings::read(file, all, &mut list)?;
        if list == self.refs {
            Ok(())
        } else {
            Err(defect("list of all series and series entries").into())
        }
    }

    /// Verifies the checksums of label indices, which only old files have.
    fn check_label_indices(&self) -> Result<(), FormatErrorAt> {
        let (file, toc) = (self.index.bytes(), &self.index.toc);
        if toc.label_indices_table == 0 || toc.label_indices_table == toc.postings_table {
            return Ok(());
        }
        let table = Section::checked(file, toc.label_indices_table)?;
        let at = |error| FormatErrorAt::new(table.start, error);
        let mut reader = ByteReader::new(table.bytes);
        for _ in 0..reader.be_u32().map_err(at)? {
            for _ in 0..reader.bounded_count(1).map_err(at)? {
                reader.uvarint_bytes().map_err(at)?;
            }
            Section::checked(file, reader.uvarint().map_err(at)?)?;
        }
        Ok(())
    }
}

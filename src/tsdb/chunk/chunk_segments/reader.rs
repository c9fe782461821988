//! Chunk segment reader: maps the segments of a block and returns chunks as parts of the mappings.
//!
//! The checksum is verified on each read: earlier reads prove nothing about the disk, and the bytes
//! are read anyway. A chunk keeps its file mapped while it lives, even if the block is removed. No
//! locks: the files do not change.

use crate::model::refs::BlockChunkRef;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::chunk_segments::error::{ChunkSegmentCorruption, ChunkSegmentError};
use crate::tsdb::chunk::chunk_segments::format::{
    ChunkSegmentFormatError, FILE_HEADER, check_header, read_chunk_at,
};
use crate::tsdb::chunk::chunk_segments::segment_path;
use crate::tsdb::fs::corruption::Corruption;
use crate::tsdb::fs::durable::FileError;
use crate::tsdb::fs::mmap::MappedFile;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mapped chunk segments of a block.
#[derive(Debug)]
pub struct ChunkSegmentReader {
    dir: PathBuf,
    segments: Vec<Arc<MappedFile>>,
}

/// Stored chunk that keeps its bytes mapped.
#[derive(Clone, Debug)]
pub struct PinnedChunk {
    file: Arc<MappedFile>,
    data: Range<usize>,
    encoding: ChunkEncoding,
}

/// Counts of [`ChunkSegmentReader::verify_segment`] for one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkSegmentReport {
    /// Number of chunks, referenced by the index or not.
    pub chunks: u64,
}

impl PinnedChunk {
    /// Returns the encoding of the bytes.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        self.encoding
    }
}

/// Bytes of the encoded samples.
impl AsRef<[u8]> for PinnedChunk {
    fn as_ref(&self) -> &[u8] {
        &self.file.bytes()[self.data.clone()]
    }
}

impl ChunkSegmentReader {
    /// Maps the segments in the directory `dir` and checks their headers. Files without a numeric
    /// name are skipped.
    ///
    /// # Errors
    /// [`ChunkSegmentError`] if a segment cannot be read or is corrupted, or if a number is
    /// missing.
    pub fn open(dir: &Path) -> Result<Self, ChunkSegmentError> {
        let count = count_segments(dir)?;
        let segments =
            (0..count).map(|number| map(&segment_path(dir, number))).collect::<Result<_, _>>()?;
        Ok(Self { dir: dir.to_owned(), segments })
    }

    /// Returns the chunk at `at`.
    ///
    /// # Errors
    /// [`ChunkSegmentCorruption`] if there is no valid chunk.
    pub fn chunk(&self, at: BlockChunkRef) -> Result<PinnedChunk, ChunkSegmentCorruption> {
        let file = usize::try_from(at.segment()).ok().and_then(|number| self.segments.get(number));
        let file = file.ok_or_else(|| missing(&self.dir, at.segment()))?;
        let located = read_chunk_at(file.bytes(), at.offset() as usize)
            .map_err(|fault| self.corruption(at, fault))?;
        Ok(PinnedChunk { file: Arc::clone(file), data: located.data, encoding: located.encoding })
    }

    /// Returns the size of all segments, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|file| file.bytes().len() as u64).sum()
    }

    /// Returns the number of segments.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Verifies all chunks of a segment, counted from 0. A segment that does not exist is valid.
    /// Calls `go_on` for each chunk.
    ///
    /// # Errors
    /// [`ChunkSegmentError::Corrupted`]; [`ChunkSegmentError::Stopped`] if `go_on` returns `false`.
    pub fn verify_segment(
        &self,
        number: usize,
        go_on: &dyn Fn() -> bool,
    ) -> Result<ChunkSegmentReport, ChunkSegmentError> {
        let mut report = ChunkSegmentReport::default();
        let Some(file) = self.segments.get(number) else { return Ok(report) };
        let mut at = FILE_HEADER.len();
        while at < file.bytes().len() {
            if !go_on() {
                return Err(ChunkSegmentError::Stopped);
            }
            let offset = u32::try_from(at).unwrap_or(u32::MAX);
            let chunk_ref = BlockChunkRef::new(u32::try_from(number).unwrap_or(u32::MAX), offset);
            at = read_chunk_at(file.bytes(), at)
                .map_err(|fault| self.corruption(chunk_ref, fault))?
                .end;
            report.chunks += 1;
        }
        Ok(report)
    }

    /// Returns the corruption of the chunk at `at`.
    #[must_use]
    pub fn corruption<C>(&self, at: BlockChunkRef, cause: C) -> Corruption<C> {
        Corruption::at(segment_path(&self.dir, at.segment()), u64::from(at.offset()), cause)
    }
}

/// Returns the number of segments; their names must be 000001 and up without a gap.
fn count_segments(dir: &Path) -> Result<u32, ChunkSegmentError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::for_step("list", dir))? {
        let name = entry.map_err(FileError::for_step("list", dir))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    let count = numbers.len() as u32;
    match numbers.iter().zip(1..).find(|(number, expected)| *number != expected) {
        Some((_, expected)) => Err(missing(dir, expected - 1).into()),
        None => Ok(count),
    }
}

fn map(path: &Path) -> Result<Arc<MappedFile>, ChunkSegmentError> {
    let file = File::open(path).map_err(FileError::for_step("open", path))?;
    let mapped = MappedFile::map_all(&file).map_err(FileError::for_step("map", path))?;
    check_header(mapped.bytes()).map_err(|fault| ChunkSegmentCorruption::at(path, 0, fault))?;
    Ok(Arc::new(mapped))
}

fn missing(dir: &Path, segment: u32) -> ChunkSegmentCorruption {
    Corruption::of_file(segment_path(dir, segment), ChunkSegmentFormatError::MissingFile)
}

#[cfg(test)]
mod tests {
    use super::ChunkSegmentReader;
    use crate::model::refs::BlockChunkRef;
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::chunk_segments::error::ChunkSegmentError;
    use crate::tsdb::chunk::chunk_segments::format::{ChunkSegmentFormatError, FILE_HEADER};
    use crate::tsdb::chunk::chunk_segments::writer::ChunkSegmentWriter;
    use crate::tsdb::fs::corruption::Corruption;
    use crate::tsdb::fs::os_disk::OsDisk;
    use std::fs;

    #[test]
    fn pinned_chunk_outlives_its_block() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("chunks");
        let mut writer = ChunkSegmentWriter::create(&OsDisk, &dir).unwrap();
        let at = writer.add(ChunkEncoding::Histogram, b"\0\x02abc").unwrap();
        writer.finish().unwrap();
        let reader = ChunkSegmentReader::open(&dir).unwrap();
        let chunk = reader.chunk(at).unwrap();
        assert_eq!(reader.verify_segment(0, &|| true).unwrap().chunks, 1);
        fs::remove_dir_all(&dir).unwrap();
        drop(reader);
        assert_eq!(
            (chunk.as_ref(), chunk.encoding()),
            (&b"\0\x02abc"[..], ChunkEncoding::Histogram)
        );
    }

    #[test]
    fn missing_segment_is_named_and_other_files_skipped() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["000001", "000002", "README", "000003.tmp"] {
            fs::write(dir.path().join(name), FILE_HEADER).unwrap();
        }
        let reader = ChunkSegmentReader::open(dir.path()).unwrap();
        assert_eq!(reader.size_bytes(), 16);
        let missing = |segment| {
            Corruption::of_file(dir.path().join(segment), ChunkSegmentFormatError::MissingFile)
        };
        let opened = || match ChunkSegmentReader::open(dir.path()) {
            Err(ChunkSegmentError::Corrupted(corruption)) => corruption,
            other => panic!("{other:?}"),
        };
        assert_eq!(reader.chunk(BlockChunkRef::new(2, 8)).unwrap_err(), missing("000003"));
        assert_eq!(reader.chunk(BlockChunkRef::new(1, 8)).unwrap_err().offset, Some(8));
        fs::remove_file(dir.path().join("000001")).unwrap();
        assert_eq!(opened(), missing("000001"));
        fs::write(dir.path().join("000001"), "").unwrap();
        assert_eq!(opened().offset, Some(0));
    }
}

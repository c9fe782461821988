//! Writes the segment files of a new block.
//!
//! A segment is cut where Prometheus cuts it: the chunks of a series are weighed together, each with the longest length field that there
//! is, so that files come out byte for byte alike. A segment is preallocated there, all 512 MiB of it, and cut to its length in
//! the end; not here: on a disk that is nearly full that takes the room that the log needs, and fails although a few
//! kilobytes are to be written. Bytes go out in pieces of a megabyte, so that the file system places them well all the same.
//!
//! One thread; nothing is durable before [`ChunkSegmentWriter::finish`] returned.

use crate::model::refs::BlockChunkRef;
use crate::tsdb::block::chunk_segments::error::ChunkSegmentError;
use crate::tsdb::block::chunk_segments::format::{FILE_HEADER, encode_chunk, max_encoded_len};
use crate::tsdb::block::chunk_segments::segment_path;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::fs::durable::{FileError, sync_dir};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// No segment grows beyond this, unless by a single chunk (`DefaultChunkSegmentSize`).
pub const SEGMENT_SIZE: u64 = 512 << 20;

/// How many bytes are written at once.
const BUFFER: usize = 1 << 20;

/// Writes segments one after another.
#[derive(Debug)]
pub struct ChunkSegmentWriter {
    dir: PathBuf,
    segment_size: u64,
    open: Option<OpenSegment>,
    /// What the chunks of the current series take at most, those of the open segment.
    series_weight: u64,
    /// Length of the open segment before these.
    series_start: u64,
    /// Bytes of all segments.
    total_bytes: u64,
}

#[derive(Debug)]
struct OpenSegment {
    number: u32,
    path: PathBuf,
    file: File,
    /// What is not written yet.
    buffer: Vec<u8>,
    /// Length with the buffer.
    len: u64,
}

impl ChunkSegmentWriter {
    /// Makes the folder `dir`. No segment is begun before there is a chunk.
    ///
    /// # Errors
    /// [`ChunkSegmentError::Io`] where the folder can't be made, also where it is there already.
    pub fn create(dir: &Path) -> Result<Self, ChunkSegmentError> {
        Self::with_segment_size(dir, SEGMENT_SIZE)
    }

    fn with_segment_size(dir: &Path, segment_size: u64) -> Result<Self, ChunkSegmentError> {
        fs::create_dir(dir).map_err(FileError::for_step("create", dir))?;
        let dir = dir.to_owned();
        let series_start = FILE_HEADER.len() as u64;
        Ok(Self { dir, segment_size, open: None, series_weight: 0, series_start, total_bytes: 0 })
    }

    /// Says that the chunks that follow are of another series.
    pub fn begin_series(&mut self) {
        self.series_weight = 0;
        self.series_start = self.open.as_ref().map_or(FILE_HEADER.len() as u64, |open| open.len);
    }

    /// Adds a chunk; returns where it is.
    ///
    /// # Errors
    /// [`ChunkSegmentError`] where it can't be written; the writer is of no use then.
    pub fn add(
        &mut self,
        encoding: ChunkEncoding,
        data: &[u8],
    ) -> Result<BlockChunkRef, ChunkSegmentError> {
        let weight = max_encoded_len(data.len());
        if self.series_start + self.series_weight + weight > self.segment_size
            && !self.is_segment_empty()
        {
            self.cut_segment()?;
            self.series_weight = 0;
            self.series_start = FILE_HEADER.len() as u64;
        }
        self.series_weight += weight;
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenSegment::create(&self.dir, 0)?),
        };
        let too_long =
            |_| ChunkSegmentError::ChunkTooLarge { path: open.path.clone(), bytes: data.len() };
        let offset = u32::try_from(open.len).map_err(too_long)?;
        u32::try_from(data.len()).map_err(too_long)?;
        open.put(encoding, data)?;
        Ok(BlockChunkRef::new(open.number, offset))
    }

    /// Brings everything to the disk, the folder included. Returns the length of all segments in bytes.
    ///
    /// # Errors
    /// [`ChunkSegmentError::Io`] of the step that failed.
    pub fn finish(mut self) -> Result<u64, ChunkSegmentError> {
        if let Some(open) = self.open.take() {
            self.total_bytes += open.finish()?;
        }
        sync_dir(&self.dir)?;
        Ok(self.total_bytes)
    }

    /// Whether no chunk stands in the open segment.
    fn is_segment_empty(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.len == FILE_HEADER.len() as u64)
    }

    /// Ends the open segment and begins the next.
    fn cut_segment(&mut self) -> Result<(), ChunkSegmentError> {
        let next = self.open.as_ref().map_or(0, |open| open.number + 1);
        if let Some(open) = self.open.take() {
            self.total_bytes += open.finish()?;
        }
        self.open = Some(OpenSegment::create(&self.dir, next)?);
        Ok(())
    }
}

impl OpenSegment {
    fn create(dir: &Path, number: u32) -> Result<Self, ChunkSegmentError> {
        let path = segment_path(dir, number);
        let file = File::create_new(&path).map_err(FileError::for_step("create", &path))?;
        let mut buffer = Vec::with_capacity(BUFFER + (BUFFER >> 4));
        buffer.extend_from_slice(&FILE_HEADER);
        Ok(Self { number, path, file, buffer, len: FILE_HEADER.len() as u64 })
    }

    fn put(&mut self, encoding: ChunkEncoding, data: &[u8]) -> Result<(), FileError> {
        let before = self.buffer.len();
        encode_chunk(&mut self.buffer, encoding, data);
        self.len += (self.buffer.len() - before) as u64;
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), FileError> {
        self.file.write_all(&self.buffer).map_err(FileError::for_step("write", &self.path))?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<u64, FileError> {
        self.flush()?;
        self.file.sync_all().map_err(FileError::for_step("sync", &self.path))?;
        Ok(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkSegmentWriter;
    use crate::model::refs::BlockChunkRef;
    use crate::tsdb::block::chunk_segments::reader::ChunkSegmentReader;
    use crate::tsdb::chunk::ChunkEncoding;

    /// Where the chunks of these series, given by the lengths of their data, come to lie in segments of 100 bytes.
    fn places(series: &[&[usize]]) -> Vec<(u32, u32)> {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("chunks");
        let mut writer = ChunkSegmentWriter::with_segment_size(&dir, 100).unwrap();
        let mut written: Vec<(BlockChunkRef, Vec<u8>)> = Vec::new();
        for chunks in series {
            writer.begin_series();
            for &len in *chunks {
                let data = vec![written.len() as u8; len];
                written.push((writer.add(ChunkEncoding::Xor, &data).unwrap(), data));
            }
        }
        let bytes = writer.finish().unwrap();
        let reader = ChunkSegmentReader::open(&dir).unwrap();
        assert_eq!(reader.size_bytes(), bytes);
        for (at, data) in &written {
            assert_eq!(reader.chunk(*at).unwrap().as_ref(), data);
        }
        written.into_iter().map(|(at, _)| (at.segment(), at.offset())).collect()
    }

    #[test]
    fn a_segment_is_cut_by_what_the_chunks_of_a_series_weigh_at_most() {
        // 8 + 30 + 30 + 30 fits; as does 8 + 26 + 26 (real) + 36.
        assert_eq!(places(&[&[20, 20, 20]]), [(0, 8), (0, 34), (0, 60)]);
        assert_eq!(places(&[&[20, 20, 23]]), [(0, 8), (0, 34), (1, 8)]);
        assert_eq!(places(&[&[20, 20], &[23]]), [(0, 8), (0, 34), (0, 60)]);
        assert_eq!(places(&[&[20, 20], &[31], &[2]]), [(0, 8), (0, 34), (1, 8), (1, 45)]);
    }

    #[test]
    fn a_chunk_longer_than_a_segment_has_one_of_its_own() {
        assert_eq!(places(&[&[200], &[200, 2]]), [(0, 8), (1, 8), (2, 8)]);
    }

    #[test]
    fn without_chunks_there_is_no_segment() {
        assert_eq!(places(&[]), []);
    }
}

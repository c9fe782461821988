//! Chunk segment writer for a new block.
//!
//! A segment is cut exactly where Prometheus cuts it, so files are equal byte for byte: the chunks
//! of a series are weighed together, each with the maximum length field. Unlike Prometheus,
//! segments are not preallocated to 512 MiB: on a nearly full disk this would take the space that
//! the WAL needs and fail although a few kilobytes are written. Writes of 1 MiB let the file system
//! place the data well.
//!
//! Single-threaded. Data is durable only after [`ChunkSegmentWriter::finish`].

use crate::model::refs::BlockChunkRef;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::chunk_segments::error::ChunkSegmentError;
use crate::tsdb::chunk::chunk_segments::format::{FILE_HEADER, encode_chunk, max_encoded_len};
use crate::tsdb::chunk::chunk_segments::segment_path;
use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::fs::durable::{FileError, sync_dir};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum size of a segment, bytes, unless a single chunk is larger (`DefaultChunkSegmentSize`).
pub const SEGMENT_SIZE: u64 = 512 << 20;

/// Size of a write, bytes.
const BUFFER: usize = 1 << 20;

/// Writer for the segments of one block.
#[derive(Debug)]
pub struct ChunkSegmentWriter<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    segment_size: u64,
    open: Option<OpenSegment>,
    /// Maximum size of the current series' chunks in the open segment, bytes.
    series_weight: u64,
    /// Length of the open segment before these chunks, bytes.
    series_start: u64,
    /// Size of all finished segments, bytes.
    total_bytes: u64,
}

#[derive(Debug)]
struct OpenSegment {
    number: u32,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Bytes not written yet.
    buffer: Vec<u8>,
    /// Length of the file including the buffer, bytes.
    len: u64,
}

impl<'a> ChunkSegmentWriter<'a> {
    /// Creates the directory `dir`. The first chunk creates the first segment.
    ///
    /// # Errors
    /// [`ChunkSegmentError::Io`] if the directory exists or cannot be created.
    pub fn create(disk: &'a dyn Disk, dir: &Path) -> Result<Self, ChunkSegmentError> {
        Self::with_segment_size(disk, dir, SEGMENT_SIZE)
    }

    fn with_segment_size(
        disk: &'a dyn Disk,
        dir: &Path,
        segment_size: u64,
    ) -> Result<Self, ChunkSegmentError> {
        disk.create_dir(dir).map_err(FileError::for_step("create", dir))?;
        let dir = dir.to_owned();
        let series_start = FILE_HEADER.len() as u64;
        Ok(Self {
            disk,
            dir,
            segment_size,
            open: None,
            series_weight: 0,
            series_start,
            total_bytes: 0,
        })
    }

    /// Starts another series: later chunks belong to it.
    pub fn begin_series(&mut self) {
        self.series_weight = 0;
        self.series_start = self.open.as_ref().map_or(FILE_HEADER.len() as u64, |open| open.len);
    }

    /// Appends a chunk and returns its reference.
    ///
    /// # Errors
    /// [`ChunkSegmentError`] if it cannot be written. The writer is then unusable.
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
            None => self.open.insert(OpenSegment::create(self.disk, &self.dir, 0)?),
        };
        let too_long =
            |_| ChunkSegmentError::ChunkTooLarge { path: open.path.clone(), bytes: data.len() };
        let offset = u32::try_from(open.len).map_err(too_long)?;
        u32::try_from(data.len()).map_err(too_long)?;
        open.put(encoding, data)?;
        Ok(BlockChunkRef::new(open.number, offset))
    }

    /// Writes and syncs the remaining data and syncs the directory. Returns the size of all
    /// segments, bytes.
    ///
    /// # Errors
    /// [`ChunkSegmentError::Io`] of the failed step.
    pub fn finish(mut self) -> Result<u64, ChunkSegmentError> {
        if let Some(open) = self.open.take() {
            self.total_bytes += open.finish()?;
        }
        sync_dir(self.disk, &self.dir)?;
        Ok(self.total_bytes)
    }

    /// Returns `true` if the open segment has no chunk.
    fn is_segment_empty(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.len == FILE_HEADER.len() as u64)
    }

    /// Finishes the open segment and creates the next one.
    fn cut_segment(&mut self) -> Result<(), ChunkSegmentError> {
        let next = self.open.as_ref().map_or(0, |open| open.number + 1);
        if let Some(open) = self.open.take() {
            self.total_bytes += open.finish()?;
        }
        self.open = Some(OpenSegment::create(self.disk, &self.dir, next)?);
        Ok(())
    }
}

impl OpenSegment {
    fn create(disk: &dyn Disk, dir: &Path, number: u32) -> Result<Self, ChunkSegmentError> {
        let path = segment_path(dir, number);
        let file = disk.create_new(&path).map_err(FileError::for_step("create", &path))?;
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
        self.file.append(&self.buffer).map_err(FileError::for_step("write", &self.path))?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<u64, FileError> {
        self.flush()?;
        self.file.sync().map_err(FileError::for_step("sync", &self.path))?;
        Ok(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkSegmentWriter;
    use crate::model::refs::BlockChunkRef;
    use crate::tsdb::chunk::ChunkEncoding;
    use crate::tsdb::chunk::chunk_segments::reader::ChunkSegmentReader;
    use crate::tsdb::fs::os_disk::OsDisk;

    /// Returns the chunk references of these series, given by the lengths of their chunks' data, in
    /// segments of 100 bytes.
    fn chunk_refs(series: &[&[usize]]) -> Vec<(u32, u32)> {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("chunks");
        let mut writer = ChunkSegmentWriter::with_segment_size(&OsDisk, &dir, 100).unwrap();
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
    fn segment_is_cut_by_maximum_size_of_series_chunks() {
        // Maximum sizes: 8 + 30 + 30 + 30 fits, and so does 8 + 26 + 26 (actual sizes) + 36.
        assert_eq!(chunk_refs(&[&[20, 20, 20]]), [(0, 8), (0, 34), (0, 60)]);
        assert_eq!(chunk_refs(&[&[20, 20, 23]]), [(0, 8), (0, 34), (1, 8)]);
        assert_eq!(chunk_refs(&[&[20, 20], &[23]]), [(0, 8), (0, 34), (0, 60)]);
        assert_eq!(chunk_refs(&[&[20, 20], &[31], &[2]]), [(0, 8), (0, 34), (1, 8), (1, 45)]);
    }

    #[test]
    fn oversized_chunk_gets_its_own_segment() {
        assert_eq!(chunk_refs(&[&[200], &[200, 2]]), [(0, 8), (1, 8), (2, 8)]);
    }

    #[test]
    fn writer_without_chunks_creates_no_segment() {
        assert_eq!(chunk_refs(&[]), []);
    }
}

//! Log writer: appends records to segments, with one write for all records of a group in a segment.
//!
//! # Requests
//! After the process was killed, the log has all records of a request or none. So a request is not
//! split over segments, which ends a segment early, nor over writes. The kernel can end a write
//! early if the process is killed, at the end of a page of memory. If a request has several
//! records, the write therefore begins with [`UNFINISHED`] instead of its first byte, which follows
//! alone. Until then a reader finds no record. A request of more than `MAX_REQUEST_BYTES`, or
//! larger than a segment, can be cut between two records.
//!
//! # Segments
//! Each start creates a new segment (last number + 1), and so does a record that does not fit. A
//! record never crosses segments. A finished segment ends with a full page; the caller syncs it
//! ([`LogWriter::take_finished`]).
//!
//! Invariant: a segment grows only after its last complete write. After a failed write the file is
//! truncated to that length, and nothing is written before this succeeds. So no record follows a
//! torn one.

use crate::tsdb::fs::disk::{Disk, DiskFile};
use crate::tsdb::fs::fail_point;
use crate::tsdb::wal::checkpoint::{CheckpointError, last_checkpoint};
use crate::tsdb::wal::error::{OpenLogError, WriteLogError};
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::page::{UNFINISHED, append_record, fits, padding_at};
use crate::tsdb::wal::segment::{check_segment_size, list_segments, segment_path};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size at which a write ends, bytes; the rest of the group goes into the next one.
const MAX_WRITE_BYTES: usize = 8 << 20;

/// Size of a write at which also a request is split, bytes.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// Writer for the segments of a log.
#[derive(Debug)]
pub struct LogWriter {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    segment_size: u64,
    number: u32,
    file: Arc<dyn DiskFile>,
    /// Length of the completed writes in the current segment, bytes.
    len: u64,
    /// Set if a failed write may have left bytes after `len`.
    is_torn: bool,
    finished: Vec<Arc<dyn DiskFile>>,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Creates a new segment of at most `segment_size` bytes after those in `dir`, which is created
    /// if missing.
    ///
    /// # Errors
    /// [`OpenLogError`] if the size is invalid, the segments have a gap or a file cannot be
    /// created.
    pub fn open(
        dir: PathBuf,
        segment_size: u64,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenLogError> {
        check_segment_size(segment_size).map_err(CheckpointError::from)?;
        disk.create_dir_all(&dir)?;
        // Readers skip segments that a checkpoint replaces, so the new one must be after both.
        let last_segment = list_segments(&dir)
            .map_err(CheckpointError::from)?
            .last()
            .map(|segment| segment.number);
        let checkpoint = last_checkpoint(&dir)?.map(|checkpoint| checkpoint.number);
        let number = last_segment.max(checkpoint).map_or(0, |last| last + 1);
        let file = create(&*disk, &dir, number).map_err(WriteLogError::into_cause)?;
        Ok(Self {
            dir,
            disk,
            segment_size,
            number,
            file,
            len: 0,
            is_torn: false,
            finished: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Returns the number of the current segment.
    #[must_use]
    pub fn segment(&self) -> u32 {
        self.number
    }

    /// Returns the file of the current segment.
    #[must_use]
    pub fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Returns the segments that were finished since the last call and need a sync.
    #[must_use]
    pub fn take_finished(&mut self) -> Vec<Arc<dyn DiskFile>> {
        std::mem::take(&mut self.finished)
    }

    /// Writes the records of `group` that are not written yet.
    ///
    /// # Errors
    /// [`WriteLogError`]. `group` has the progress; a later call continues there.
    pub fn write(&mut self, group: &mut WriteGroup) -> Result<(), WriteLogError> {
        self.truncate_torn_write()?;
        while !group.is_done() {
            let batch = self.encode(group);
            if batch.ends_segment {
                self.pad();
            }
            self.append(batch.is_atomic)?;
            group.mark_written(batch.num_records);
            if batch.ends_segment {
                self.next_segment()?;
            }
        }
        Ok(())
    }

    /// Encodes the records of the next write into the buffer.
    fn encode(&mut self, group: &WriteGroup) -> EncodedWrite {
        self.buffer.clear();
        let mut write = EncodedWrite { num_records: 0, ends_segment: false, is_atomic: false };
        // The current request: length of the buffer and number of records before it.
        let mut request: Option<(usize, usize)> = None;
        for record in group.unwritten() {
            let max_bytes = match request {
                Some(_) if !record.starts_request => MAX_REQUEST_BYTES,
                _ => MAX_WRITE_BYTES,
            };
            if self.buffer.len() >= max_bytes {
                break;
            }
            if record.starts_request {
                request = Some((self.buffer.len(), write.num_records));
            }
            let at = self.len + self.buffer.len() as u64;
            write.ends_segment = at > 0 && !fits(at, self.segment_size, record.data.len());
            if write.ends_segment {
                // The whole request goes into the next segment, unless it began this one.
                if let Some((len, num_records)) =
                    request.filter(|(len, _)| self.len > 0 || *len > 0)
                {
                    self.buffer.truncate(len);
                    write.num_records = num_records;
                }
                break;
            }
            append_record(&mut self.buffer, at, record.data, record.compression);
            write.is_atomic |= request.is_some() && !record.starts_request;
            write.num_records += 1;
        }
        write.is_atomic &= write.num_records > 1;
        write
    }

    /// Pads the last page, as Prometheus does at a shutdown.
    ///
    /// # Errors
    /// [`WriteLogError`] if the padding cannot be written.
    pub fn finish(&mut self) -> Result<(), WriteLogError> {
        self.truncate_torn_write()?;
        self.buffer.clear();
        self.pad();
        self.append(false)
    }

    /// Finishes the current segment as [`Self::finish`] does and creates the next one, even if the
    /// current one is empty.
    ///
    /// # Errors
    /// [`WriteLogError`]. A later call tries again.
    pub fn cut_segment(&mut self) -> Result<(), WriteLogError> {
        self.finish()?;
        self.next_segment()
    }

    /// Truncates what a failed write left.
    ///
    /// # Errors
    /// [`WriteLogError`]. Nothing may be written before this succeeds.
    pub fn truncate_torn_write(&mut self) -> Result<(), WriteLogError> {
        if self.is_torn {
            self.file.truncate(self.len).map_err(WriteLogError::from_write)?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Pads the page in which the buffer ends.
    fn pad(&mut self) {
        let end = self.len + self.buffer.len() as u64;
        self.buffer.resize(self.buffer.len() + padding_at(end), 0);
    }

    /// Appends the buffer to the segment; `is_atomic` if a killed process must leave all of it or
    /// nothing.
    fn append(&mut self, is_atomic: bool) -> Result<(), WriteLogError> {
        let Some(first_byte) = self.buffer.first_mut() else { return Ok(()) };
        let first = is_atomic.then(|| std::mem::replace(first_byte, UNFINISHED));
        fail_point::hit("wal.before_write");
        // Set before the write: an error or a panic leaves it set.
        self.is_torn = true;
        let mut written = self.file.append(&self.buffer);
        if let Some(first) = first {
            fail_point::hit("wal.unfinished_write");
            written = written.and_then(|()| self.file.write_at(&[first], self.len));
        }
        written.map_err(WriteLogError::from_write)?;
        self.is_torn = false;
        fail_point::hit("wal.after_write");
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(MAX_WRITE_BYTES);
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), WriteLogError> {
        fail_point::hit("wal.segment_roll");
        let file = create(&*self.disk, &self.dir, self.number + 1)?;
        self.finished.push(std::mem::replace(&mut self.file, file));
        self.number += 1;
        self.len = 0;
        Ok(())
    }
}

/// Records in the buffer of a writer.
struct EncodedWrite {
    num_records: usize,
    /// Whether the next record does not fit into the segment.
    ends_segment: bool,
    /// Whether a request has several of the records.
    is_atomic: bool,
}

/// Creates an empty segment and makes its name durable.
fn create(disk: &dyn Disk, dir: &Path, number: u32) -> Result<Arc<dyn DiskFile>, WriteLogError> {
    let file = create_or_open_empty(disk, &segment_path(dir, number))
        .map_err(WriteLogError::from_create)?;
    disk.sync_dir(dir).map_err(WriteLogError::from_create)?;
    Ok(file)
}

/// Creates a file, or opens an empty one that an earlier attempt created.
fn create_or_open_empty(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    match disk.create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = disk.open_append(path)?;
            if file.is_empty()? { Ok(file) } else { Err(error) }
        }
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use super::LogWriter;
    use crate::tsdb::fs::os_disk::OsDisk;
    use crate::tsdb::wal::compression::{Compressor, RecordCompression};
    use crate::tsdb::wal::corruption::CorruptionExtent::TornTail;
    use crate::tsdb::wal::group::WriteGroup;
    use crate::tsdb::wal::page::{HEADER_SIZE, PAGE_SIZE, UNFINISHED};
    use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
    use crate::tsdb::wal::segment::list_segments;
    use std::path::Path;
    use std::sync::Arc;

    const SEGMENT: u64 = 4 * PAGE_SIZE as u64;

    /// Writes requests in one group; each is a list of record lengths. Returns the numbers of
    /// records in each segment.
    fn write(dir: &Path, requests: &[&[usize]], keep_together: bool) -> Vec<usize> {
        let mut writer = LogWriter::open(dir.to_owned(), SEGMENT, Arc::new(OsDisk)).unwrap();
        let mut compressor = Compressor::new(RecordCompression::None);
        let mut group = WriteGroup::default();
        for request in requests {
            let mut records = WriteGroup::default();
            request.iter().for_each(|len| records.push(&mut compressor, &vec![9; *len]));
            if keep_together {
                group.append_request(&mut records);
            } else {
                group.append(&mut records);
            }
        }
        writer.write(&mut group).unwrap();
        writer.finish().unwrap();
        let segments = list_segments(dir).unwrap().into_iter().map(|segment| {
            let mut reader = LogSegmentReader::open(segment).unwrap();
            let mut count = 0;
            while let Some(record) = reader.next_record().unwrap() {
                assert!(record.iter().all(|byte| *byte == 9));
                count += 1;
            }
            count
        });
        segments.collect()
    }

    #[test]
    fn request_is_not_split_over_segments() {
        let requests: Vec<&[usize]> = vec![&[9_000, 20_000, 7]; 10];
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write(&dir.path().join("kept"), &requests, true), [12, 12, 6]);
        assert_eq!(write(&dir.path().join("split"), &requests, false), [13, 12, 5]);
    }

    #[test]
    fn request_larger_than_a_segment_is_split() {
        let large: Vec<usize> = vec![30_000; 11];
        let requests: [&[usize]; 3] = [&[5], &large, &[5]];
        let dir = tempfile::tempdir().unwrap();
        // It begins a segment of its own.
        assert_eq!(write(dir.path(), &requests, true), [1, 4, 4, 4]);
    }

    #[test]
    fn unfinished_write_is_a_torn_tail() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write(dir.path(), &[&[40], &[9_000, 40_000, 7]], true), [4]);
        let mut bytes = std::fs::read(dir.path().join("00000000")).unwrap();
        let first_end = HEADER_SIZE + 40;
        for (at, records) in [(0, 0), (first_end, 1)] {
            let finished = std::mem::replace(&mut bytes[at], UNFINISHED);
            let mut reader = LogSegmentReader::from_bytes(&bytes);
            for _ in 0..records {
                assert_eq!(reader.next_record().unwrap(), Some(&[9; 40][..]));
            }
            match reader.next_record() {
                Err(ReadLogError::Corrupted(found)) => {
                    assert_eq!((found.good_end, found.extent), (at as u64, TornTail));
                }
                other => panic!("{other:?}"),
            }
            bytes[at] = finished;
        }
    }

    #[test]
    fn request_that_fits_has_the_bytes_of_prometheus() {
        let requests: [&[usize]; 3] = [&[100, 40_000, 3], &[1], &[0, 70]];
        let dir = tempfile::tempdir().unwrap();
        let bytes = [true, false].map(|keep_together| {
            let dir = dir.path().join(keep_together.to_string());
            assert_eq!(write(&dir, &requests, keep_together), [5]);
            std::fs::read(dir.join("00000000")).unwrap()
        });
        assert_eq!(bytes[0], bytes[1]);
    }
}

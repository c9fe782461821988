//! Log writer: appends records to segments, with one write for all records of a group in a segment.
//!
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
use crate::tsdb::wal::page::{append_record, fits, padding_at};
use crate::tsdb::wal::segment::{check_segment_size, list_segments, segment_path};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size at which a write ends, bytes; the rest of the group goes into the next one.
const MAX_WRITE_BYTES: usize = 8 << 20;

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
            self.buffer.clear();
            let mut num_taken = 0;
            let mut is_full = false;
            for record in group.unwritten() {
                let at = self.len + self.buffer.len() as u64;
                is_full = at > 0 && !fits(at, self.segment_size, record.data.len());
                if is_full || self.buffer.len() >= MAX_WRITE_BYTES {
                    break;
                }
                append_record(&mut self.buffer, at, record.data, record.compression);
                num_taken += 1;
            }
            if is_full {
                self.pad();
            }
            self.append()?;
            group.mark_written(num_taken);
            if is_full {
                self.next_segment()?;
            }
        }
        Ok(())
    }

    /// Pads the last page, as Prometheus does at a shutdown.
    ///
    /// # Errors
    /// [`WriteLogError`] if the padding cannot be written.
    pub fn finish(&mut self) -> Result<(), WriteLogError> {
        self.truncate_torn_write()?;
        self.buffer.clear();
        self.pad();
        self.append()
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

    fn append(&mut self) -> Result<(), WriteLogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        fail_point::hit("wal.before_write");
        // Set before the write: an error or a panic leaves it set.
        self.is_torn = true;
        self.file.append(&self.buffer).map_err(WriteLogError::from_write)?;
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

//! Writing records to segments: one write for all records that go to the same segment.
//!
//! A new segment is begun at every start (number = last + 1) and whenever a record does not fit; a record never crosses
//! segments. A finished segment ends with a full page; its sync is left to the caller ([`LogWriter::take_finished`]).
//!
//! Invariant: a segment is only ever appended to behind its last complete write. After a failed write the file is cut
//! back to there; until that works, nothing is written. So no record ever follows a torn one.

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

/// A write ends when it has reached this many bytes; what is left of the group goes into the next one.
const MAX_WRITE_BYTES: usize = 8 << 20;

/// Writes the log's segments.
#[derive(Debug)]
pub struct LogWriter {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    segment_size: u64,
    number: u32,
    file: Arc<dyn DiskFile>,
    /// Bytes of completed writes in the current segment.
    len: u64,
    /// A failed write may have left bytes behind `len`.
    torn: bool,
    finished: Vec<Arc<dyn DiskFile>>,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Begins a new segment of at most `segment_size` bytes behind those in `dir`, which is made where there is none.
    ///
    /// # Errors
    /// [`OpenLogError`].
    pub fn open(
        dir: PathBuf,
        segment_size: u64,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenLogError> {
        check_segment_size(segment_size).map_err(CheckpointError::from)?;
        disk.create_dir_all(&dir)?;
        // A segment that a checkpoint stands for is never read again: the new one comes after both.
        let last_segment = list_segments(&dir)
            .map_err(CheckpointError::from)?
            .last()
            .map(|segment| segment.number);
        let checkpoint = last_checkpoint(&dir)?.map(|checkpoint| checkpoint.number);
        let number = last_segment.max(checkpoint).map_or(0, |last| last + 1);
        let file = create(&*disk, &dir, number).map_err(|error| match error {
            WriteLogError::NoSpace(error) | WriteLogError::Broken(error) => error,
        })?;
        Ok(Self {
            dir,
            disk,
            segment_size,
            number,
            file,
            len: 0,
            torn: false,
            finished: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// The number of the current segment.
    #[must_use]
    pub fn segment(&self) -> u32 {
        self.number
    }

    /// The current segment's file.
    #[must_use]
    pub fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Segments that were finished since the last call and want a sync.
    #[must_use]
    pub fn take_finished(&mut self) -> Vec<Arc<dyn DiskFile>> {
        std::mem::take(&mut self.finished)
    }

    /// Writes what of `group` is not written yet.
    ///
    /// # Errors
    /// [`WriteLogError`]. `group` then knows what was written before; a later call goes on there.
    pub fn write(&mut self, group: &mut WriteGroup) -> Result<(), WriteLogError> {
        self.truncate_torn_write()?;
        while !group.is_done() {
            self.buffer.clear();
            let mut taken = 0;
            let mut is_full = false;
            for record in group.unwritten() {
                let at = self.len + self.buffer.len() as u64;
                is_full = at > 0 && !fits(at, self.segment_size, record.data.len());
                if is_full || self.buffer.len() >= MAX_WRITE_BYTES {
                    break;
                }
                append_record(&mut self.buffer, at, record.data, record.compression);
                taken += 1;
            }
            if is_full {
                self.pad();
            }
            self.append()?;
            group.mark_written(taken);
            if is_full {
                self.next_segment()?;
            }
        }
        Ok(())
    }

    /// Fills the last page, so that the segment ends as a Prometheus that stops leaves it.
    ///
    /// # Errors
    /// [`WriteLogError`].
    pub fn finish(&mut self) -> Result<(), WriteLogError> {
        self.truncate_torn_write()?;
        self.buffer.clear();
        self.pad();
        self.append()
    }

    /// Ends the current segment as [`Self::finish`] does and begins the next one, also where the current one is empty.
    ///
    /// # Errors
    /// [`WriteLogError`]; a later call tries it again.
    pub fn cut_segment(&mut self) -> Result<(), WriteLogError> {
        self.finish()?;
        self.next_segment()
    }

    /// Cuts off what a failed write left.
    ///
    /// # Errors
    /// [`WriteLogError`]; nothing may be written before this has worked.
    pub fn truncate_torn_write(&mut self) -> Result<(), WriteLogError> {
        if self.torn {
            self.file.set_len(self.len).map_err(WriteLogError::from_write)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Fills the page in which the buffer ends.
    fn pad(&mut self) {
        let end = self.len + self.buffer.len() as u64;
        self.buffer.resize(self.buffer.len() + padding_at(end), 0);
    }

    fn append(&mut self) -> Result<(), WriteLogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        fail_point::hit("wal.before_write");
        self.torn = true;
        self.file.append(&self.buffer).map_err(WriteLogError::from_write)?;
        self.torn = false;
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

/// A new, empty segment, its name on disk.
fn create(disk: &dyn Disk, dir: &Path, number: u32) -> Result<Arc<dyn DiskFile>, WriteLogError> {
    let file = create_or_open_empty(disk, &segment_path(dir, number))
        .map_err(WriteLogError::from_create)?;
    disk.sync_dir(dir).map_err(WriteLogError::from_create)?;
    Ok(file)
}

/// A new file, or one that an earlier try made without getting any further.
fn create_or_open_empty(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    match disk.create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = disk.open_append(path)?;
            if file.is_empty()? { Ok(file) } else { Err(error) }
        }
        created => created,
    }
}

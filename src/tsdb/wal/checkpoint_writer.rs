//! Making a checkpoint: what stays of the last one and of the segments behind it, in a directory of its own.
//!
//! ```text
//! checkpoint.00000010/ ─┐
//! 00000011              ├─ record by record through the sieve ─▶ checkpoint.00000012.tmp/ ─ synced, renamed ─▶ checkpoint.00000012/
//! 00000012             ─┘                                                                                      directory synced
//! ```
//!
//! Invariant: a directory `checkpoint.N` is whole and durable as soon as it is there. Nothing else of the log changes, so a
//! checkpoint that fails (no space, damage in what is read) costs nothing. In memory is a record at a time, a group of about a
//! megabyte and the metadata that stay.
//!
//! What is read must not change meanwhile: finished segments only. One checkpoint at a time; no locks. Damage is never passed
//! over: nobody could tell which series records are lost with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::refs::SeriesRef;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::fail_point;
use crate::tsdb::wal::checkpoint::{
    CheckpointError, checkpoint_path, last_checkpoint, list_unfinished, temporary_path,
};
use crate::tsdb::wal::checkpoint_filter::{CheckpointFilter, CheckpointStats};
use crate::tsdb::wal::compression::{Compressor, RecordCompression};
use crate::tsdb::wal::corruption::CorruptionReason;
use crate::tsdb::wal::error::{OpenLogError, WriteLogError};
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use crate::tsdb::wal::segment::{Segment, list_segments};
use crate::tsdb::wal::writer::LogWriter;

/// A group is written when it has reached this many bytes.
const GROUP_BYTES: usize = 1 << 20;

/// A checkpoint to be made.
pub struct CheckpointSpec<'a> {
    /// The log's directory.
    pub dir: &'a Path,
    /// The first segment that it is to stand for; those that the last checkpoint stands for already are passed over.
    pub first: u32,
    /// The last segment that it is to stand for, and its number.
    pub last: u32,
    /// What is older, in milliseconds, does not stay.
    pub mint: i64,
    /// Which series stay. For each the answer must be the same throughout.
    pub keep: &'a dyn Fn(SeriesRef) -> bool,
    /// How its records are compressed.
    pub compression: RecordCompression,
    /// Largest size of its segments in bytes.
    pub segment_size: u64,
    /// Where it is made.
    pub disk: Arc<dyn Disk>,
}

/// Why there is no new checkpoint. The log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteCheckpointError {
    /// The log's checkpoints or segments can't be told.
    #[error(transparent)]
    Listing(#[from] CheckpointError),
    /// A segment that it is to stand for is not there.
    #[error("{}: segment {missing:08} is missing", dir.display())]
    Missing {
        /// The log's directory.
        dir: PathBuf,
        /// The segment's number.
        missing: u32,
    },
    /// There is one already that stands for as much or more.
    #[error("{} stands for segment {last:08} already", path.display())]
    Superseded {
        /// The one that is there.
        path: PathBuf,
        /// The segment.
        last: u32,
    },
    /// What it is made from can't be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadLogError),
    /// The caller did not want to wait for the end.
    #[error("stopped before the end")]
    Stopped,
    /// It can't be written.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// Its directory, or the log's.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
}

impl WriteCheckpointError {
    /// Whether it is damage in the log, and not a failure of the system.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Read(ReadLogError::Damaged(_)))
    }

    fn for_write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Makes a checkpoint. The segments and the checkpoint before stay where they are.
///
/// # Errors
/// [`WriteCheckpointError`]; what was written is then removed again, as far as the disk lets it.
pub fn write_checkpoint(job: &CheckpointSpec<'_>) -> Result<CheckpointStats, WriteCheckpointError> {
    write_checkpoint_while(job, &|| true)
}

/// The same, as long as `go_on`, which is asked for each record, returns `true`.
///
/// # Errors
/// [`WriteCheckpointError::Stopped`], else as [`write_checkpoint`].
pub fn write_checkpoint_while(
    job: &CheckpointSpec<'_>,
    go_on: &dyn Fn() -> bool,
) -> Result<CheckpointStats, WriteCheckpointError> {
    let sources = source_segments(job)?;
    remove_unfinished(job)?;
    let unfinished = temporary_path(job.dir, job.last);
    let written = write_filtered(job, &sources, &unfinished, go_on).and_then(|stats| {
        fail_point::hit("checkpoint.before_rename");
        let renamed = job.disk.rename(&unfinished, &checkpoint_path(job.dir, job.last));
        renamed.map_err(WriteCheckpointError::for_write(&unfinished))?;
        Ok(stats)
    });
    if written.is_err() {
        // What it leaves behind harms nobody: the next attempt removes it.
        let _ = job.disk.remove_dir_all(&unfinished);
    }
    let stats = written?;
    fail_point::hit("checkpoint.after_rename");
    job.disk.sync_dir(job.dir).map_err(WriteCheckpointError::for_write(job.dir))?;
    Ok(stats)
}

/// The segments that it is made from, in their order.
fn source_segments(job: &CheckpointSpec<'_>) -> Result<Vec<Segment>, WriteCheckpointError> {
    let mut sources = Vec::new();
    let mut first = job.first;
    if let Some(before) = last_checkpoint(job.dir)? {
        if before.number >= job.last {
            return Err(WriteCheckpointError::Superseded { path: before.path, last: job.last });
        }
        let next = before.number + 1;
        if first > next {
            return Err(WriteCheckpointError::Missing { dir: job.dir.to_owned(), missing: next });
        }
        first = next;
        sources = before.segments().map_err(CheckpointError::from)?;
    }
    let mut segments = list_segments(job.dir).map_err(CheckpointError::from)?;
    segments.retain(|segment| (first..=job.last).contains(&segment.number));
    for number in first..=job.last {
        if segments.get((number - first) as usize).is_none_or(|segment| segment.number != number) {
            return Err(WriteCheckpointError::Missing { dir: job.dir.to_owned(), missing: number });
        }
    }
    sources.append(&mut segments);
    Ok(sources)
}

fn remove_unfinished(job: &CheckpointSpec<'_>) -> Result<(), WriteCheckpointError> {
    let unfinished = list_unfinished(job.dir)?;
    for path in &unfinished {
        job.disk.remove_dir_all(path).map_err(WriteCheckpointError::for_write(path))?;
    }
    if !unfinished.is_empty() {
        job.disk.sync_dir(job.dir).map_err(WriteCheckpointError::for_write(job.dir))?;
    }
    Ok(())
}

/// Writes what stays of `source_segments` to the directory `path` and makes it durable there.
fn write_filtered(
    job: &CheckpointSpec<'_>,
    sources: &[Segment],
    path: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<CheckpointStats, WriteCheckpointError> {
    let check = || if go_on() { Ok(()) } else { Err(WriteCheckpointError::Stopped) };
    let mut sieve = CheckpointFilter::new(job.mint, job.keep);
    let mut output = CheckpointSegments::create(job, path)?;
    for_each_record(sources, |record| {
        check()?;
        match sieve.filter(record) {
            Ok(stays) => {
                stays.map_or(Ok(()), |record| output.push(record)).map(|()| RecordAction::Good)
            }
            Err(reason) => Ok(RecordAction::Damaged(reason)),
        }
    })?;
    while let Some(record) = sieve.next_metadata() {
        check()?;
        output.push(record)?;
    }
    check()?;
    output.finish()?;
    check()?;
    Ok(sieve.stats())
}

/// What was made of a record.
enum RecordAction {
    Good,
    Damaged(CorruptionReason),
}

fn for_each_record(
    segments: &[Segment],
    mut take: impl FnMut(&[u8]) -> Result<RecordAction, WriteCheckpointError>,
) -> Result<(), WriteCheckpointError> {
    for segment in segments {
        let mut reader = LogSegmentReader::open(segment.clone())?;
        while let Some(record) = reader.next_record()? {
            if let RecordAction::Damaged(reason) = take(record)? {
                return Err(ReadLogError::Damaged(Box::new(
                    reader.corruption_at_last_record(reason),
                ))
                .into());
            }
        }
    }
    Ok(())
}

/// The segments of the checkpoint as they grow.
struct CheckpointSegments<'a> {
    path: &'a Path,
    disk: &'a dyn Disk,
    compressor: Compressor,
    group: WriteGroup,
    writer: LogWriter,
}

impl<'a> CheckpointSegments<'a> {
    fn create(job: &'a CheckpointSpec<'_>, path: &'a Path) -> Result<Self, WriteCheckpointError> {
        let writer = LogWriter::open(path.to_owned(), job.segment_size, Arc::clone(&job.disk));
        let writer = writer.map_err(|error| match error {
            OpenLogError::Io(source) => {
                WriteCheckpointError::Write { path: path.to_owned(), source }
            }
            OpenLogError::Listing(error) => WriteCheckpointError::Write {
                path: path.to_owned(),
                source: Arc::new(io::Error::other(error)),
            },
        })?;
        let compressor = Compressor::new(job.compression);
        Ok(Self { path, disk: &*job.disk, compressor, group: WriteGroup::default(), writer })
    }

    fn push(&mut self, record: &[u8]) -> Result<(), WriteCheckpointError> {
        self.group.push(&mut self.compressor, record);
        if self.group.byte_len() >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), WriteCheckpointError> {
        fail_point::hit("checkpoint.write");
        let written = self.writer.write(&mut self.group);
        written.map_err(|error| self.write_error(error))?;
        self.group.clear(2 * GROUP_BYTES);
        // So that neither open files nor what the system has yet to write pile up.
        self.writer
            .take_finished()
            .iter()
            .try_for_each(|file| file.sync())
            .map_err(|error| self.io_failed(error))
    }

    /// Writes the rest and makes all of it durable.
    fn finish(mut self) -> Result<(), WriteCheckpointError> {
        self.flush()?;
        self.writer.finish().map_err(|error| self.write_error(error))?;
        self.writer.file().sync().map_err(|error| self.io_failed(error))?;
        self.disk.sync_dir(self.path).map_err(|error| self.io_failed(error))
    }

    fn write_error(&self, error: WriteLogError) -> WriteCheckpointError {
        match error {
            WriteLogError::NoSpace(error) | WriteLogError::Broken(error) => self.io_failed(error),
        }
    }

    fn io_failed(&self, error: io::Error) -> WriteCheckpointError {
        WriteCheckpointError::for_write(self.path)(error)
    }
}

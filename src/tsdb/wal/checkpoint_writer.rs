//! Checkpoint writer: filters the last checkpoint and later segments into a new checkpoint.
//!
//! ```text
//! checkpoint.00000010/ ─┐
//! 00000011              ├─ filter ─▶ checkpoint.00000012.tmp/ ─ sync ─▶ rename to
//! 00000012             ─┘            checkpoint.00000012/ ─▶ sync of the log directory
//! ```
//!
//! The sources must not change: only finished segments are read. One checkpoint at a time, no
//! locks. Memory holds one record, a group of about 1 MiB and the kept metadata.
//!
//! # Failure
//! A directory `checkpoint.N` is complete and durable after success. Nothing else of the log
//! changes, so a failure (full disk, corrupted source) loses nothing. Corruption is never skipped,
//! because the series records lost with it would be unknown.

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

/// Size at which a group is written, bytes.
const GROUP_BYTES: usize = 1 << 20;

/// Parameters of a new checkpoint.
pub struct CheckpointSpec<'a> {
    /// Directory of the log.
    pub dir: &'a Path,
    /// First segment to replace. Segments that the last checkpoint already replaces are skipped.
    pub first: u32,
    /// Last segment to replace, and the number of the new checkpoint.
    pub last: u32,
    /// Timestamp before which samples and exemplars are dropped, ms.
    pub mint: i64,
    /// Returns `true` for a live series; must return the same value for a series every time.
    pub keep: &'a dyn Fn(SeriesRef) -> bool,
    /// Compression of the records written.
    pub compression: RecordCompression,
    /// Maximum size of a segment, bytes.
    pub segment_size: u64,
    /// File system that the checkpoint is written to.
    pub disk: Arc<dyn Disk>,
}

/// Error of writing a checkpoint. The log is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum WriteCheckpointError {
    /// The checkpoints or segments of the log cannot be listed.
    #[error(transparent)]
    Listing(#[from] CheckpointError),
    /// A segment to replace is missing.
    #[error("cannot write checkpoint: {}: segment {missing:08} is missing", dir.display())]
    Missing {
        /// Directory of the log.
        dir: PathBuf,
        /// Number of the missing segment.
        missing: u32,
    },
    /// A checkpoint already replaces this segment or later ones.
    #[error("cannot write checkpoint: {} already replaces segment {last:08}", path.display())]
    Superseded {
        /// Path of the existing checkpoint.
        path: PathBuf,
        /// Last segment to replace.
        last: u32,
    },
    /// A source cannot be read or is corrupted.
    #[error(transparent)]
    Read(#[from] ReadLogError),
    /// The caller cancelled the work.
    #[error("cancelled")]
    Stopped,
    /// The checkpoint cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Directory of the checkpoint or of the log.
        path: PathBuf,
        /// Error of the operating system.
        source: Arc<io::Error>,
    },
}

impl WriteCheckpointError {
    /// Returns `true` if the log is corrupted, `false` if the system failed.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Read(ReadLogError::Corrupted(_)))
    }

    fn for_write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Writes a checkpoint. Segments and earlier checkpoints stay in place.
///
/// # Errors
/// [`WriteCheckpointError`]. The unfinished directory is then removed if the disk permits.
#[cfg(any(test, feature = "testing"))]
pub fn write_checkpoint(
    spec: &CheckpointSpec<'_>,
) -> Result<CheckpointStats, WriteCheckpointError> {
    write_checkpoint_while(spec, &|| true)
}

/// Writes a checkpoint as long as `go_on`, called for each record, returns `true`.
///
/// # Errors
/// [`WriteCheckpointError::Stopped`] if `go_on` returned `false`, else as [`write_checkpoint`].
pub fn write_checkpoint_while(
    spec: &CheckpointSpec<'_>,
    go_on: &dyn Fn() -> bool,
) -> Result<CheckpointStats, WriteCheckpointError> {
    let sources = source_segments(spec)?;
    remove_unfinished(spec)?;
    let unfinished = temporary_path(spec.dir, spec.last);
    let written = write_filtered(spec, &sources, &unfinished, go_on).and_then(|stats| {
        fail_point::hit("checkpoint.before_rename");
        let renamed = spec.disk.rename(&unfinished, &checkpoint_path(spec.dir, spec.last));
        renamed.map_err(WriteCheckpointError::for_write(&unfinished))?;
        Ok(stats)
    });
    if written.is_err() {
        // Ignored: readers skip an unfinished checkpoint, and the next attempt removes it.
        let _ = spec.disk.remove_dir_all(&unfinished);
    }
    let stats = written?;
    fail_point::hit("checkpoint.after_rename");
    spec.disk.sync_dir(spec.dir).map_err(WriteCheckpointError::for_write(spec.dir))?;
    Ok(stats)
}

/// Returns the segments to read: those of the last checkpoint, then `first..=last` of the log.
fn source_segments(spec: &CheckpointSpec<'_>) -> Result<Vec<Segment>, WriteCheckpointError> {
    let mut sources = Vec::new();
    let mut first = spec.first;
    if let Some(previous) = last_checkpoint(spec.dir)? {
        if previous.number >= spec.last {
            return Err(WriteCheckpointError::Superseded { path: previous.path, last: spec.last });
        }
        let next = previous.number + 1;
        if first > next {
            return Err(WriteCheckpointError::Missing { dir: spec.dir.to_owned(), missing: next });
        }
        first = next;
        sources = previous.segments().map_err(CheckpointError::from)?;
    }
    let mut segments = list_segments(spec.dir).map_err(CheckpointError::from)?;
    segments.retain(|segment| (first..=spec.last).contains(&segment.number));
    for number in first..=spec.last {
        if segments.get((number - first) as usize).is_none_or(|segment| segment.number != number) {
            return Err(WriteCheckpointError::Missing {
                dir: spec.dir.to_owned(),
                missing: number,
            });
        }
    }
    sources.append(&mut segments);
    Ok(sources)
}

fn remove_unfinished(spec: &CheckpointSpec<'_>) -> Result<(), WriteCheckpointError> {
    let unfinished = list_unfinished(spec.dir)?;
    for path in &unfinished {
        spec.disk.remove_dir_all(path).map_err(WriteCheckpointError::for_write(path))?;
    }
    if !unfinished.is_empty() {
        spec.disk.sync_dir(spec.dir).map_err(WriteCheckpointError::for_write(spec.dir))?;
    }
    Ok(())
}

/// Writes the kept records of `sources` to the directory `path` and syncs them.
fn write_filtered(
    spec: &CheckpointSpec<'_>,
    sources: &[Segment],
    path: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<CheckpointStats, WriteCheckpointError> {
    let check = || if go_on() { Ok(()) } else { Err(WriteCheckpointError::Stopped) };
    let mut filter = CheckpointFilter::new(spec.mint, spec.keep);
    let mut output = CheckpointSegments::create(spec, path)?;
    for_each_record(sources, |record| {
        check()?;
        match filter.filter(record) {
            Ok(retained) => {
                retained.map_or(Ok(()), |record| output.push(record)).map(|()| RecordAction::Good)
            }
            Err(reason) => Ok(RecordAction::Corrupted(reason)),
        }
    })?;
    while let Some(record) = filter.next_metadata() {
        check()?;
        output.push(record)?;
    }
    check()?;
    output.finish()?;
    check()?;
    Ok(filter.stats())
}

/// Outcome of filtering one record.
enum RecordAction {
    Good,
    Corrupted(CorruptionReason),
}

fn for_each_record(
    segments: &[Segment],
    mut take: impl FnMut(&[u8]) -> Result<RecordAction, WriteCheckpointError>,
) -> Result<(), WriteCheckpointError> {
    for segment in segments {
        let mut reader = LogSegmentReader::open(segment.clone())?;
        while let Some(record) = reader.next_record()? {
            if let RecordAction::Corrupted(reason) = take(record)? {
                return Err(ReadLogError::Corrupted(Box::new(
                    reader.corruption_at_last_record(reason),
                ))
                .into());
            }
        }
    }
    Ok(())
}

/// The checkpoint's segments while they are written.
struct CheckpointSegments<'a> {
    path: &'a Path,
    disk: &'a dyn Disk,
    compressor: Compressor,
    group: WriteGroup,
    writer: LogWriter,
}

impl<'a> CheckpointSegments<'a> {
    fn create(spec: &'a CheckpointSpec<'_>, path: &'a Path) -> Result<Self, WriteCheckpointError> {
        let writer = LogWriter::open(path.to_owned(), spec.segment_size, Arc::clone(&spec.disk));
        let writer = writer.map_err(|error| match error {
            OpenLogError::Io(source) => {
                WriteCheckpointError::Write { path: path.to_owned(), source }
            }
            OpenLogError::Listing(error) => WriteCheckpointError::Write {
                path: path.to_owned(),
                source: Arc::new(io::Error::other(error)),
            },
        })?;
        let compressor = Compressor::new(spec.compression);
        Ok(Self { path, disk: &*spec.disk, compressor, group: WriteGroup::default(), writer })
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
        // Sync now, so that neither open files nor dirty pages pile up.
        self.writer
            .take_finished()
            .iter()
            .try_for_each(|file| file.sync())
            .map_err(|error| self.io_error(error))
    }

    /// Writes the remaining records and syncs the last segment and the directory.
    fn finish(mut self) -> Result<(), WriteCheckpointError> {
        self.flush()?;
        self.writer.finish().map_err(|error| self.write_error(error))?;
        self.writer.file().sync().map_err(|error| self.io_error(error))?;
        self.disk.sync_dir(self.path).map_err(|error| self.io_error(error))
    }

    fn write_error(&self, error: WriteLogError) -> WriteCheckpointError {
        self.io_error(error.into_cause())
    }

    fn io_error(&self, error: io::Error) -> WriteCheckpointError {
        WriteCheckpointError::for_write(self.path)(error)
    }
}

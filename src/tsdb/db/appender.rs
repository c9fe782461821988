//! The appender that the rest of the program sees: admission in front of the head's.

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::metadata::{Metadata, MetadataRef};
use crate::model::sample::Sample;
use crate::tsdb::db::block_duplicates::BlockDuplicates;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::maintenance::notifier::Notifier;
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::head::append::{CommitStats, HeadAppender, SampleRejection, SeriesLimitReached};
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::wal::error::WalError;
use crate::tsdb::wal::write_log::LogHealth;

/// Takes the samples of one request; see [`crate::tsdb::head::append`] for how they are judged.
///
/// What was appended reaches the log also without a commit; only [`Appender::commit`] says whether it did.
#[derive(Debug)]
pub struct Appender<'a> {
    engine: &'a Engine,
    notifier: &'a Notifier,
    inner: HeadAppender<'a>,
    /// Points of the series at hand that are older than the head takes, and why they are not taken: of all for one reason.
    too_old_samples: Vec<Sample>,
    too_old_rejection: SampleRejection,
    block_duplicates: BlockDuplicates<'a>,
}

/// Why no write is taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteUnavailable {
    /// The log is being replayed.
    #[error("the log is being replayed")]
    Replaying,
    /// The process is ending.
    #[error("shutting down")]
    Closing,
    /// The log can't be written at the moment; it recovers by itself.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// The log can't be trusted until a restart.
    #[error("read-only until a restart: {0}")]
    Failed(String),
}

impl<'a> Appender<'a> {
    pub(super) fn new(engine: &'a Engine, bell: &'a Notifier) -> Result<Self, WriteUnavailable> {
        match engine.check_writable() {
            LogHealth::Healthy => Ok(Self {
                engine,
                notifier: bell,
                inner: HeadAppender::new(&engine.head, engine.logs()),
                too_old_samples: Vec::new(),
                too_old_rejection: SampleRejection::OutOfBounds,
                block_duplicates: BlockDuplicates::new(&engine.blocks),
            }),
            LogHealth::NoSpace(cause) => Err(WriteUnavailable::ReadOnly(cause)),
            LogHealth::Failed(cause) => Err(WriteUnavailable::Failed(cause)),
        }
    }

    /// Appends to the series whose labels have exactly these bytes; `false`, and nothing done, where there is none.
    pub fn append_existing(
        &mut self,
        packed: &[u8],
        points: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> bool {
        let (old, too_old) = (&mut self.too_old_samples, &mut self.too_old_rejection);
        let is_known = self.inner.append_existing(packed, points, |point, why| match why {
            SampleRejection::OutOfBounds | SampleRejection::TooOld => {
                *too_old = why;
                old.push(point);
            }
            _ => reject(point, why),
        });
        if !old.is_empty() {
            let mut reject = |point| reject(point, *too_old);
            match self.engine.head.find_labels(packed) {
                Some(labels) => self.block_duplicates.reject_missing(&labels, old, &mut reject),
                None => old.drain(..).for_each(reject),
            }
        }
        is_known
    }

    /// Appends to the series with these labels, which is created where there is none.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] where a series would have to be created and none may be.
    pub fn append_or_create(
        &mut self,
        labels: &Labels,
        points: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesLimitReached> {
        let (old, too_old) = (&mut self.too_old_samples, &mut self.too_old_rejection);
        let done = self.inner.append_or_create(labels, points, |point, why| match why {
            SampleRejection::OutOfBounds | SampleRejection::TooOld => {
                *too_old = why;
                old.push(point);
            }
            _ => reject(point, why),
        });
        if !old.is_empty() {
            self.block_duplicates.reject_missing(labels, old, &mut |point| reject(point, *too_old));
        }
        done
    }

    /// Appends exemplars to the series whose labels have exactly these bytes; its samples come first.
    pub fn append_exemplars(
        &mut self,
        packed: &[u8],
        exemplars: impl Iterator<Item = Exemplar>,
        reject: impl FnMut(Exemplar, ExemplarRejection),
    ) {
        self.inner.append_exemplars(packed, exemplars, reject);
    }

    /// Sets the metadata of the series that was appended to last; nothing is done where there is none, or where it has that metadata.
    pub fn set_last_series_metadata(&mut self, metadata: MetadataRef<'_>) {
        self.inner.set_last_series_metadata(metadata);
    }

    /// Sets the metadata of a metric family: of its series, and of those that are yet to come.
    ///
    /// # Errors
    /// [`FamilyError`].
    pub fn set_family_metadata(
        &mut self,
        family: &str,
        metadata: &Metadata,
    ) -> Result<(), FamilyError> {
        self.inner.set_family_metadata(family, metadata)
    }

    /// Returns when the log holds what was appended, as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] where it does not: whether the samples survive a restart is unknown, repeating the request is safe.
    pub fn commit(self) -> Result<CommitStats, WalError> {
        let repeated = self.block_duplicates.found();
        let committed = self
            .inner
            .commit()
            .map(|head| CommitStats { samples: head.samples + repeated, ..head });
        if self.engine.needs_head_compaction() {
            self.notifier.notify();
        }
        committed
    }
}

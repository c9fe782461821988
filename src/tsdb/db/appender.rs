//! The appender that the rest of the program sees: admission in front of the head's.

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::metadata::{Metadata, MetadataRef};
use crate::model::value::Point;
use crate::tsdb::db::engine::Engine;
use crate::tsdb::db::maintenance::bell::Bell;
use crate::tsdb::db::repeats::Repeats;
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::head::append::{Committed, HeadAppender, Rejection, SeriesLimitReached};
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::wal::commit::Health;
use crate::tsdb::wal::error::WalError;

/// Takes the samples of one request; see [`crate::tsdb::head::append`] for how they are judged.
///
/// What was appended reaches the log also without a commit; only [`Appender::commit`] says whether it did.
#[derive(Debug)]
pub struct Appender<'a> {
    engine: &'a Engine,
    bell: &'a Bell,
    inner: HeadAppender<'a>,
    /// Points of the series at hand that are older than the head takes, and why they are not taken: of all for one reason.
    old: Vec<Point>,
    too_old: Rejection,
    repeats: Repeats<'a>,
}

/// Why no write is taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
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
    Broken(String),
}

impl<'a> Appender<'a> {
    pub(super) fn new(engine: &'a Engine, bell: &'a Bell) -> Result<Self, Unavailable> {
        match engine.admit() {
            Health::Good => Ok(Self {
                engine,
                bell,
                inner: HeadAppender::new(&engine.head, engine.logs()),
                old: Vec::new(),
                too_old: Rejection::OutOfBounds,
                repeats: Repeats::new(&engine.blocks),
            }),
            Health::NoSpace(cause) => Err(Unavailable::ReadOnly(cause)),
            Health::Broken(cause) => Err(Unavailable::Broken(cause)),
        }
    }

    /// Appends to the series whose labels have exactly these bytes; `false`, and nothing done, where there is none.
    pub fn append_known(
        &mut self,
        packed: &[u8],
        points: impl Iterator<Item = Point>,
        mut reject: impl FnMut(Point, Rejection),
    ) -> bool {
        let (old, too_old) = (&mut self.old, &mut self.too_old);
        let is_known = self.inner.append_known(packed, points, |point, why| match why {
            Rejection::OutOfBounds | Rejection::TooOld => {
                *too_old = why;
                old.push(point);
            }
            _ => reject(point, why),
        });
        if !old.is_empty() {
            let mut reject = |point| reject(point, *too_old);
            match self.engine.head.labels_of(packed) {
                Some(labels) => self.repeats.judge(&labels, old, &mut reject),
                None => old.drain(..).for_each(reject),
            }
        }
        is_known
    }

    /// Appends to the series with these labels, which is created where there is none.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] where a series would have to be created and none may be.
    pub fn append(
        &mut self,
        labels: &Labels,
        points: impl Iterator<Item = Point>,
        mut reject: impl FnMut(Point, Rejection),
    ) -> Result<(), SeriesLimitReached> {
        let (old, too_old) = (&mut self.old, &mut self.too_old);
        let done = self.inner.append(labels, points, |point, why| match why {
            Rejection::OutOfBounds | Rejection::TooOld => {
                *too_old = why;
                old.push(point);
            }
            _ => reject(point, why),
        });
        if !old.is_empty() {
            self.repeats.judge(labels, old, &mut |point| reject(point, *too_old));
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
    pub fn set_metadata_of_last(&mut self, metadata: MetadataRef<'_>) {
        self.inner.set_metadata_of_last(metadata);
    }

    /// Sets the metadata of a metric family: of its series, and of those that are yet to come.
    ///
    /// # Errors
    /// [`FamilyError`].
    pub fn set_family_metadata(&mut self, family: &str, metadata: &Metadata) -> Result<(), FamilyError> {
        self.inner.set_family_metadata(family, metadata)
    }

    /// Returns when the log holds what was appended, as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] where it does not: whether the samples survive a restart is unknown, repeating the request is safe.
    pub fn commit(self) -> Result<Committed, WalError> {
        let repeated = self.repeats.found();
        let committed = self.inner.commit().map(|head| Committed { samples: head.samples + repeated, ..head });
        if self.engine.is_head_due() {
            self.bell.ring();
        }
        committed
    }
}

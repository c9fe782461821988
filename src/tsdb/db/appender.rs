//! Appender of a request: [`crate::tsdb::db::admission`] in front of [`crate::tsdb::head::append`].

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::metadata::{Metadata, MetadataRef};
use crate::model::sample::Sample;
use crate::tsdb::db::admission::Admission;
use crate::tsdb::db::block_duplicates::BlockDuplicates;
use crate::tsdb::db::state::engine::Engine;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use crate::tsdb::head::append::metadata::FamilyError;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::append::samples::OutOfOrderPolicy;
use crate::tsdb::head::append::series_handle::{AppendedSeries, SeriesGone, SeriesHandle};
use crate::tsdb::head::append::{CommitStats, HeadAppender};
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::head::series::store::SeriesLimitReached;
use crate::tsdb::wal::error::WalError;

/// Appends the samples of one request; see [`crate::tsdb::head::append`] for which are accepted.
///
/// Appended samples reach the WAL without a commit as well. Only [`Appender::commit`] reports
/// whether they did.
#[derive(Debug)]
pub struct Appender<'a> {
    engine: &'a Engine,
    inner: HeadAppender<'a>,
    /// Samples of the current series that are older than the head accepts. `too_old_rejection`
    /// applies to all of them.
    too_old_samples: Vec<Sample>,
    too_old_rejection: SampleRejection,
    block_duplicates: BlockDuplicates<'a>,
}

impl<'a> Appender<'a> {
    /// Creates an appender if a request may append now.
    pub(super) fn admit(engine: &'a Engine) -> Result<Self, WriteUnavailable> {
        Admission::new(engine).admit_append()?;
        Ok(Self {
            engine,
            inner: HeadAppender::new(&engine.head, engine.logs()),
            too_old_samples: Vec::new(),
            too_old_rejection: SampleRejection::OutOfBounds,
            block_duplicates: BlockDuplicates::new(&engine.blocks),
        })
    }

    /// Appends to the series with these label bytes. Returns `None`, without an effect, if it does
    /// not exist.
    pub fn append_existing(
        &mut self,
        label_bytes: &[u8],
        samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Option<SeriesHandle> {
        let (old, too_old) = (&mut self.too_old_samples, &mut self.too_old_rejection);
        let series =
            self.inner.append_existing(label_bytes, samples, |sample, rejection| match rejection {
                SampleRejection::OutOfBounds | SampleRejection::TooOld => {
                    *too_old = rejection;
                    old.push(sample);
                }
                _ => reject(sample, rejection),
            });
        if let Some(series) = series.as_ref().filter(|_| !old.is_empty()) {
            let mut reject = |sample| reject(sample, *too_old);
            self.block_duplicates.reject_missing(series.labels(), old, &mut reject);
        }
        series
    }

    /// Appends to the series of a handle, without a look-up of its labels.
    ///
    /// # Errors
    /// [`SeriesGone`] if the series is no longer in the head; nothing is appended then.
    pub fn append_to(
        &mut self,
        series: &SeriesHandle,
        policy: OutOfOrderPolicy,
        samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesGone> {
        let (old, too_old) = (&mut self.too_old_samples, &mut self.too_old_rejection);
        self.inner.append_to(series, policy, samples, |sample, rejection| match rejection {
            SampleRejection::OutOfBounds | SampleRejection::TooOld
                if policy == OutOfOrderPolicy::Accept =>
            {
                *too_old = rejection;
                old.push(sample);
            }
            _ => reject(sample, rejection),
        })?;
        if !old.is_empty() {
            let mut reject = |sample| reject(sample, *too_old);
            self.block_duplicates.reject_missing(series.labels(), old, &mut reject);
        }
        Ok(())
    }

    /// Appends as [`Self::append_or_create_with`] does, out-of-order samples included.
    ///
    /// # Errors
    /// As [`Self::append_or_create_with`].
    pub fn append_or_create(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = Sample>,
        reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<Option<AppendedSeries>, SeriesLimitReached> {
        self.append_or_create_with(labels, OutOfOrderPolicy::Accept, samples, reject)
    }

    /// Appends to the series with these labels, and creates it if it does not exist and one of the
    /// samples can be accepted. Returns `None` if it does not exist after that.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] if the series does not exist and the limit does not allow a new one.
    pub fn append_or_create_with(
        &mut self,
        labels: &Labels,
        policy: OutOfOrderPolicy,
        samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<Option<AppendedSeries>, SeriesLimitReached> {
        let (old, too_old) = (&mut self.too_old_samples, &mut self.too_old_rejection);
        let done =
            self.inner.append_or_create_with(labels, policy, samples, |sample, rejection| {
                match rejection {
                    SampleRejection::OutOfBounds | SampleRejection::TooOld
                        if policy == OutOfOrderPolicy::Accept =>
                    {
                        *too_old = rejection;
                        old.push(sample);
                    }
                    _ => reject(sample, rejection),
                }
            });
        if !old.is_empty() {
            self.block_duplicates
                .reject_missing(labels, old, &mut |sample| reject(sample, *too_old));
        }
        done
    }

    /// Returns the series with these label bytes, for exemplars without samples.
    #[must_use]
    pub fn find_series(&self, label_bytes: &[u8]) -> Option<SeriesHandle> {
        self.inner.find_series(label_bytes)
    }

    /// Appends exemplars to a series, after its samples.
    pub fn append_exemplars(
        &mut self,
        series: &SeriesHandle,
        exemplars: impl Iterator<Item = Exemplar>,
        reject: impl FnMut(Exemplar, ExemplarRejection),
    ) {
        self.inner.append_exemplars(series, exemplars, reject);
    }

    /// Sets the metadata of a series. Does nothing if the metadata is unchanged.
    pub fn set_series_metadata(&mut self, series: &SeriesHandle, metadata: MetadataRef<'_>) {
        self.inner.set_series_metadata(series, metadata);
    }

    /// Sets the metadata of a metric family, for its current and its future series.
    ///
    /// # Errors
    /// [`FamilyError`] if the head rejects the family.
    pub fn set_family_metadata(
        &mut self,
        family: &str,
        metadata: &Metadata,
    ) -> Result<(), FamilyError> {
        self.inner.set_family_metadata(family, metadata)
    }

    /// Waits until the WAL holds the appended samples, as durably as the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] if that failed. The samples may or may not survive a restart; a retry is safe.
    pub fn commit(self) -> Result<CommitStats, WalError> {
        let duplicates = self.block_duplicates.found();
        let committed = self
            .inner
            .commit()
            .map(|head| CommitStats { samples: head.samples + duplicates, ..head });
        if self.engine.head.times().is_compactable() {
            self.engine.shared.notifier().notify();
        }
        committed
    }
}

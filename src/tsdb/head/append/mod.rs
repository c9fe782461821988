//! Appends: the only way by which samples enter the head. One appender serves one request on one
//! thread.
//!
//! For each series of a request, the appender finds the series by its label bytes, locks it,
//! decides about each sample, appends the accepted ones, and adds them to the request's log batch.
//! [`HeadAppender::commit`] enqueues the batch in the WAL, waits as the sync mode requires, and
//! moves sealed chunks to `chunks_head/`. Out-of-order samples take another path
//! ([`crate::tsdb::head::out_of_order`]).
//!
//! | module               | content                                            |
//! |----------------------|----------------------------------------------------|
//! | `bounds`             | bounds of the accepted times                       |
//! | `exemplars`          | appends of exemplars                               |
//! | [`metadata`]         | appends of metadata, by series and by family       |
//! | `request_log`        | records of a request, and its in-flight batch      |
//! | [`sample_rejection`] | reasons for rejecting samples                      |
//! | [`samples`]          | appends of samples                                 |
//! | [`series_handle`]    | series of an append, for metadata and exemplars    |
//! | `stats`              | counts of a request                                |
//! | [`wbl_batch`]        | records of a request for the WBL                   |
//!
//! # Acceptance
//! The rules are Prometheus's, with bounds fixed when the appender is created. One exception: a
//! sample equal to a stored one, the newest or an older one, counts as stored, so a retry is never
//! an error.
//!
//! # Invariant
//! Every sample that the head accepted reaches the WAL queue, also when the appender is dropped.
//! The samples of a request become visible together ([`crate::tsdb::head::in_flight`]).

mod bounds;
mod exemplars;
pub mod metadata;
mod request_log;
pub mod sample_rejection;
pub mod samples;
pub mod series_handle;
mod stats;
pub mod wbl_batch;

use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::metadata::{Metadata, MetadataRef};
use crate::model::sample::Sample;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::exemplars::append_exemplars;
use crate::tsdb::head::append::metadata::{FamilyError, MetadataAppender};
use crate::tsdb::head::append::request_log::RequestLog;
use crate::tsdb::head::append::sample_rejection::SampleRejection;
use crate::tsdb::head::append::samples::{OutOfOrderPolicy, SampleAppender, SeriesCollected};
use crate::tsdb::head::append::series_handle::{AppendedSeries, SeriesGone, SeriesHandle};
use crate::tsdb::head::append::wbl_batch::WriteLogs;
use crate::tsdb::head::exemplars::ExemplarRejection;
use crate::tsdb::head::series::store::{AppendLookup, SeriesLimitReached, SeriesStore};
use crate::tsdb::head::side_data::SideData;
use crate::tsdb::head::stats::HeadStats;
use crate::tsdb::head::times::HeadTimes;
use crate::tsdb::wal::error::WalError;
use std::sync::atomic::Ordering;

/// Numbers of items that are stored after a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Stored samples, including duplicates.
    pub samples: u64,
    /// Stored exemplars, including duplicates.
    pub exemplars: u64,
}

/// Appender for the samples of one request.
#[derive(Debug)]
pub struct HeadAppender<'a> {
    series: &'a SeriesStore,
    times: &'a HeadTimes,
    side_data: &'a SideData,
    stats: &'a HeadStats,
    log: RequestLog<'a>,
    samples: SampleAppender<'a>,
    /// Number of stored exemplars, including duplicates.
    exemplars: u64,
}

impl<'a> HeadAppender<'a> {
    /// Creates an appender to `head` that logs to `logs`. Waits while 256 others are in flight.
    #[must_use]
    pub fn new(head: &'a Head, logs: impl Into<WriteLogs<'a>>) -> Self {
        let log = RequestLog::new(head, logs.into());
        // After the batch has started: a truncation that raises the bounds waits for it.
        let samples = SampleAppender::new(head, log.has_wbl());
        Self {
            series: &head.series,
            times: &head.times,
            side_data: &head.side_data,
            stats: &head.stats,
            log,
            samples,
            exemplars: 0,
        }
    }

    /// Appends to the series with exactly these label bytes. Returns `None`, and does nothing, if
    /// it does not exist or was collected.
    ///
    /// `reject` is called for every sample that is not stored.
    pub fn append_existing(
        &mut self,
        label_bytes: &[u8],
        samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Option<SeriesHandle> {
        let series = self.series.get(label_bytes)?;
        let policy = OutOfOrderPolicy::Accept;
        self.samples.append_to(&mut self.log, &series, policy, samples, &mut reject).ok()?;
        Some(SeriesHandle::new(series))
    }

    /// Appends to the series of a handle, without a look-up of its labels.
    ///
    /// `reject` is called for every sample that is not stored.
    ///
    /// # Errors
    /// [`SeriesGone`] if the series was collected; nothing is appended then. The same labels belong
    /// to a new series, or to none.
    pub fn append_to(
        &mut self,
        series: &SeriesHandle,
        policy: OutOfOrderPolicy,
        samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<(), SeriesGone> {
        let appended =
            self.samples.append_to(&mut self.log, series.arc(), policy, samples, &mut reject);
        appended.map_err(|SeriesCollected(_)| SeriesGone)
    }

    /// Appends as [`Self::append_or_create_with`] does, out-of-order samples included.
    ///
    /// # Errors
    /// As [`Self::append_or_create_with`].
    #[cfg(any(test, feature = "testing"))]
    pub fn append_or_create(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = Sample>,
        reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<Option<AppendedSeries>, SeriesLimitReached> {
        self.append_or_create_with(labels, OutOfOrderPolicy::Accept, samples, reject)
    }

    /// Appends to the series with these labels. Creates the series if it does not exist and one of
    /// the samples can be accepted. Returns `None` if it does not exist after that.
    ///
    /// # Errors
    /// [`SeriesLimitReached`] if the series would have to be created. Samples examined before are
    /// rejected individually; the rest of `samples` is not consumed.
    pub fn append_or_create_with(
        &mut self,
        labels: &Labels,
        policy: OutOfOrderPolicy,
        mut samples: impl Iterator<Item = Sample>,
        mut reject: impl FnMut(Sample, SampleRejection),
    ) -> Result<Option<AppendedSeries>, SeriesLimitReached> {
        if let Some(series) = self.series.get(labels.as_bytes()) {
            match self.samples.append_to(&mut self.log, &series, policy, samples, &mut reject) {
                Ok(()) => {
                    let handle = SeriesHandle::new(series);
                    return Ok(Some(AppendedSeries { handle, over_limit: None }));
                }
                Err(SeriesCollected(unread)) => samples = unread,
            }
        }
        let first = loop {
            let Some(sample) = samples.next() else { return Ok(None) };
            match self.samples.bounds.rejection_for(sample.t) {
                None => break sample,
                Some(reason) => reject(sample, reason),
            }
        };
        let mut samples = std::iter::once(first).chain(samples);
        loop {
            let AppendLookup { series, over_limit, .. } = self.create_series(labels)?;
            match self.samples.append_to(&mut self.log, &series, policy, samples, &mut reject) {
                Ok(()) => {
                    let handle = SeriesHandle::new(series);
                    return Ok(Some(AppendedSeries { handle, over_limit }));
                }
                // The collected series is about to leave the map; a retry creates a new one.
                Err(SeriesCollected(unread)) => samples = unread,
            }
            std::thread::yield_now();
        }
    }

    /// Returns the series with exactly these label bytes, for exemplars without samples.
    #[must_use]
    pub fn find_series(&self, label_bytes: &[u8]) -> Option<SeriesHandle> {
        self.series.get(label_bytes).map(SeriesHandle::new)
    }

    /// Appends to a series. Its samples must have been appended before, also if they were
    /// duplicates.
    ///
    /// `reject` is called for every exemplar that is not stored; a duplicate counts as stored. A
    /// series that was collected since is unknown.
    pub fn append_exemplars(
        &mut self,
        series: &SeriesHandle,
        exemplars: impl Iterator<Item = Exemplar>,
        reject: impl FnMut(Exemplar, ExemplarRejection),
    ) {
        let storage = &self.side_data.exemplars;
        self.exemplars += append_exemplars(&mut self.log, storage, series.arc(), exemplars, reject);
    }

    /// Sets the metadata of a series. Does nothing if it has this metadata.
    pub fn set_series_metadata(&mut self, series: &SeriesHandle, metadata: MetadataRef<'_>) {
        self.metadata().set_on_series(series.arc(), metadata);
    }

    /// Sets the metadata of a metric family, for its existing and future series.
    ///
    /// # Errors
    /// [`FamilyError`] if there are too many families or the WAL fails.
    pub fn set_family_metadata(
        &mut self,
        family: &str,
        metadata: &Metadata,
    ) -> Result<(), FamilyError> {
        self.metadata().set_on_family(family, metadata)
    }

    /// Logs the accepted samples, makes them visible together, and returns when they are as safe as
    /// the sync mode promises.
    ///
    /// # Errors
    /// [`WalError`] if the WAL or the WBL could not be written. The samples are in memory; it is
    /// unknown whether they survive a restart.
    pub fn commit(mut self) -> Result<CommitStats, WalError> {
        self.finish();
        let positions = self.log.wait_for_publication();
        self.log.wait_for_wal(positions.wal)?;
        self.samples.map_sealed();
        self.log.wait_for_wbl(positions.wbl)?;
        let counts = &self.samples.counts;
        Ok(CommitStats { samples: counts.appended + counts.duplicates, exemplars: self.exemplars })
    }

    fn create_series(&mut self, labels: &Labels) -> Result<AppendLookup, SeriesLimitReached> {
        let lookup = self.series.get_or_create(labels, self.log.batch_id())?;
        if lookup.created {
            self.samples.add_created(lookup.series.series_ref);
            self.log.push_series(&lookup.series);
            self.stats.series_created.fetch_add(1, Ordering::Relaxed);
            self.metadata().inherit(&lookup.series);
        }
        Ok(lookup)
    }

    fn metadata(&mut self) -> MetadataAppender<'_, 'a> {
        let (series, metadata) = (self.series, &self.side_data.metadata);
        MetadataAppender { series, metadata, stats: self.stats, log: &mut self.log }
    }

    /// Adds the request to the times and counts of the head, and ends it. The times are first, so
    /// that they contain every visible sample.
    fn finish(&mut self) {
        if let Some(ooo) = self.log.ooo_stats() {
            self.stats.ooo_floats_appended.fetch_add(ooo.floats, Ordering::Relaxed);
            self.stats.ooo_histograms_appended.fetch_add(ooo.histograms, Ordering::Relaxed);
            self.times.ooo_window().extend(ooo.min_time, ooo.max_time);
        }
        let counts = &self.samples.counts;
        self.times.extend(counts.min_time, counts.max_time);
        counts.flush_to(self.stats);
        self.log.end();
    }
}

impl Drop for HeadAppender<'_> {
    fn drop(&mut self) {
        if !self.log.has_ended() {
            self.finish();
        }
    }
}

#[cfg(test)]
mod tests;

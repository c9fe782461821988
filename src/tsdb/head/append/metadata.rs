//! Appends of metadata: for one series, or for a metric family as remote write 1.0 sends it.
//!
//! Metadata that a series already has is not logged again. As for samples, a series is locked when
//! no other in-flight batch has touched it, so a metadata record follows the series record.
//!
//! # Families
//! A new or changed family is a pass over its series, which may be many. Records are flushed to the
//! WAL in parts, and series that other requests are using come last, so that neither waits long. An
//! unchanged family is one lookup: its series have its metadata already. New series inherit it
//! (`MetadataAppender::inherit`), and the pass starts after the family is recorded.

use crate::model::labels::METRIC_NAME;
use crate::model::metadata::{Metadata, MetadataRef, MetricType};
use crate::model::metric_family::series_names;
use crate::tsdb::head::append::request_log::RequestLog;
use crate::tsdb::head::metadata::HeadMetadata;
use crate::tsdb::head::metadata::families::{FamilyLimitReached, FamilyUpdate};
use crate::tsdb::head::series::HeadSeries;
use crate::tsdb::head::series::state::SeriesState;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::head::stats::HeadStats;
use crate::tsdb::wal::error::WalError;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Size of unflushed metadata at which it is flushed to the WAL, bytes.
const FLUSH_BYTES: usize = 256 << 10;
/// Maximum number of flushes before the appender waits for the WAL.
const MAX_UNCONFIRMED_FLUSHES: usize = 16;

/// Error of storing the metadata of a family.
#[derive(Debug, thiserror::Error)]
pub enum FamilyError {
    /// The maximum number of families is reached.
    #[error(transparent)]
    Limit(#[from] FamilyLimitReached),
    /// The WAL could not be written; some series may have the metadata.
    #[error("the write-ahead log failed: {0}")]
    Log(#[from] WalError),
}

/// Metadata records that the WAL has not confirmed.
#[derive(Default)]
struct PendingLogWrites {
    bytes: usize,
    unconfirmed: usize,
}

/// Family, and a metric name that series of the family have.
struct FamilyMember<'n> {
    family: &'n str,
    name: &'n str,
}

/// Appender of metadata, for the request of `log`.
pub(super) struct MetadataAppender<'r, 'a> {
    pub(super) series: &'a SeriesStore,
    pub(super) metadata: &'a HeadMetadata,
    pub(super) stats: &'a HeadStats,
    pub(super) log: &'r mut RequestLog<'a>,
}

impl MetadataAppender<'_, '_> {
    /// Sets the metadata of a series. Does nothing if it has this metadata.
    pub(super) fn set_on_series(&mut self, series: &HeadSeries, metadata: MetadataRef<'_>) {
        let mut state = self.log.lock_series(series);
        if !state.is_collected
            && state.metadata.as_deref().is_none_or(|current| *current != metadata)
        {
            let metadata = self.metadata.pool.intern(&metadata.to_metadata());
            self.log_and_set(series, &mut state, metadata);
        }
    }

    /// Sets the metadata of a metric family, for its existing and future series.
    ///
    /// # Errors
    /// [`FamilyError`] if there are too many families or the WAL fails.
    pub(super) fn set_on_family(
        &mut self,
        family: &str,
        metadata: &Metadata,
    ) -> Result<(), FamilyError> {
        match self.record_family(family, metadata)? {
            FamilyUpdate::Unchanged => Ok(()),
            FamilyUpdate::Changed => {
                self.propagate_family(family, metadata.metric_type).inspect_err(|_| {
                    // Some series lack it: a retry must count as a change.
                    self.metadata.families.remove(family);
                })
            }
        }
    }

    /// Sets the metadata of the family on a series that this request created.
    pub(super) fn inherit(&mut self, series: &HeadSeries) {
        let families = &self.metadata.families;
        let Some(metadata) =
            series.labels.get(METRIC_NAME).and_then(|name| families.for_series(name))
        else {
            return;
        };
        self.log_and_set(series, &mut series.state.lock(), metadata);
    }

    fn log_and_set(
        &mut self,
        series: &HeadSeries,
        state: &mut SeriesState,
        metadata: Arc<Metadata>,
    ) {
        self.log.push_metadata(series.series_ref, state, &metadata);
        self.stats.metadata_updates.fetch_add(1, Ordering::Relaxed);
        state.metadata = Some(metadata);
    }

    /// Sets the metadata of the family on its series.
    fn propagate_family(
        &mut self,
        family: &str,
        metric_type: MetricType,
    ) -> Result<(), FamilyError> {
        let mut pending = PendingLogWrites::default();
        for name in series_names(family, metric_type) {
            let mut busy = Vec::new();
            for series_ref in self.series.postings().postings(METRIC_NAME, &name) {
                let Some(series) = self.series.get_by_ref(series_ref) else { continue };
                let state = series.state.lock();
                if self.log.is_busy(&state) {
                    drop(state);
                    busy.push(series);
                } else {
                    self.update_from_family(
                        &series,
                        state,
                        &FamilyMember { family, name: &name },
                        &mut pending,
                    );
                    self.flush_if_large(&mut pending)?;
                }
            }
            for series in busy {
                let state = self.log.lock_series(&series);
                self.update_from_family(
                    &series,
                    state,
                    &FamilyMember { family, name: &name },
                    &mut pending,
                );
                self.flush_if_large(&mut pending)?;
            }
        }
        Ok(())
    }

    /// Sets the current metadata of the family on a series. It may be newer than what the caller
    /// propagates.
    fn update_from_family(
        &mut self,
        series: &HeadSeries,
        mut state: MutexGuard<'_, SeriesState>,
        member: &FamilyMember<'_>,
        pending: &mut PendingLogWrites,
    ) {
        self.log.depend_on_last_batch(&state);
        if let Some(metadata) =
            self.metadata.families.for_series_in_family(member.name, member.family)
            && !state.is_collected
            && state.metadata.as_ref() != Some(&metadata)
        {
            pending.bytes += metadata.unit.len() + metadata.help.len() + 32;
            self.log_and_set(series, &mut state, metadata);
        }
    }

    /// Flushes to the WAL if enough bytes are pending, and waits for the WAL after every
    /// [`MAX_UNCONFIRMED_FLUSHES`] flushes.
    fn flush_if_large(&mut self, pending: &mut PendingLogWrites) -> Result<(), WalError> {
        if pending.bytes < FLUSH_BYTES {
            return Ok(());
        }
        pending.bytes = 0;
        pending.unconfirmed += 1;
        let position = self.log.flush();
        if pending.unconfirmed >= MAX_UNCONFIRMED_FLUSHES {
            pending.unconfirmed = 0;
            self.log.wait_for_wal(position)?;
        }
        Ok(())
    }

    /// Records a family. If there are too many, families without series are removed first.
    fn record_family(
        &self,
        family: &str,
        metadata: &Metadata,
    ) -> Result<FamilyUpdate, FamilyLimitReached> {
        let HeadMetadata { families, pool } = self.metadata;
        let postings = self.series.postings();
        families.update(pool, family, metadata).or_else(|limit_reached| {
            if !families.is_sweep_due() {
                return Err(limit_reached);
            }
            families.retain(|name, metric_type| {
                series_names(name, metric_type).any(|name| postings.contains(METRIC_NAME, &name))
            });
            families.update(pool, family, metadata)
        })
    }
}

//! Appending metadata: of one series, or of a whole metric family, as remote write 1.0 sends it.
//!
//! What a series has already is not logged again. A record of metadata stands behind that of its series, and in the order in which the
//! series got it: a series is locked as for samples, once no other batch in flight has touched it.
//!
//! A family that is new or has changed is a walk over its series, which may be many: what is to be logged goes to the log in pieces, and
//! series that other requests are at work with come last, so that neither waits for the other longer than for a piece.
//! A family that comes unchanged is one look-up: all its series have its metadata, as a series gets it when it is created
//! (`HeadAppender::inherit_family_metadata`) and the walk begins after the family was made known.

use crate::model::labels::METRIC_NAME;
use crate::model::metadata::{Metadata, MetadataRef, MetricType};
use crate::model::metric_family::series_names;
use crate::tsdb::head::Head;
use crate::tsdb::head::append::HeadAppender;
use crate::tsdb::head::metadata::families::{FamilyLimitReached, FamilyUpdate};
use crate::tsdb::head::series::{HeadSeries, SeriesState};
use crate::tsdb::wal::error::WalError;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Entries go to the log when there are so many bytes of them.
const FLUSH_BYTES: usize = 256 << 10;
/// So many pieces may be on their way to the log before they are waited for.
const MAX_UNCONFIRMED_FLUSHES: usize = 16;

/// Why a family's metadata is not stored.
#[derive(Debug, thiserror::Error)]
pub enum FamilyError {
    /// There are too many families.
    #[error(transparent)]
    Limit(#[from] FamilyLimitReached),
    /// The log could not be written: some series have it.
    #[error("the write-ahead log failed: {0}")]
    Log(#[from] WalError),
}

/// What is on its way to the log.
#[derive(Default)]
struct PendingLogWrites {
    bytes: usize,
    ahead: usize,
}

/// A name that series of a family have.
struct FamilyMember<'n> {
    family: &'n str,
    name: &'n str,
}

impl HeadAppender<'_> {
    /// Sets the metadata of the series that was appended to last; nothing is done where there is none, or where it has that metadata.
    pub fn set_last_series_metadata(&mut self, metadata: MetadataRef<'_>) {
        let Some(series) = self.last_series.take() else { return };
        let mut state = self.lock_series(&series);
        if !state.is_collected && state.metadata.as_deref().is_none_or(|known| *known != metadata) {
            self.log_and_set(
                &series,
                &mut state,
                self.head.metadata.pool.intern(&metadata.to_metadata()),
            );
        }
        drop(state);
        self.last_series = Some(series);
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
        match record_family(self.head, family, metadata)? {
            FamilyUpdate::Unchanged => Ok(()),
            FamilyUpdate::Changed => {
                self.propagate_family(family, metadata.metric_type).inspect_err(|_| {
                    // Some series do not have it: it must count as new when it comes again.
                    self.head.metadata.families.remove(family);
                })
            }
        }
    }

    /// Gives a series that this request has created the metadata that is remembered for it.
    pub(super) fn inherit_family_metadata(&mut self, series: &HeadSeries) {
        let Some(metadata) = series
            .labels
            .get(METRIC_NAME)
            .and_then(|name| self.head.metadata.families.for_series(name))
        else {
            return;
        };
        let mut state = series.state.lock();
        self.log_and_set(series, &mut state, metadata);
    }

    fn log_and_set(
        &mut self,
        series: &HeadSeries,
        state: &mut SeriesState,
        metadata: Arc<Metadata>,
    ) {
        self.batch.push_metadata(series.reference, &metadata);
        self.head.stats.metadata_updates.fetch_add(1, Ordering::Relaxed);
        state.last_batch = self.batch_id;
        state.metadata = Some(metadata);
    }

    /// Gives the series of a family what is remembered for them.
    fn propagate_family(
        &mut self,
        family: &str,
        metric_type: MetricType,
    ) -> Result<(), FamilyError> {
        let head = self.head;
        let mut pieces = PendingLogWrites::default();
        for name in series_names(family, metric_type) {
            let mut busy = Vec::new();
            for reference in head.postings.postings(METRIC_NAME, &name) {
                let Some(series) = head.series.get_by_ref(reference) else { continue };
                let state = series.state.lock();
                if state.last_batch != self.batch_id && head.in_flight.contains(state.last_batch) {
                    drop(state);
                    busy.push(series);
                } else {
                    self.update_from_family(
                        &series,
                        state,
                        &FamilyMember { family, name: &name },
                        &mut pieces,
                    );
                    self.flush_if_large(&mut pieces)?;
                }
            }
            for series in busy {
                let state = self.lock_series(&series);
                self.update_from_family(
                    &series,
                    state,
                    &FamilyMember { family, name: &name },
                    &mut pieces,
                );
                self.flush_if_large(&mut pieces)?;
            }
        }
        Ok(())
    }

    /// Gives a series what stands for its family at this moment, which may be newer than what is being handed out.
    fn update_from_family(
        &mut self,
        series: &HeadSeries,
        mut state: MutexGuard<'_, SeriesState>,
        part: &FamilyMember<'_>,
        pieces: &mut PendingLogWrites,
    ) {
        if let Some(metadata) =
            self.head.metadata.families.for_series_in_family(part.name, part.family)
            && !state.is_collected
            && state.metadata.as_ref() != Some(&metadata)
        {
            pieces.bytes += metadata.unit.len() + metadata.help.len() + 32;
            self.log_and_set(series, &mut state, metadata);
        }
    }

    /// Sends what has become a piece to the log, and waits for it where many are on their way.
    fn flush_if_large(&mut self, pieces: &mut PendingLogWrites) -> Result<(), WalError> {
        if pieces.bytes < FLUSH_BYTES {
            return Ok(());
        }
        pieces.bytes = 0;
        pieces.ahead += 1;
        let position = self.flush_batch();
        if pieces.ahead >= MAX_UNCONFIRMED_FLUSHES {
            pieces.ahead = 0;
            self.wal.wait(position)?;
        }
        Ok(())
    }
}

/// Makes a family known; where there are too many, those without series give way.
fn record_family(
    head: &Head,
    family: &str,
    metadata: &Metadata,
) -> Result<FamilyUpdate, FamilyLimitReached> {
    let (families, pool) = (&head.metadata.families, &head.metadata.pool);
    families.update(pool, family, metadata).or_else(|full| {
        if !families.is_sweep_due() {
            return Err(full);
        }
        families.retain(|name, metric_type| {
            series_names(name, metric_type).any(|name| head.postings.contains(METRIC_NAME, &name))
        });
        families.update(pool, family, metadata)
    })
}

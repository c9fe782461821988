//! Detection of samples that were lost with quarantined chunk files: neither the WAL nor a block
//! has them.
//!
//! Normally there are none, because the WAL keeps every sample that no block contains. If the WAL
//! lost a part as well, the report names series, time range and number of samples. A series that
//! the WAL does not name is reported by its reference alone.
//!
//! Not reported:
//! - in-order samples before the maximum time of the blocks
//! - samples of a collected series: blocks contain them
//! - out-of-order chunks of a series that the WAL does not name: they were compacted before the
//!   series was collected
//! - deleted samples
//!
//! The samples of a missing or unreadable file are unknown.
//!
//! Cost: one pass over the series of the head and of the overlapping blocks. It runs only after
//! corruption, at startup, before the head is truncated. It takes no locks.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::AnyChunkIter;
use crate::tsdb::chunk::head_chunks::{HeadChunkMeta, QuarantinedChunks};
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::fs::disk::Disk;
use crate::tsdb::fs::durable::{FileError, replace_file};
use crate::tsdb::head::Head;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::select::merge;
use crate::tsdb::query::source::{BlockSource, QueryError};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

/// Samples of one series that were only in quarantined chunk files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSeries {
    /// Reference of the series in the WAL and in `chunks_head/`.
    pub series_ref: SeriesRef,
    /// Labels of the series; `None` if the WAL does not name it.
    pub labels: Option<Labels>,
    /// Timestamps of the first and the last lost sample, ms.
    pub range: TimeRange,
    /// Number of lost samples.
    pub samples: u64,
}

/// Stored data with which the samples of quarantined chunks are compared.
pub(super) struct Holders<'a> {
    pub(super) head: &'a Head,
    /// Aliases of series: further references in the WAL, and the one that the head uses.
    pub(super) aliases: &'a HashMap<SeriesRef, SeriesRef>,
    pub(super) blocks: &'a BlockSet,
    /// Minimum time of the head, ms: blocks contain the in-order samples before it.
    pub(super) min_valid: i64,
}

/// Quarantined chunks of one series.
struct Suspect<'a> {
    series_ref: SeriesRef,
    chunks: Vec<&'a HeadChunkMeta>,
}

impl Holders<'_> {
    /// Returns the samples of `quarantined` that nothing else contains, by series.
    ///
    /// # Errors
    /// [`QueryError`] if stored data cannot be read.
    pub(super) fn find_lost(
        &self,
        quarantined: &QuarantinedChunks,
    ) -> Result<Vec<LostSeries>, QueryError> {
        let mut suspects: HashMap<Labels, Suspect<'_>> = HashMap::new();
        let mut lost: BTreeMap<SeriesRef, LostSeries> = BTreeMap::new();
        let mut range: Option<TimeRange> = None;
        for chunk in
            quarantined.iter().filter(|chunk| chunk.out_of_order || chunk.maxt >= self.min_valid)
        {
            let series_ref = self.aliases.get(&chunk.series).copied().unwrap_or(chunk.series);
            if let Some(series) = self.head.series_by_ref(series_ref) {
                let new = || Suspect { series_ref, chunks: Vec::new() };
                suspects.entry(series.labels.clone()).or_insert_with(new).chunks.push(chunk);
                let times = range.get_or_insert(TimeRange::new(chunk.mint, chunk.maxt));
                *times = TimeRange::new(times.mint.min(chunk.mint), times.maxt.max(chunk.maxt));
            } else if !chunk.out_of_order && !self.head.was_collected(series_ref) {
                let times = quarantined.times(chunk);
                add(
                    &mut lost,
                    series_ref,
                    None,
                    times.into_iter().filter(|t| *t >= self.min_valid),
                );
            }
        }
        if let Some(range) = range {
            self.for_each_stored(range, |series| {
                if let Some(suspect) = suspects.remove(series.labels()) {
                    let missing = self.missing(quarantined, &suspect, Some(series));
                    add(&mut lost, suspect.series_ref, Some(series.labels()), missing.into_iter());
                }
            })?;
        }
        for (labels, suspect) in suspects {
            let missing = self.missing(quarantined, &suspect, None);
            add(&mut lost, suspect.series_ref, Some(&labels), missing.into_iter());
        }
        Ok(lost.into_values().collect())
    }

    /// Calls `visit` with every series that the head or a block has in `range`.
    fn for_each_stored(
        &self,
        range: TimeRange,
        mut visit: impl FnMut(&MergedSeries),
    ) -> Result<(), QueryError> {
        let matchers = [Matcher::any("__name__")];
        let blocks = self.blocks.overlapping(range);
        let mut sets = blocks
            .iter()
            .map(|block| block.select(&matchers, range))
            .collect::<Result<Vec<_>, _>>()?;
        sets.push(self.head.select(&matchers, range)?);
        merge(sets)?.try_for_each(|series| series.map(|series| visit(&series)))
    }

    /// Returns the timestamps of the samples of `suspect` that are neither in `stored` nor deleted.
    fn missing(
        &self,
        quarantined: &QuarantinedChunks,
        suspect: &Suspect<'_>,
        stored: Option<&MergedSeries>,
    ) -> Vec<i64> {
        let mut held: Vec<i64> = Vec::new();
        for chunk in stored.iter().flat_map(|series| series.chunks()) {
            let is_near =
                |other: &&HeadChunkMeta| chunk.overlaps(TimeRange::new(other.mint, other.maxt));
            if suspect.chunks.iter().any(is_near) {
                let samples = AnyChunkIter::new(chunk.encoding, chunk.data.bytes());
                held.extend(samples.map_while(|sample| sample.ok().map(|sample| sample.t)));
            }
        }
        held.sort_unstable();
        let deleted = self.head.tombstones_of(suspect.series_ref);
        let is_missing = |t: &i64| {
            held.binary_search(t).is_err()
                && !deleted.as_ref().is_some_and(|deleted| deleted.contains(*t))
        };
        let times = suspect.chunks.iter().flat_map(|chunk| {
            let first = if chunk.out_of_order { i64::MIN } else { self.min_valid };
            quarantined.times(chunk).into_iter().filter(move |t| *t >= first)
        });
        times.filter(is_missing).collect()
    }
}

/// Adds lost samples to the entry of a series.
fn add(
    lost: &mut BTreeMap<SeriesRef, LostSeries>,
    series_ref: SeriesRef,
    labels: Option<&Labels>,
    times: impl Iterator<Item = i64>,
) {
    for t in times {
        let new = || LostSeries {
            series_ref,
            labels: labels.cloned(),
            range: TimeRange::new(t, t),
            samples: 0,
        };
        let entry = lost.entry(series_ref).or_insert_with(new);
        entry.range = TimeRange::new(entry.range.mint.min(t), entry.range.maxt.max(t));
        entry.samples += 1;
    }
}

/// Writes the list to a file: one line per series with first and last timestamp, number of samples
/// and labels, separated by tabs.
///
/// # Errors
/// [`FileError`] of the failed step.
pub(super) fn write_list(
    disk: &dyn Disk,
    path: &Path,
    lost: &[LostSeries],
) -> Result<(), FileError> {
    let mut text = String::new();
    for series in lost {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{series}",
            series.range.mint, series.range.maxt, series.samples
        );
    }
    replace_file(disk, path, text.as_bytes())
}

/// The labels, or the reference if they are unknown.
impl fmt::Display for LostSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.labels {
            Some(labels) => labels.fmt(f),
            None => write!(f, "series reference {} (labels unknown)", self.series_ref.0),
        }
    }
}

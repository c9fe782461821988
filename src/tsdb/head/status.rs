//! Status of the head: counts, time range, and statistics of its labels.

use crate::tsdb::head::Head;
use crate::tsdb::index::mem_postings::stats;
use crate::tsdb::index::mem_postings::stats::{IndexStats, NoMemoryForStats};
use std::sync::atomic::Ordering;

/// Status of the head. Its parts are read one after another, while appends go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadStatus {
    /// Number of series.
    pub series: u64,
    /// Number of chunks.
    pub chunks: u64,
    /// Timestamp of the oldest sample, ms. In an empty head, the end of the blocks, or `i64::MAX`
    /// without blocks.
    pub min_time: i64,
    /// Timestamp of the newest sample, ms. In an empty head, the end of the blocks, or `i64::MIN`
    /// without blocks.
    pub max_time: i64,
    /// Statistics of the labels.
    pub labels: IndexStats,
}

impl HeadStatus {
    /// Collects the status of `head`, with at most `limit` entries per list; see
    /// [`stats::collect`].
    ///
    /// # Errors
    /// [`NoMemoryForStats`] after `reserve` returned `false`.
    pub fn collect(
        head: &Head,
        limit: usize,
        reserve: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Self, NoMemoryForStats> {
        let labels = stats::collect(head.postings(), limit, reserve)?;
        let blocks_end = Some(head.times.min_valid()).filter(|end| *end != i64::MIN);
        let removed = head.stats.chunks_removed.load(Ordering::Relaxed);
        Ok(Self {
            series: head.series_count() as u64,
            chunks: head.stats.chunks_created.load(Ordering::Relaxed).saturating_sub(removed),
            min_time: head.times.min().or(blocks_end).unwrap_or(i64::MAX),
            max_time: head.times.max().or(blocks_end).unwrap_or(i64::MIN),
            labels,
        })
    }
}

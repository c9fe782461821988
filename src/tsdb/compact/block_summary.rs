//! Summary of a block for compaction planning: the relevant part of its `meta.json`. Pure.

use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::ulid::BlockUlid;

/// Summary of a block for [`super::plan`] and [`super::lineage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSummary {
    /// ULID of the block.
    pub ulid: BlockUlid,
    /// Minimum time, ms, inclusive.
    pub mint: i64,
    /// Maximum time, ms, exclusive.
    pub maxt: i64,
    /// Number of merges behind the block plus 1; 1 for a head block.
    pub level: u32,
    /// Number of series in the block.
    pub series: u64,
    /// Number of tombstones: intervals over all series.
    pub tombstones: u64,
    /// Whether a compaction failed with this block. It is not compacted by level again.
    pub failed: bool,
    /// Whether the block is to be removed. It is not planned.
    pub deletable: bool,
    /// Hints for later compactions.
    pub hints: CompactionHints,
    /// Head blocks whose samples the block contains.
    pub sources: Vec<BlockUlid>,
}

impl BlockSummary {
    /// Summarizes the block with this `meta.json`.
    #[must_use]
    pub fn from_meta(meta: &BlockMeta) -> Self {
        Self {
            ulid: meta.ulid,
            mint: meta.min_time,
            maxt: meta.max_time,
            level: meta.compaction.level,
            series: meta.stats.num_series,
            tombstones: meta.stats.num_tombstones,
            failed: meta.compaction.failed,
            deletable: meta.compaction.deletable,
            hints: CompactionHints::from_words(meta.compaction.hints.iter().map(String::as_str)),
            sources: meta.compaction.sources.clone(),
        }
    }

    /// Returns `true` if all samples that the head accepted in the block's range are in blocks.
    /// `false` for blocks of out-of-order samples or of selected series.
    #[must_use]
    pub fn covers_head(&self) -> bool {
        self.hints == CompactionHints::default()
    }
}

/// Hints of a block. A compaction drops unknown hints, as in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionHints {
    /// The block has only out-of-order samples. The head may still accept samples in its range.
    pub out_of_order: bool,
    /// The block has only series that became stale. The head has the other series of its range.
    pub stale_series: bool,
    /// The block has only selected series. The head has the other series of its range.
    pub selected_series: bool,
}

const OUT_OF_ORDER: &str = "from-out-of-order";
const SELECTED_SERIES: &str = "from-selected-series";
const STALE_SERIES: &str = "from-stale-series";

impl CompactionHints {
    /// Parses the hints in `meta.json`.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hints = Self::default();
        for word in words {
            match word {
                OUT_OF_ORDER => hints.out_of_order = true,
                SELECTED_SERIES => hints.selected_series = true,
                STALE_SERIES => hints.stale_series = true,
                _ => {}
            }
        }
        hints
    }

    /// Hints for `meta.json`, sorted.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let words = [
            (self.out_of_order, OUT_OF_ORDER),
            (self.selected_series, SELECTED_SERIES),
            (self.stale_series, STALE_SERIES),
        ];
        words.into_iter().filter_map(|(set, word)| set.then_some(word))
    }
}

#[cfg(test)]
mod tests {
    use super::CompactionHints;

    #[test]
    fn hints_are_sorted_and_unknown_ones_dropped() {
        let hints = CompactionHints::from_words([
            "from-stale-series",
            "from-elsewhere",
            "from-out-of-order",
        ]);
        assert_eq!(
            hints,
            CompactionHints { out_of_order: true, stale_series: true, selected_series: false }
        );
        assert_eq!(hints.words().collect::<Vec<_>>(), ["from-out-of-order", "from-stale-series"]);
        assert_eq!(CompactionHints::from_words(hints.words()), hints);
        assert_eq!(CompactionHints::default().words().count(), 0);
    }
}

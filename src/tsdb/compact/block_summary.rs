//! What planning knows of a block: the part of its `meta.json` on which decisions rest. Pure values, no files.

use crate::tsdb::block::meta::BlockMeta;
use crate::tsdb::block::ulid::BlockUlid;

/// A block, as [`super::plan`] and [`super::lineage`] see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSummary {
    /// Its name.
    pub ulid: BlockUlid,
    /// Time from which it may have samples, ms.
    pub mint: i64,
    /// Time before which its samples end, ms; not included.
    pub maxt: i64,
    /// How many merges lie behind it, counted from 1 for a block of the head.
    pub level: u32,
    /// Number of its series.
    pub series: u64,
    /// Number of its tombstones (intervals, over all series).
    pub tombstones: u64,
    /// A merge of it has failed: it is not merged by level again.
    pub failed: bool,
    /// It is to be removed, so nothing is planned with it.
    pub deletable: bool,
    /// The words by which compactions tell each other what to mind.
    pub hints: CompactionHints,
    /// The blocks of the head that went into it.
    pub sources: Vec<BlockUlid>,
}

impl BlockSummary {
    /// Those of the block with this `meta.json`.
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

    /// Whether the head's times up to the block's end are all in blocks: not where it holds late samples or some series only.
    #[must_use]
    pub fn covers_head(&self) -> bool {
        self.hints == CompactionHints::default()
    }
}

/// The hints of a block, by their meaning. Words that are not known are dropped in a merge, as Prometheus drops them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionHints {
    /// Made of late samples only: it says nothing of the times that the head may still take.
    pub out_of_order: bool,
    /// Made of series that ended early, with the rest of their time still in the head.
    pub stale_series: bool,
    /// Made of chosen series, with the rest of their time still in the head.
    pub selected_series: bool,
}

const OUT_OF_ORDER: &str = "from-out-of-order";
const SELECTED_SERIES: &str = "from-selected-series";
const STALE_SERIES: &str = "from-stale-series";

impl CompactionHints {
    /// Reads the words of `meta.json`.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut own = Self::default();
        for word in words {
            match word {
                OUT_OF_ORDER => own.out_of_order = true,
                SELECTED_SERIES => own.selected_series = true,
                STALE_SERIES => own.stale_series = true,
                _ => {}
            }
        }
        own
    }

    /// The words for `meta.json`, sorted.
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
    fn hints_are_written_sorted_and_unknown_ones_dropped() {
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

//! Lookup of one series in one block.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkSeriesSet, QueryError};

/// Returns the chunks in `range` of the series with exactly these labels.
pub(super) fn series_chunks(
    block: &Block,
    labels: &Labels,
    range: TimeRange,
) -> Result<Vec<Chunk>, QueryError> {
    let matchers: Vec<_> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let found: ChunkSeriesSet<'_> = block.select(&matchers, range)?;
    for series in found {
        let series = series?;
        // The matchers also select series with further labels.
        if series.labels == *labels {
            return Ok(series.chunks);
        }
    }
    Ok(Vec::new())
}

//! One series of one block.

use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::tsdb::block::open::Block;
use crate::tsdb::query::source::{BlockSource, Chunk, ChunkSeriesSet, QueryError};

/// The chunks of the series with exactly these labels that overlap `range`.
pub(super) fn series_chunks(
    block: &Block,
    labels: &Labels,
    range: TimeRange,
) -> Result<Vec<Chunk>, QueryError> {
    let equal = |(name, value): (&str, &str)| Matcher::new(MatchType::Equal, name, value);
    let matchers = labels.iter().map(equal).collect::<Result<Vec<_>, _>>();
    let matchers = matchers.map_err(|error| QueryError::Corrupted(error.to_string()))?;
    let series: ChunkSeriesSet<'_> = block.select(&matchers, range)?;
    for one in series {
        let one = one?;
        // Others may have these labels and more.
        if one.labels == *labels {
            return Ok(one.chunks);
        }
    }
    Ok(Vec::new())
}

//! Source for tests with given series and chunks.

use crate::model::float_sample::FloatSample;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::chunk::ChunkEncoding;
use crate::tsdb::chunk::xor::XorChunk;
use crate::tsdb::query::source::{
    BlockSource, Chunk, ChunkData, ChunkSeries, ChunkSeriesSet, QueryError,
};
use std::collections::BTreeMap;

/// Chunks by label set.
#[derive(Debug, Clone, Default)]
pub(crate) struct FixedSource(pub(crate) BTreeMap<Labels, Vec<Chunk>>);

impl BlockSource for FixedSource {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let matchers = matchers.to_vec();
        Ok(Box::new(self.0.iter().filter_map(move |(labels, chunks)| {
            let chunks: Vec<_> =
                chunks.iter().filter(|chunk| chunk.overlaps(range)).cloned().collect();
            let matches =
                |matcher: &Matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default());
            let selected =
                !matchers.is_empty() && !chunks.is_empty() && matchers.iter().all(matches);
            selected.then(|| Ok(ChunkSeries { labels: labels.clone(), chunks }))
        })))
    }
}

/// Encodes samples with ascending timestamps as an XOR chunk.
pub(crate) fn chunk(samples: &[FloatSample]) -> Chunk {
    let mut chunk = XorChunk::new();
    samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    let time = |sample: Option<&FloatSample>| sample.map_or(0, |sample| sample.t);
    Chunk {
        mint: time(samples.first()),
        maxt: time(samples.last()),
        encoding: ChunkEncoding::Xor,
        data: ChunkData::new(chunk.into_bytes()),
        deleted_intervals: None,
    }
}

/// Returns the label set `{a="…"}`.
pub(crate) fn labels(value: &str) -> Labels {
    [("a", value)].into_iter().collect::<LabelsBuilder<'_>>().build().unwrap()
}

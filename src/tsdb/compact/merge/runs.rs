//! Runs of a series: chunks to copy, and ranges to re-encode. Pure.
//!
//! Adjacent ranges that are re-encoded into the same encodings become one run, so that the new
//! chunks are full.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::{EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::merged_series::groups::{OverlapGroup, OverlapGroups};
use crate::tsdb::query::source::Chunk;

/// Part of a series.
#[derive(Debug)]
pub enum MergeRun {
    /// A chunk to copy.
    CopyChunk(Chunk),
    /// Samples that must be re-encoded.
    Reencode(ReencodeRange),
}

/// Range of samples to re-encode.
#[derive(Clone, Copy, Debug)]
pub struct ReencodeRange {
    /// Time range of the samples, inclusive. No chunk of another run overlaps it.
    pub times: TimeRange,
    /// Encodings of the new chunks. With start timestamps, their variants that keep these are used.
    pub encodings: EncodingPolicy,
}

/// Returns the runs of a series within `range`, in time order. `overlapping` is the encoding for
/// floats of overlapping chunks.
#[must_use]
pub fn runs(series: &MergedSeries, range: TimeRange, overlapping: FloatEncoding) -> Vec<MergeRun> {
    let mut runs: Vec<MergeRun> = Vec::new();
    for group in OverlapGroups::new(series, range) {
        match (classify_group(&group, range, overlapping), runs.last_mut()) {
            (MergeRun::Reencode(next), Some(MergeRun::Reencode(open)))
                if next.encodings == open.encodings =>
            {
                open.times.maxt = next.times.maxt;
            }
            (run, _) => runs.push(run),
        }
    }
    runs
}

fn classify_group(
    group: &OverlapGroup<'_>,
    range: TimeRange,
    overlapping: FloatEncoding,
) -> MergeRun {
    let encodings = match group.single_chunk() {
        Some(chunk) if chunk.is_fully_selected(range) => {
            return MergeRun::CopyChunk(Chunk { deleted_intervals: None, ..chunk.clone() });
        }
        Some(chunk) => EncodingPolicy::from_encoding(chunk.encoding),
        None => {
            EncodingPolicy { floats: overlapping, histogram_st_mode: HistogramStMode::WithoutSt }
        }
    };
    let times =
        TimeRange::new(group.range().mint.max(range.mint), group.range().maxt.min(range.maxt));
    MergeRun::Reencode(ReencodeRange { times, encodings })
}

//! Which chunks of a series can be taken over as they are, and which are to be encoded anew. Pure.
//!
//! Neighbours that are all encoded anew, into the same encodings, become one run, so that its chunks are full.

use crate::model::time::TimeRange;
use crate::tsdb::chunk::any_chunk::{EncodingPolicy, HistogramStMode};
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::merged_series::groups::OverlapGroup;
use crate::tsdb::query::source::Chunk;

/// A part of a series.
#[derive(Debug)]
pub enum MergeRun {
    /// One chunk, to be taken over.
    CopyChunk(Chunk),
    /// Points to be encoded anew.
    Reencode(ReencodeRange),
}

/// Points that are to be encoded anew.
#[derive(Clone, Copy, Debug)]
pub struct ReencodeRange {
    /// The times, both ends included, that hold these points and no chunk of another run.
    pub times: TimeRange,
    /// Into what, where no start times are known; where some are, into what has a place for them.
    pub encodings: EncodingPolicy,
}

/// The runs of a series within `range`, in the order of time; `overlapping` is the encoding of floats that overlap.
#[must_use]
pub fn runs(series: &MergedSeries, range: TimeRange, overlapping: FloatEncoding) -> Vec<MergeRun> {
    let mut runs: Vec<MergeRun> = Vec::new();
    for group in series.groups(range) {
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

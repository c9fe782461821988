//! Answering `thanos.Store/MergedSeries`: the messages of the answer (`thanos.SeriesResponse`), one after the other.
//!
//! A message has one series, or where the client wants batches so many of them. A series that is too large for a message goes on in the next
//! one, with its labels again, as Thanos's own stores split it (`pkg/store/tsdb.go`). Chunks are untrimmed, and in encodings that every
//! version of Thanos knows. Series are sorted by the labels of the answer, which is what a querier's merge goes by.
//!
//! In memory are the chunks of one message, most of them as pins on mapped files; their bytes are copied once, into the buffer of who sends
//! them. Only where selected series have a label that the answer lacks or replaces are all gathered first, within a bound (see `label_order`).
//! Blocks its thread.

use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::remote::pb::thanos as pb;
use crate::remote::read::ReadSource;
use crate::remote::read_request::{ReadAbort, RemoteReadError};
use crate::remote::thanos::label_order::{
    BufferedChunks, BufferedSeries, LabelInsertIter, OutputSeries, SortBudget, SortSink,
    sort_buffered,
};
use crate::remote::thanos::selection::{LabelRewrite, QueryShard, SeriesSelection, check_list_len};
use crate::remote::thanos::series_message::{SeriesMessage, SeriesPart, aggr_chunk_len};
use crate::tsdb::query::chunk_iter::SupportedEncodings;
use crate::tsdb::query::label_source::{LabelQueryError, LabelQueryLimits};
use crate::tsdb::query::merged_series::MergedSeries;

/// A message ends when the chunks of its series have so many bytes.
const MESSAGE_BYTES: usize = 1 << 20;
/// Most series in a batch.
const MAX_BATCH: i64 = 1000;
/// Memory for series that are gathered to be sorted: for all of it, and for those with chunks.
const SORT_ROOM: SortBudget = SortBudget { most: 48 << 20, with_chunks: 24 << 20 };

/// Why a request for series has no answer, or none that is whole.
#[derive(Debug, thiserror::Error)]
pub enum StoreSeriesError {
    /// As for any read.
    #[error(transparent)]
    Read(#[from] RemoteReadError),
    /// Nothing is left that would select anything.
    #[error("no matchers specified (excluding external labels)")]
    NoMatchers,
}

/// Who takes the messages of an answer.
pub trait SeriesSink {
    /// Whether more is wanted; asked at each series.
    ///
    /// # Errors
    /// [`ReadAbort`] ends the answer.
    fn check(&mut self) -> Result<(), ReadAbort>;

    /// Sets memory aside until the answer is made.
    ///
    /// # Errors
    /// [`ReadAbort::Busy`] ends the answer.
    fn reserve(&mut self, bytes: usize) -> Result<(), ReadAbort>;

    /// Takes a message.
    ///
    /// # Errors
    /// [`ReadAbort`] ends the answer.
    fn message(&mut self, message: &SeriesMessage<'_>) -> Result<(), ReadAbort>;
}

/// Answers a request. Nothing is sent where it is wrong.
///
/// # Errors
/// [`StoreSeriesError`]; where something was sent already the answer is cut off and must not look whole.
pub fn read_series(
    source: &ReadSource<'_>,
    request: &pb::SeriesRequest,
    sink: &mut dyn SeriesSink,
) -> Result<(), StoreSeriesError> {
    check_list_len(&request.without_replica_labels, "labels to leave out")?;
    let shard = QueryShard::from_wire(request.shard_info.as_ref())?;
    let matchers = match SeriesSelection::from_wire(&request.matchers, &source.external)? {
        SeriesSelection::Nothing => return Ok(()),
        SeriesSelection::Matching(matchers) if matchers.is_empty() => {
            return Err(StoreSeriesError::NoMatchers);
        }
        SeriesSelection::Matching(matchers) => matchers,
    };
    let range = TimeRange::new(request.min_time, request.max_time);
    let naming = LabelRewrite::new(&source.external, &request.without_replica_labels);
    let query = StoreQuery { matchers, range };
    let mut answer = SeriesResponseBuilder {
        sink,
        shard,
        range,
        chunks: if request.skip_chunks { ChunkMode::Skipped } else { ChunkMode::Sent },
        left: u64::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX),
        batch: request.response_batch_size.clamp(1, MAX_BATCH) as usize,
        parts: Vec::new(),
        bytes: 0,
    };
    let stored = select_stored(source, &query)?;
    // Asked after the series were picked: none of them is unknown to the labels then.
    if affects_series(source, &query, &naming)? {
        answer.add_gathered(source, stored, &naming)?;
    } else {
        answer.add_streamed(stored, &naming)?;
    }
    Ok(answer.send()?)
}

/// What is selected.
struct StoreQuery {
    matchers: Vec<Matcher>,
    range: TimeRange,
}

type NamedSeries<'a> = Box<dyn Iterator<Item = Result<OutputSeries, RemoteReadError>> + 'a>;

/// The series as they are stored.
fn select_stored<'a>(
    source: &ReadSource<'a>,
    query: &StoreQuery,
) -> Result<NamedSeries<'a>, RemoteReadError> {
    Ok(Box::new(source.db.querier().select(&query.matchers, query.range)?.map(|series| {
        let series = series?;
        Ok(OutputSeries { labels: series.labels().clone(), series })
    })))
}

/// Whether a selected series has a label that the answer lacks or replaces. That no series has it is known at once.
fn affects_series(
    source: &ReadSource<'_>,
    query: &StoreQuery,
    naming: &LabelRewrite,
) -> Result<bool, RemoteReadError> {
    for name in naming.affected_names() {
        if has_label(source, query, name, &[])? && has_label(source, query, name, &query.matchers)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_label(
    source: &ReadSource<'_>,
    query: &StoreQuery,
    name: &str,
    matchers: &[Matcher],
) -> Result<bool, RemoteReadError> {
    let limit = LabelQueryLimits { count: 1, bytes: SORT_ROOM.most };
    match source.db.querier().label_values(name, matchers, query.range, limit) {
        Ok(values) => Ok(!values.is_empty()),
        Err(LabelQueryError::TooLarge(_) | LabelQueryError::Busy) => Ok(true),
        Err(LabelQueryError::Query(error)) => Err(error.into()),
    }
}

/// A series once more, by its own labels.
fn select_one(
    source: &ReadSource<'_>,
    stored: &Labels,
    range: TimeRange,
) -> Result<Option<MergedSeries>, RemoteReadError> {
    let equal = |(name, value): (&str, &str)| Matcher::new(MatchType::Equal, name, value);
    let matchers = stored.iter().map(equal).collect::<Result<Vec<_>, _>>()?;
    for series in source.db.querier().select(&matchers, range)? {
        let series = series?;
        // Others may have these labels and more.
        if series.labels() == stored {
            return Ok(Some(series));
        }
    }
    Ok(None)
}

/// Whether chunks are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChunkMode {
    Sent,
    Skipped,
}

/// An answer while it is made.
struct SeriesResponseBuilder<'a> {
    sink: &'a mut dyn SeriesSink,
    shard: Option<QueryShard>,
    range: TimeRange,
    chunks: ChunkMode,
    /// So many series may follow.
    left: u64,
    batch: usize,
    /// Those of the next message.
    parts: Vec<SeriesPart>,
    /// Of the chunks in it.
    bytes: usize,
}

impl SortSink for SeriesResponseBuilder<'_> {
    fn accepts(&mut self, labels: &Labels) -> Result<bool, RemoteReadError> {
        self.sink.check()?;
        Ok(self.shard.as_mut().is_none_or(|shard| shard.contains(labels)))
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), RemoteReadError> {
        Ok(self.sink.reserve(bytes)?)
    }
}

impl SeriesResponseBuilder<'_> {
    /// Adds series as they come: their places are those of the stored ones, but for a few.
    fn add_streamed(
        &mut self,
        stored: NamedSeries<'_>,
        naming: &LabelRewrite,
    ) -> Result<(), RemoteReadError> {
        let mut series = stored;
        for (name, _) in naming.added().iter() {
            series = Box::new(LabelInsertIter::new(series, name, naming.clone()));
        }
        for named in series {
            let named = named?;
            if self.accepts(&named.labels)? && !self.add(&named)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds series when all are known.
    fn add_gathered(
        &mut self,
        source: &ReadSource<'_>,
        stored: NamedSeries<'_>,
        naming: &LabelRewrite,
    ) -> Result<(), RemoteReadError> {
        for BufferedSeries { labels, chunks } in sort_buffered(stored, naming, SORT_ROOM, self)? {
            self.sink.check()?;
            let series = match chunks {
                BufferedChunks::Series(series) => Some(series),
                BufferedChunks::Labels(stored) => select_one(source, &stored, self.range)?,
            };
            if let Some(series) = series
                && !self.add(&OutputSeries { labels, series })?
            {
                break;
            }
        }
        Ok(())
    }

    /// Adds a series; `false` where no more are wanted.
    fn add(&mut self, named: &OutputSeries) -> Result<bool, RemoteReadError> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        let mut part = SeriesPart { labels: named.labels.clone(), chunks: Vec::new() };
        if self.chunks == ChunkMode::Skipped {
            self.push(part)?;
            return Ok(true);
        }
        let labels_bytes = part.labels.as_bytes().len();
        let mut bytes = labels_bytes;
        for chunk in named.series.encoded_chunks(self.range, SupportedEncodings::Baseline) {
            let chunk = chunk?;
            if bytes >= MESSAGE_BYTES {
                let full = SeriesPart {
                    labels: part.labels.clone(),
                    chunks: std::mem::take(&mut part.chunks),
                };
                self.push(full)?;
                self.send()?;
                bytes = labels_bytes;
            }
            bytes += aggr_chunk_len(&chunk);
            part.chunks.push(chunk);
        }
        if !part.chunks.is_empty() {
            self.push(part)?;
        }
        Ok(true)
    }

    fn push(&mut self, part: SeriesPart) -> Result<(), RemoteReadError> {
        self.bytes += part.len();
        self.parts.push(part);
        if self.parts.len() >= self.batch || self.bytes >= MESSAGE_BYTES {
            self.send()
        } else {
            Ok(())
        }
    }

    fn send(&mut self) -> Result<(), RemoteReadError> {
        if !self.parts.is_empty() {
            self.sink.message(&SeriesMessage { parts: &self.parts, is_batch: self.batch > 1 })?;
            self.parts.clear();
            self.bytes = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

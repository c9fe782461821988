//! Response to `thanos.Store/Series`: messages of type `thanos.SeriesResponse`.
//!
//! # Messages
//! A message has one series, or up to a batch of them if the client asks for batches. A series that
//! exceeds a message continues in the next one, with its labels repeated, as in Thanos's stores
//! (`pkg/store/tsdb.go`). Chunks are not trimmed, and their encodings are known to every version of
//! Thanos. Series are sorted by the labels of the response, which a querier's merge requires.
//!
//! # Memory
//! The chunks of one message, mostly as pins of mapped files; their bytes are copied once, into the
//! buffer of the sink. If selected series have a label that the response removes or replaces, all
//! series are buffered first, within a limit (see `label_order`). Blocks its thread.

use crate::model::labels::Labels;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::remote::pb::thanos as pb;
use crate::remote::read::ReadSource;
use crate::remote::read::read_request::{ReadAbort, RemoteReadError};
use crate::remote::thanos::label_order::{
    BufferedChunks, BufferedSeries, LabelInsertIter, OutputSeries, SortBudget, SortSink,
    sort_buffered,
};
use crate::remote::thanos::selection::{LabelRewrite, QueryShard, SeriesSelection, check_list_len};
use crate::remote::thanos::series_message::{SeriesMessage, SeriesPart, aggr_chunk_len};
use crate::tsdb::db::querier::Querier;
use crate::tsdb::db::{LabelQueryError, LabelQueryLimits, MergedSeries, SupportedEncodings};

/// Size of the chunks at which a message ends, bytes.
const MESSAGE_BYTES: usize = 1 << 20;
/// Maximum number of series in a batch.
const MAX_BATCH: i64 = 1000;
/// Limits of the memory for series that are buffered to be sorted.
const SORT_BUDGET: SortBudget = SortBudget { max_bytes: 48 << 20, with_chunks: 24 << 20 };

/// Error of a series request.
#[derive(Debug, thiserror::Error)]
pub enum StoreSeriesError {
    /// An error of any read.
    #[error(transparent)]
    Read(#[from] RemoteReadError),
    /// No matcher remains for the stored series.
    #[error("no matchers specified (excluding external labels)")]
    NoMatchers,
}

/// Receiver of the messages of a response.
pub trait SeriesSink {
    /// Checks if the response is still needed; called for each series.
    ///
    /// # Errors
    /// [`ReadAbort`] ends the response.
    fn check(&mut self) -> Result<(), ReadAbort>;

    /// Reserves memory until the response is complete.
    ///
    /// # Errors
    /// [`ReadAbort::Busy`] ends the response.
    fn reserve(&mut self, bytes: usize) -> Result<(), ReadAbort>;

    /// Receives the next message of the response.
    ///
    /// # Errors
    /// [`ReadAbort`] ends the response.
    fn message(&mut self, message: &SeriesMessage<'_>) -> Result<(), ReadAbort>;
}

/// Sends the series that `request` selects to `sink`. An invalid request sends nothing.
///
/// # Errors
/// [`StoreSeriesError`]; a response that has begun is truncated then and must not appear complete.
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
    let rewrite = LabelRewrite::new(&source.external, &request.without_replica_labels);
    let query = StoreQuery { matchers, range };
    let mut builder = SeriesResponseBuilder {
        sink,
        shard,
        range,
        chunks: if request.skip_chunks { ChunkMode::Skipped } else { ChunkMode::Sent },
        remaining: u64::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX),
        batch: request.response_batch_size.clamp(1, MAX_BATCH) as usize,
        parts: Vec::new(),
        bytes: 0,
    };
    let querier = source.db.querier();
    let stored = select_stored(&querier, &query)?;
    // Checked after the selection, so that the label query covers every selected series.
    if affects_series(&querier, &query, &rewrite)? {
        builder.add_buffered(&querier, stored, &rewrite)?;
    } else {
        builder.add_streamed(stored, &rewrite)?;
    }
    Ok(builder.send()?)
}

/// Matchers and time range of a request.
struct StoreQuery {
    matchers: Vec<Matcher>,
    range: TimeRange,
}

type NamedSeries<'a> = Box<dyn Iterator<Item = Result<OutputSeries, RemoteReadError>> + 'a>;

/// Returns the selected series with their stored labels.
fn select_stored<'a>(
    querier: &Querier<'a>,
    query: &StoreQuery,
) -> Result<NamedSeries<'a>, RemoteReadError> {
    Ok(Box::new(querier.select(&query.matchers, query.range)?.map(|series| {
        let series = series?;
        Ok(OutputSeries { labels: series.labels().clone(), series })
    })))
}

/// Returns `true` if a selected series has a label that the response removes or replaces.
///
/// The first query is cheap if no series has the label.
fn affects_series(
    querier: &Querier<'_>,
    query: &StoreQuery,
    rewrite: &LabelRewrite,
) -> Result<bool, RemoteReadError> {
    for name in rewrite.affected_names() {
        if has_label(querier, query, name, &[])?
            && has_label(querier, query, name, &query.matchers)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_label(
    querier: &Querier<'_>,
    query: &StoreQuery,
    name: &str,
    matchers: &[Matcher],
) -> Result<bool, RemoteReadError> {
    let limit = LabelQueryLimits { count: 1, bytes: SORT_BUDGET.max_bytes };
    match querier.label_values(name, matchers, query.range, limit) {
        Ok(values) => Ok(!values.is_empty()),
        Err(LabelQueryError::TooLarge(_) | LabelQueryError::Busy) => Ok(true),
        Err(LabelQueryError::Query(error)) => Err(error.into()),
    }
}

/// Selects one series again by its stored labels.
fn select_one(
    querier: &Querier<'_>,
    stored: &Labels,
    range: TimeRange,
) -> Result<Option<MergedSeries>, RemoteReadError> {
    let equal = |(name, value): (&str, &str)| Matcher::new(MatchType::Equal, name, value);
    let matchers = stored.iter().map(equal).collect::<Result<Vec<_>, _>>()?;
    for series in querier.select(&matchers, range)? {
        let series = series?;
        // Other series may have these labels and more.
        if series.labels() == stored {
            return Ok(Some(series));
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ChunkMode {
    Sent,
    Skipped,
}

/// Builder of the messages of a response.
struct SeriesResponseBuilder<'a> {
    sink: &'a mut dyn SeriesSink,
    shard: Option<QueryShard>,
    range: TimeRange,
    chunks: ChunkMode,
    /// Remaining number of series.
    remaining: u64,
    batch: usize,
    /// Parts of the next message.
    parts: Vec<SeriesPart>,
    /// Length of these parts, bytes.
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
    /// Adds series as they are selected; added labels change their order only slightly.
    fn add_streamed(
        &mut self,
        stored: NamedSeries<'_>,
        rewrite: &LabelRewrite,
    ) -> Result<(), RemoteReadError> {
        let mut series = stored;
        for (name, _) in rewrite.added().iter() {
            series = Box::new(LabelInsertIter::new(series, name, rewrite.clone()));
        }
        for named in series {
            let named = named?;
            if self.accepts(&named.labels)? && !self.add(&named)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds series after all of them were buffered and sorted.
    fn add_buffered(
        &mut self,
        querier: &Querier<'_>,
        stored: NamedSeries<'_>,
        rewrite: &LabelRewrite,
    ) -> Result<(), RemoteReadError> {
        for BufferedSeries { labels, chunks } in sort_buffered(stored, rewrite, SORT_BUDGET, self)?
        {
            self.sink.check()?;
            let series = match chunks {
                BufferedChunks::Series(series) => Some(series),
                BufferedChunks::Labels(stored) => select_one(querier, &stored, self.range)?,
            };
            if let Some(series) = series
                && !self.add(&OutputSeries { labels, series })?
            {
                break;
            }
        }
        Ok(())
    }

    /// Adds a series. Returns `false` if the limit of the request was reached before.
    fn add(&mut self, named: &OutputSeries) -> Result<bool, RemoteReadError> {
        if self.remaining == 0 {
            return Ok(false);
        }
        self.remaining -= 1;
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
mod tests;

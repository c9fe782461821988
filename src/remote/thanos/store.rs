//! Answering `thanos.Store/Series`: the messages of the answer (`thanos.SeriesResponse`), one after the other.
//!
//! A message has one series, or where the client wants batches so many of them. A series that is too large for a message goes on in the next
//! one, with its labels again, as Thanos's own stores split it (`pkg/store/tsdb.go`). Chunks are untrimmed, and in encodings that every
//! version of Thanos knows. Series are sorted by the labels of the answer, which is what a querier's merge goes by.
//!
//! In memory are the chunks of one message, most of them as pins on mapped files; their bytes are copied once, into the buffer of who sends
//! them. Only where selected series have a label that the answer lacks or replaces are all gathered first, within a bound (see `order`).
//! Blocks its thread.

use crate::model::labels::Labels;
use crate::model::matcher::{MatchKind, Matcher};
use crate::model::time::TimeRange;
use crate::remote::pb::thanos as pb;
use crate::remote::read::ReadSource;
use crate::remote::read_request::{ReadError, Stop};
use crate::remote::thanos::order::{Gathered, Inserted, Kept, Named, Room, Taker, gather};
use crate::remote::thanos::selection::{Naming, Selected, Shard, bounded};
use crate::remote::thanos::series_message::{Part, SeriesMessage, aggr_chunk_len};
use crate::tsdb::query::encoded::Readable;
use crate::tsdb::query::labels::{LabelError, LabelLimit};
use crate::tsdb::query::samples::Series;

/// A message ends when the chunks of its series have so many bytes.
const MESSAGE_BYTES: usize = 1 << 20;
/// Most series in a batch.
const MAX_BATCH: i64 = 1000;
/// Memory for series that are gathered to be sorted: for all of it, and for those with chunks.
const SORT_ROOM: Room = Room { most: 48 << 20, with_chunks: 24 << 20 };

/// Why a request for series has no answer, or none that is whole.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// As for any read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing is left that would select anything.
    #[error("no matchers specified (excluding external labels)")]
    NoMatchers,
}

/// Who takes the messages of an answer.
pub trait SeriesSink {
    /// Whether more is wanted; asked at each series.
    ///
    /// # Errors
    /// [`Stop`] ends the answer.
    fn check(&mut self) -> Result<(), Stop>;

    /// Sets memory aside until the answer is made.
    ///
    /// # Errors
    /// [`Stop::Busy`] ends the answer.
    fn reserve(&mut self, bytes: usize) -> Result<(), Stop>;

    /// Takes a message.
    ///
    /// # Errors
    /// [`Stop`] ends the answer.
    fn message(&mut self, message: &SeriesMessage<'_>) -> Result<(), Stop>;
}

/// Answers a request. Nothing is sent where it is wrong.
///
/// # Errors
/// [`SeriesError`]; where something was sent already the answer is cut off and must not look whole.
pub fn answer_series(
    source: &ReadSource<'_>,
    request: &pb::SeriesRequest,
    sink: &mut dyn SeriesSink,
) -> Result<(), SeriesError> {
    bounded(&request.without_replica_labels, "labels to leave out")?;
    let shard = Shard::of(request.shard_info.as_ref())?;
    let matchers = match Selected::of(&request.matchers, &source.external)? {
        Selected::Nothing => return Ok(()),
        Selected::Matching(matchers) if matchers.is_empty() => return Err(SeriesError::NoMatchers),
        Selected::Matching(matchers) => matchers,
    };
    let range = TimeRange::new(request.min_time, request.max_time);
    let naming = Naming::new(&source.external, &request.without_replica_labels);
    let query = Query { matchers, range };
    let mut answer = Answer {
        sink,
        shard,
        range,
        chunks: if request.skip_chunks { Chunks::Skipped } else { Chunks::Sent },
        left: u64::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX),
        batch: request.response_batch_size.clamp(1, MAX_BATCH) as usize,
        parts: Vec::new(),
        bytes: 0,
    };
    let stored = stored(source, &query)?;
    // Asked after the series were picked: none of them is unknown to the labels then.
    if has_touched(source, &query, &naming)? {
        answer.add_gathered(source, stored, &naming)?;
    } else {
        answer.add_streamed(stored, &naming)?;
    }
    Ok(answer.send()?)
}

/// What is selected.
struct Query {
    matchers: Vec<Matcher>,
    range: TimeRange,
}

type NamedSeries<'a> = Box<dyn Iterator<Item = Result<Named, ReadError>> + 'a>;

/// The series as they are stored.
fn stored<'a>(source: &ReadSource<'a>, query: &Query) -> Result<NamedSeries<'a>, ReadError> {
    Ok(Box::new(source.db.querier().select(&query.matchers, query.range)?.map(|series| {
        let series = series?;
        Ok(Named { labels: series.labels().clone(), series })
    })))
}

/// Whether a selected series has a label that the answer lacks or replaces. That no series has it is known at once.
fn has_touched(source: &ReadSource<'_>, query: &Query, naming: &Naming) -> Result<bool, ReadError> {
    for name in naming.touched() {
        if has_label(source, query, name, &[])? && has_label(source, query, name, &query.matchers)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_label(source: &ReadSource<'_>, query: &Query, name: &str, matchers: &[Matcher]) -> Result<bool, ReadError> {
    let limit = LabelLimit { count: 1, bytes: SORT_ROOM.most };
    match source.db.querier().label_values(name, matchers, query.range, limit) {
        Ok(values) => Ok(!values.is_empty()),
        Err(LabelError::TooLarge(_) | LabelError::Busy) => Ok(true),
        Err(LabelError::Query(error)) => Err(error.into()),
    }
}

/// A series once more, by its own labels.
fn look_up(source: &ReadSource<'_>, stored: &Labels, range: TimeRange) -> Result<Option<Series>, ReadError> {
    let equal = |(name, value): (&str, &str)| Matcher::new(MatchKind::Equal, name, value);
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
enum Chunks {
    Sent,
    Skipped,
}

/// An answer while it is made.
struct Answer<'a> {
    sink: &'a mut dyn SeriesSink,
    shard: Option<Shard>,
    range: TimeRange,
    chunks: Chunks,
    /// So many series may follow.
    left: u64,
    batch: usize,
    /// Those of the next message.
    parts: Vec<Part>,
    /// Of the chunks in it.
    bytes: usize,
}

impl Taker for Answer<'_> {
    fn wants(&mut self, labels: &Labels) -> Result<bool, ReadError> {
        self.sink.check()?;
        Ok(self.shard.as_mut().is_none_or(|shard| shard.has(labels)))
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), ReadError> {
        Ok(self.sink.reserve(bytes)?)
    }
}

impl Answer<'_> {
    /// Adds series as they come: their places are those of the stored ones, but for a few.
    fn add_streamed(&mut self, stored: NamedSeries<'_>, naming: &Naming) -> Result<(), ReadError> {
        let mut series = stored;
        for (name, _) in naming.added().iter() {
            series = Box::new(Inserted::new(series, name, naming.clone()));
        }
        for named in series {
            let named = named?;
            if self.wants(&named.labels)? && !self.add(&named)? {
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
        naming: &Naming,
    ) -> Result<(), ReadError> {
        for Gathered { labels, chunks } in gather(stored, naming, SORT_ROOM, self)? {
            self.sink.check()?;
            let series = match chunks {
                Kept::Series(series) => Some(series),
                Kept::Labels(stored) => look_up(source, &stored, self.range)?,
            };
            if let Some(series) = series
                && !self.add(&Named { labels, series })?
            {
                break;
            }
        }
        Ok(())
    }

    /// Adds a series; `false` where no more are wanted.
    fn add(&mut self, named: &Named) -> Result<bool, ReadError> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        let mut part = Part { labels: named.labels.clone(), chunks: Vec::new() };
        if self.chunks == Chunks::Skipped {
            self.push(part)?;
            return Ok(true);
        }
        let labels_bytes = part.labels.as_packed().len();
        let mut bytes = labels_bytes;
        for chunk in named.series.encoded(self.range, Readable::Classic) {
            let chunk = chunk?;
            if bytes >= MESSAGE_BYTES {
                let full = Part { labels: part.labels.clone(), chunks: std::mem::take(&mut part.chunks) };
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

    fn push(&mut self, part: Part) -> Result<(), ReadError> {
        self.bytes += part.len();
        self.parts.push(part);
        if self.parts.len() >= self.batch || self.bytes >= MESSAGE_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), ReadError> {
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

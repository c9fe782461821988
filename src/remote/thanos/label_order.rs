//! Series with the labels of an answer, in the order of those: what is sorted by the stored labels, made sorted by the new ones.
//!
//! Adding a label `L` to every series changes little of their order. Two series whose labels differ before `L`, or behind it, keep their places. Only
//! where all names of one come before `L`, and the other has these labels and more, the next of which comes before `L` too, they change:
//!
//! ```text
//! stored                         with c="x"
//! {a="1"}                        {a="1", b="1", c="x"}
//! {a="1", b="1"}                 {a="1", b="1", c="x", d="1"}
//! {a="1", b="1", d="1"}          {a="1", c="x"}
//! {a="1", d="1"}                 {a="1", c="x", d="1"}
//! ```
//!
//! So a series is held back as long as such others come. Held back are series each of which begins as the one before, so there
//! are no more of them than a series has labels: [`LabelInsertIter`] streams. One of these for each label that is added.
//!
//! A label that is removed or replaced may change every place. Then all series are gathered and sorted ([`sort_buffered`]), within a bound: the labels of all,
//! and the chunks (most often pins on mapped files) of as many as have room. The chunks of the others are looked up once more, series by
//! series, when their turn comes.

use crate::model::labels::Labels;
use crate::remote::read_request::RemoteReadError;
use crate::remote::thanos::selection::LabelRewrite;
use crate::tsdb::query::merged_series::MergedSeries;
use std::collections::VecDeque;

/// What a series that is gathered costs in memory besides its labels and chunks, bytes, roughly; what a chunk costs besides its bytes, which are
/// mapped; and the chunk of the head that grows, which is a copy.
const SERIES_BYTES: usize = 200;
const CHUNK_BYTES: usize = 120;
const OPEN_CHUNK_BYTES: usize = 1024;

/// A series with its labels in the answer.
pub(crate) struct OutputSeries {
    pub(crate) labels: Labels,
    pub(crate) series: MergedSeries,
}

/// Series in the order of the labels that they have with `name` added.
pub(crate) struct LabelInsertIter<I> {
    input: I,
    name: String,
    naming: LabelRewrite,
    /// Each begins as the one before.
    delayed: Vec<OutputSeries>,
    ready: VecDeque<OutputSeries>,
}

impl<I: Iterator<Item = Result<OutputSeries, RemoteReadError>>> LabelInsertIter<I> {
    /// Adds the label `name`, which no series of `input` has, with the value that `naming` adds; `input` is sorted.
    pub(crate) fn new(input: I, name: &str, naming: LabelRewrite) -> Self {
        Self { input, name: name.to_owned(), naming, delayed: Vec::new(), ready: VecDeque::new() }
    }

    /// Takes the next series; what was held back for others like it is ready where this is none.
    fn enqueue(&mut self, next: OutputSeries) {
        while let Some(last) =
            self.delayed.pop_if(|held| !must_precede(&next.labels, &held.labels, &self.name))
        {
            self.mark_ready(last);
        }
        if next.labels.iter().last().is_none_or(|(name, _)| name < self.name.as_str()) {
            self.delayed.push(next);
        } else {
            self.mark_ready(next);
        }
    }

    fn mark_ready(&mut self, mut named: OutputSeries) {
        named.labels = self.naming.insert_label(&named.labels, &self.name);
        self.ready.push_back(named);
    }
}

impl<I: Iterator<Item = Result<OutputSeries, RemoteReadError>>> Iterator for LabelInsertIter<I> {
    type Item = Result<OutputSeries, RemoteReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(Ok(ready));
            }
            match self.input.next() {
                Some(Ok(next)) => self.enqueue(next),
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let last = self.delayed.pop()?;
                    self.mark_ready(last);
                }
            }
        }
    }
}

/// Whether `later`, which comes behind `delayed` as they are, comes before it when both have the label `name`.
fn must_precede(later: &Labels, held: &Labels, name: &str) -> bool {
    later.as_bytes().starts_with(held.as_bytes())
        && later.iter().nth(held.iter().count()).is_some_and(|(next, _)| next < name)
}

/// A series that was gathered.
pub(crate) struct BufferedSeries {
    pub(crate) labels: Labels,
    pub(crate) chunks: BufferedChunks,
}

/// What is kept of a series beside its labels in the answer.
pub(crate) enum BufferedChunks {
    /// All.
    Series(MergedSeries),
    /// Its own labels, to look it up by.
    Labels(Labels),
}

/// Bounds of what is gathered, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortBudget {
    /// For all of it.
    pub(crate) most: usize,
    /// After so many only labels are kept.
    pub(crate) with_chunks: usize,
}

/// All series that `accepts` their new labels, sorted by them; equal ones stand side by side. `reserve` is asked for memory as it is taken.
///
/// # Errors
/// [`RemoteReadError::AnswerLimit`] where there is no room for all; [`RemoteReadError::Query`]; what `accepts` and `reserve` end with.
pub(crate) fn sort_buffered(
    input: impl Iterator<Item = Result<OutputSeries, RemoteReadError>>,
    naming: &LabelRewrite,
    room: SortBudget,
    taker: &mut dyn SortSink,
) -> Result<Vec<BufferedSeries>, RemoteReadError> {
    let (mut all, mut bytes) = (Vec::new(), 0usize);
    for named in input {
        let OutputSeries { labels: stored, series } = named?;
        let Some(labels) = naming.apply(&stored) else { continue };
        if !taker.accepts(&labels)? {
            continue;
        }
        let of_labels = SERIES_BYTES + labels.as_bytes().len() + stored.as_bytes().len();
        let of_chunks = OPEN_CHUNK_BYTES + CHUNK_BYTES * series.chunks().len();
        let keeps_chunks = bytes + of_labels + of_chunks <= room.with_chunks;
        let more = if keeps_chunks { of_labels + of_chunks } else { of_labels };
        bytes += more;
        if bytes > room.most {
            return Err(RemoteReadError::AnswerLimit(room.most));
        }
        taker.reserve(more)?;
        let chunks = if keeps_chunks {
            BufferedChunks::Series(series)
        } else {
            BufferedChunks::Labels(stored)
        };
        all.push(BufferedSeries { labels, chunks });
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

/// Who takes what is gathered.
pub(crate) trait SortSink {
    /// Whether a series with these labels is wanted.
    ///
    /// # Errors
    /// Where nothing more is wanted at all.
    fn accepts(&mut self, labels: &Labels) -> Result<bool, RemoteReadError>;

    /// Sets memory aside.
    ///
    /// # Errors
    /// Where there is none.
    fn reserve(&mut self, bytes: usize) -> Result<(), RemoteReadError>;
}

#[cfg(test)]
#[path = "label_order_tests.rs"]
mod tests;

//! Order of series by the labels of the response.
//!
//! # Added labels
//! The stored order changes little if a label `L` is added to every series. Two series whose labels
//! differ before or after `L` keep their order. It changes only if all names of one series precede
//! `L`, and the other one has the same labels and more, the next of which also precedes `L`:
//!
//! ```text
//! stored                         with c="x"
//! {a="1"}                        {a="1", b="1", c="x"}
//! {a="1", b="1"}                 {a="1", b="1", c="x", d="1"}
//! {a="1", b="1", d="1"}          {a="1", c="x"}
//! {a="1", d="1"}                 {a="1", c="x", d="1"}
//! ```
//!
//! [`LabelInsertIter`] delays a series while such series follow. Each delayed series has the labels
//! of the one before and more, so there are at most as many as a series has labels. Each added
//! label needs one iterator.
//!
//! # Removed and replaced labels
//! They may change the order of all series. [`sort_buffered`] then buffers and sorts them within a
//! limit: all labels, and the chunks (mostly pins of mapped files) of as many series as fit. The
//! chunks of the others are selected again, series by series.

use crate::model::labels::Labels;
use crate::remote::read::read_request::RemoteReadError;
use crate::remote::thanos::selection::LabelRewrite;
use crate::tsdb::db::MergedSeries;
use std::collections::VecDeque;

/// Estimated memory of a buffered series without labels and chunks, of a mapped chunk, and of the
/// copied open chunk, bytes.
const SERIES_BYTES: usize = 200;
const CHUNK_BYTES: usize = 120;
const OPEN_CHUNK_BYTES: usize = 1024;

/// A series with its labels in the response.
pub(crate) struct OutputSeries {
    pub(crate) labels: Labels,
    pub(crate) series: MergedSeries,
}

/// Iterator that adds the label `name` to sorted series and keeps them sorted.
pub(crate) struct LabelInsertIter<I> {
    input: I,
    name: String,
    rewrite: LabelRewrite,
    /// Delayed series; each has the labels of the one before and more.
    delayed: Vec<OutputSeries>,
    ready: VecDeque<OutputSeries>,
}

impl<I: Iterator<Item = Result<OutputSeries, RemoteReadError>>> LabelInsertIter<I> {
    /// Adds the label `name` of `rewrite` to `input`, which is sorted and has no such label.
    pub(crate) fn new(input: I, name: &str, rewrite: LabelRewrite) -> Self {
        Self { input, name: name.to_owned(), rewrite, delayed: Vec::new(), ready: VecDeque::new() }
    }

    /// Processes the next series. Delayed series that it does not precede become ready.
    fn enqueue(&mut self, next: OutputSeries) {
        while let Some(last) =
            self.delayed.pop_if(|delayed| !must_precede(&next.labels, &delayed.labels, &self.name))
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
        named.labels = self.rewrite.insert_label(&named.labels, &self.name);
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

/// Returns `true` if `later` precedes `delayed` once both have the label `name`.
fn must_precede(later: &Labels, delayed: &Labels, name: &str) -> bool {
    later.as_bytes().starts_with(delayed.as_bytes())
        && later.iter().nth(delayed.iter().count()).is_some_and(|(next, _)| next < name)
}

/// A series that was buffered to be sorted.
pub(crate) struct BufferedSeries {
    pub(crate) labels: Labels,
    pub(crate) chunks: BufferedChunks,
}

/// Chunks of a buffered series, or the labels to select them again.
pub(crate) enum BufferedChunks {
    /// Series with all its chunks.
    Series(MergedSeries),
    /// Stored labels, to select the series again.
    Labels(Labels),
}

/// Limits of the memory for buffered series, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortBudget {
    /// Maximum memory of all buffered series.
    pub(crate) max_bytes: usize,
    /// Memory beyond which only labels are kept.
    pub(crate) with_chunks: usize,
}

/// Returns all accepted series, sorted by their new labels; equal ones are adjacent.
///
/// `sink` decides on each series and reserves the memory.
///
/// # Errors
/// [`RemoteReadError::ResponseLimit`] beyond `budget.max_bytes`; [`RemoteReadError::Query`]; errors
/// of `sink`.
pub(crate) fn sort_buffered(
    input: impl Iterator<Item = Result<OutputSeries, RemoteReadError>>,
    rewrite: &LabelRewrite,
    budget: SortBudget,
    sink: &mut dyn SortSink,
) -> Result<Vec<BufferedSeries>, RemoteReadError> {
    let (mut all, mut bytes) = (Vec::new(), 0usize);
    for named in input {
        let OutputSeries { labels: stored, series } = named?;
        let Some(labels) = rewrite.apply(&stored) else { continue };
        if !sink.accepts(&labels)? {
            continue;
        }
        let of_labels = SERIES_BYTES + labels.as_bytes().len() + stored.as_bytes().len();
        let of_chunks = OPEN_CHUNK_BYTES + CHUNK_BYTES * series.chunks().len();
        let with_chunks = bytes + of_labels + of_chunks <= budget.with_chunks;
        let more = if with_chunks { of_labels + of_chunks } else { of_labels };
        bytes += more;
        if bytes > budget.max_bytes {
            return Err(RemoteReadError::ResponseLimit(budget.max_bytes));
        }
        sink.reserve(more)?;
        let chunks = if with_chunks {
            BufferedChunks::Series(series)
        } else {
            BufferedChunks::Labels(stored)
        };
        all.push(BufferedSeries { labels, chunks });
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

/// Filter and memory budget of [`sort_buffered`].
pub(crate) trait SortSink {
    /// Returns `true` if a series with these labels is needed.
    ///
    /// # Errors
    /// [`RemoteReadError`] if the whole read is aborted.
    fn accepts(&mut self, labels: &Labels) -> Result<bool, RemoteReadError>;

    /// Reserves memory for a series.
    ///
    /// # Errors
    /// [`RemoteReadError`] if the byte budget is exhausted.
    fn reserve(&mut self, bytes: usize) -> Result<(), RemoteReadError>;
}

#[cfg(test)]
mod tests;

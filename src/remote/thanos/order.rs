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
//! are no more of them than a series has labels: [`Inserted`] streams. One of these for each label that is added.
//!
//! A label that is removed or replaced may change every place. Then all series are gathered and sorted ([`gather`]), within a bound: the labels of all,
//! and the chunks (most often pins on mapped files) of as many as have room. The chunks of the others are looked up once more, series by
//! series, when their turn comes.

use crate::model::labels::Labels;
use crate::remote::read_request::ReadError;
use crate::remote::thanos::selection::Naming;
use crate::tsdb::query::samples::Series;
use std::collections::VecDeque;

/// What a series that is gathered costs in memory besides its labels and chunks, bytes, roughly; what a chunk costs besides its bytes, which are
/// mapped; and the chunk of the head that grows, which is a copy.
const SERIES_BYTES: usize = 200;
const CHUNK_BYTES: usize = 120;
const OPEN_CHUNK_BYTES: usize = 1024;

/// A series with its labels in the answer.
pub(crate) struct Named {
    pub(crate) labels: Labels,
    pub(crate) series: Series,
}

/// Series in the order of the labels that they have with `name` added.
pub(crate) struct Inserted<I> {
    input: I,
    name: String,
    naming: Naming,
    /// Each begins as the one before.
    held: Vec<Named>,
    ready: VecDeque<Named>,
}

impl<I: Iterator<Item = Result<Named, ReadError>>> Inserted<I> {
    /// Adds the label `name`, which no series of `input` has, with the value that `naming` adds; `input` is sorted.
    pub(crate) fn new(input: I, name: &str, naming: Naming) -> Self {
        Self { input, name: name.to_owned(), naming, held: Vec::new(), ready: VecDeque::new() }
    }

    /// Takes the next series; what was held back for others like it is ready where this is none.
    fn take(&mut self, next: Named) {
        while let Some(last) = self.held.pop_if(|held| !comes_before(&next.labels, &held.labels, &self.name)) {
            self.release(last);
        }
        if next.labels.iter().last().is_none_or(|(name, _)| name < self.name.as_str()) {
            self.held.push(next);
        } else {
            self.release(next);
        }
    }

    fn release(&mut self, mut named: Named) {
        named.labels = self.naming.with(&named.labels, &self.name);
        self.ready.push_back(named);
    }
}

impl<I: Iterator<Item = Result<Named, ReadError>>> Iterator for Inserted<I> {
    type Item = Result<Named, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(Ok(ready));
            }
            match self.input.next() {
                Some(Ok(next)) => self.take(next),
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let last = self.held.pop()?;
                    self.release(last);
                }
            }
        }
    }
}

/// Whether `later`, which comes behind `held` as they are, comes before it when both have the label `name`.
fn comes_before(later: &Labels, held: &Labels, name: &str) -> bool {
    later.as_packed().starts_with(held.as_packed())
        && later.iter().nth(held.iter().count()).is_some_and(|(next, _)| next < name)
}

/// A series that was gathered.
pub(crate) struct Gathered {
    pub(crate) labels: Labels,
    pub(crate) chunks: Kept,
}

/// What is kept of a series beside its labels in the answer.
pub(crate) enum Kept {
    /// All.
    Series(Series),
    /// Its own labels, to look it up by.
    Labels(Labels),
}

/// Bounds of what is gathered, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// For all of it.
    pub(crate) most: usize,
    /// After so many only labels are kept.
    pub(crate) with_chunks: usize,
}

/// All series that `wants` their new labels, sorted by them; equal ones stand side by side. `reserve` is asked for memory as it is taken.
///
/// # Errors
/// [`ReadError::AnswerLimit`] where there is no room for all; [`ReadError::Query`]; what `wants` and `reserve` end with.
pub(crate) fn gather(
    input: impl Iterator<Item = Result<Named, ReadError>>,
    naming: &Naming,
    room: Room,
    taker: &mut dyn Taker,
) -> Result<Vec<Gathered>, ReadError> {
    let (mut all, mut bytes) = (Vec::new(), 0usize);
    for named in input {
        let Named { labels: stored, series } = named?;
        let Some(labels) = naming.of(&stored) else { continue };
        if !taker.wants(&labels)? {
            continue;
        }
        let of_labels = SERIES_BYTES + labels.as_packed().len() + stored.as_packed().len();
        let of_chunks = OPEN_CHUNK_BYTES + CHUNK_BYTES * series.chunks().len();
        let keeps_chunks = bytes + of_labels + of_chunks <= room.with_chunks;
        let more = if keeps_chunks { of_labels + of_chunks } else { of_labels };
        bytes += more;
        if bytes > room.most {
            return Err(ReadError::AnswerLimit(room.most));
        }
        taker.reserve(more)?;
        let chunks = if keeps_chunks { Kept::Series(series) } else { Kept::Labels(stored) };
        all.push(Gathered { labels, chunks });
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

/// Who takes what is gathered.
pub(crate) trait Taker {
    /// Whether a series with these labels is wanted.
    ///
    /// # Errors
    /// Where nothing more is wanted at all.
    fn wants(&mut self, labels: &Labels) -> Result<bool, ReadError>;

    /// Sets memory aside.
    ///
    /// # Errors
    /// Where there is none.
    fn reserve(&mut self, bytes: usize) -> Result<(), ReadError>;
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;

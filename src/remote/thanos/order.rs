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
//! A label that is removed or replaced may change every place. Then all series are gathered and sorted ([`sorted`]), within a bound.

use crate::model::labels::Labels;
use crate::remote::read_request::ReadError;
use crate::remote::thanos::selection::Naming;
use crate::tsdb::query::samples::Series;
use std::collections::VecDeque;

/// What a series that is gathered costs in memory besides its labels and chunks, bytes, roughly; and what a chunk costs besides its bytes, which
/// are most often mapped.
const SERIES_BYTES: usize = 200;
const CHUNK_BYTES: usize = 120;

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

/// All series with their new labels, sorted by them; equal ones stand side by side.
///
/// # Errors
/// [`ReadError::AnswerLimit`] where they would take more than `most` bytes of memory; [`ReadError::Query`].
pub(crate) fn sorted(
    input: impl Iterator<Item = Result<Named, ReadError>>,
    naming: &Naming,
    most: usize,
) -> Result<Vec<Named>, ReadError> {
    let (mut all, mut bytes) = (Vec::new(), 0usize);
    for named in input {
        let Named { labels, series } = named?;
        bytes += SERIES_BYTES + labels.as_packed().len() * 2;
        bytes += series.chunks().map(|chunk| CHUNK_BYTES + chunk.data.bytes().len()).sum::<usize>();
        if bytes > most {
            return Err(ReadError::AnswerLimit(most));
        }
        if let Some(labels) = naming.of(&labels) {
            all.push(Named { labels, series });
        }
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;

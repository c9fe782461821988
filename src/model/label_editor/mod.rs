//! Reusable label set that can be edited.
//!
//! A scrape builds the labels of every series that it does not know: the parser adds those of the
//! body, then the labels of the target are merged in and relabeling rules run. A [`LabelEditor`]
//! keeps all text in one buffer, so after the first few series nothing is allocated.
//!
//! # Order
//! Prometheus's builder lists the labels that a set had in the beginning, then the changed ones in
//! the order of their first change. The order decides which of two labels wins that `labelmap`
//! copies to one name, so this type keeps it: [`LabelEditor::set`] moves an initial label to the
//! end, and changes others in place.
//!
//! # Empty values
//! An empty value means an absent label. Only an initial label can have one: [`LabelEditor::has`]
//! reports it, everything else ignores it.
//!
//! # Limits
//! At most [`MAX_LABELS`] labels and [`MAX_TEXT`] bytes, including those of overwritten values. A
//! set beyond the limits ignores further changes and cannot be built.
//!
//! | module | content |
//! |---|---|
//! | `span` | text buffer and spans of it |

use crate::model::labels::{BuildLabelsError, Labels};
use smallvec::SmallVec;
use span::{Span, TextBuffer};

pub(in crate::model) mod span;

pub use span::MAX_TEXT;

/// Maximum number of labels.
pub const MAX_LABELS: usize = 8192;

/// Label set under construction; see the module documentation.
#[derive(Debug, Default)]
pub struct LabelEditor {
    /// Names and values, live and replaced, and text that belongs to no label yet.
    pub(in crate::model) text: TextBuffer,
    /// Initial labels, then changed ones.
    entries: Vec<Entry>,
    /// Number of entries that are initial labels.
    initial: usize,
    has_too_many: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Span,
    value: Span,
}

/// Error of [`LabelEditor::build`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditLabelsError {
    /// A limit of the editor is exceeded.
    #[error("label set exceeds {MAX_LABELS} labels or {MAX_TEXT} bytes")]
    TooLarge,
    /// The labels form no label set.
    #[error(transparent)]
    Build(#[from] BuildLabelsError),
}

impl LabelEditor {
    /// Returns an editor without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all labels and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.initial = 0;
        self.has_too_many = false;
    }

    /// Adds an initial label, which may have an empty value. Call [`Self::sort_initial`] after the
    /// last one. Changed labels become initial ones.
    pub fn push(&mut self, name: &str, value: &str) {
        let name = self.text.append(name);
        let value = self.text.append(value);
        self.push_entry(Entry { name, value });
        self.initial = self.entries.len();
    }

    /// Sorts all labels by name and makes them initial ones.
    pub fn sort_initial(&mut self) {
        let text = &self.text;
        self.entries.sort_unstable_by(|a, b| text.get(a.name).cmp(text.get(b.name)));
        self.initial = self.entries.len();
    }

    /// Returns a name that occurs twice, after [`Self::sort_initial`].
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn duplicate_name(&self) -> Option<&str> {
        let twice = self.entries[..self.initial]
            .windows(2)
            .find(|pair| self.text.get(pair[0].name) == self.text.get(pair[1].name))?;
        Some(self.text.get(twice[0].name))
    }

    /// Returns the value of a label, which is empty if the label is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.text.get(self.value_span(name))
    }

    /// Returns `true` if the label is present, or was initially with an empty value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Changes or adds a label. An empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.remove(name);
            return;
        }
        let value = self.text.append(value);
        let at = self.position(name);
        let name = match at {
            Some(at) => self.entries[at].name,
            None => self.text.append(name),
        };
        self.set_at(at, Entry { name, value });
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) {
        if let Some(at) = self.position(name) {
            self.remove_at(at);
        }
    }

    /// Removes the labels whose name does not satisfy `keep`.
    pub fn retain_names(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let (text, initial) = (&self.text, self.initial);
        let (mut at, mut removed) = (0, 0);
        self.entries.retain(|entry| {
            let is_kept = keep(text.get(entry.name));
            removed += usize::from(!is_kept && at < initial);
            at += 1;
            is_kept
        });
        self.initial -= removed;
    }

    /// Iterates over names and values: initial labels, then changed ones.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans().map(|(name, value)| (self.text.get(name), self.text.get(value)))
    }

    /// Returns `true` if no label has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Number of labels with a value.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns the labels sorted by name.
    #[must_use]
    pub fn sorted(&self) -> Vec<(String, String)> {
        self.sorted_pairs().iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    /// Returns `true` if a limit was exceeded since [`Self::clear`].
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.has_too_many || self.text.is_too_large()
    }

    /// Builds the canonical label set.
    ///
    /// # Errors
    /// [`EditLabelsError`] beyond the limits, for empty or duplicate names, or without labels.
    pub fn build(&self) -> Result<Labels, EditLabelsError> {
        if self.is_too_large() {
            return Err(EditLabelsError::TooLarge);
        }
        Ok(Labels::from_sorted_pairs(&self.sorted_pairs())?)
    }

    /// Returns the value of a label; empty if the label is absent.
    pub(in crate::model) fn value_span(&self, name: &str) -> Span {
        self.position(name).map_or(Span::default(), |at| self.entries[at].value)
    }

    /// Returns names and values in the order of [`Self::iter`].
    pub(in crate::model) fn spans(&self) -> impl Iterator<Item = (Span, Span)> {
        let present = self.entries.iter().filter(|entry| !entry.value.is_empty());
        present.map(|entry| (entry.name, entry.value))
    }

    /// Like [`Self::set`] with name and value that are part of the text.
    pub(in crate::model) fn set_spans(&mut self, name: Span, value: Span) {
        self.set_at(self.position(self.text.get(name)), Entry { name, value });
    }

    fn sorted_pairs(&self) -> SmallVec<[(&str, &str); 32]> {
        let mut pairs: SmallVec<[(&str, &str); 32]> = self.iter().collect();
        if self.initial < self.entries.len() || !pairs.is_sorted_by_key(|(name, _)| *name) {
            pairs.sort_unstable_by_key(|(name, _)| *name);
        }
        pairs
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| self.text.get(entry.name) == name)
    }

    fn remove_at(&mut self, at: usize) {
        self.entries.remove(at);
        self.initial -= usize::from(at < self.initial);
    }

    /// Replaces the entry at `at`, if there is one.
    fn set_at(&mut self, at: Option<usize>, entry: Entry) {
        match at {
            Some(at) if at >= self.initial && !entry.value.is_empty() => {
                self.entries[at].value = entry.value;
                return;
            }
            Some(at) => self.remove_at(at),
            None => {}
        }
        if !entry.value.is_empty() {
            self.push_entry(entry);
        }
    }

    fn push_entry(&mut self, entry: Entry) {
        if self.entries.len() < MAX_LABELS {
            self.entries.push(entry);
        } else {
            self.has_too_many = true;
        }
    }
}

#[cfg(test)]
mod tests;

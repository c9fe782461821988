//! Sorted strings of the head's labels, for the symbol table of a block.
//!
//! The label names, and the values of each name, are separate sorted lists, read in slices so that
//! memory stays bounded. The block writer merges them. As in Prometheus, the lists contain the
//! empty string and strings of series that the block leaves out.

use crate::tsdb::head::Head;
use crate::tsdb::index::mem_postings::MemPostings;

/// Number of strings read from the index at once.
const SLICE: usize = 512;

/// Returns ascending lists that together contain all strings of the head's labels. A string can be
/// in several lists.
pub fn symbols(head: &Head) -> impl Iterator<Item = Box<dyn Iterator<Item = String> + '_>> {
    let postings = head.postings();
    let names = postings.label_names();
    let first: Box<dyn Iterator<Item = String>> =
        Box::new(std::iter::once(String::new()).chain(names.clone()));
    let values = names.into_iter().map(move |name| {
        let values: Box<dyn Iterator<Item = String>> =
            Box::new(LabelValuesIter { postings, name, slice: Vec::new().into_iter() });
        values
    });
    std::iter::once(first).chain(values)
}

/// Values of a label, ascending.
struct LabelValuesIter<'a> {
    postings: &'a MemPostings,
    name: String,
    slice: std::vec::IntoIter<String>,
}

impl LabelValuesIter<'_> {
    fn refill_slice(&mut self, after: Option<&str>) {
        self.slice = self.postings.values_after(&self.name, after, SLICE).into_iter();
    }
}

impl Iterator for LabelValuesIter<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.slice.as_slice().is_empty() {
            self.refill_slice(None);
        }
        let next = self.slice.next()?;
        if self.slice.as_slice().is_empty() {
            self.refill_slice(Some(&next));
            if self.slice.as_slice().is_empty() {
                // The list is exhausted: without this the next call would start again.
                self.name.clear();
            }
        }
        Some(next)
    }
}

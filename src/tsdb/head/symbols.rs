//! The strings of the head's labels, sorted, as the index of a block wants them.
//!
//! Names and the values of each name are lists of their own, each sorted and read in slices, so that nothing holds them all; whoever writes the
//! block merges them. As in Prometheus the empty text is among them, and strings of series that the block leaves out.

use crate::tsdb::head::Head;

/// How many strings are taken from the index at once.
const SLICE: usize = 512;

/// Lists of strings, each rising, which together have all strings of the head's labels; some stand in several.
pub fn symbols(head: &Head) -> impl Iterator<Item = Box<dyn Iterator<Item = String> + '_>> {
    let names = head.postings().label_names();
    let first: Box<dyn Iterator<Item = String>> =
        Box::new(std::iter::once(String::new()).chain(names.clone()));
    let values = names.into_iter().map(move |name| {
        let values: Box<dyn Iterator<Item = String>> =
            Box::new(LabelValuesIter { head, name, slice: Vec::new().into_iter() });
        values
    });
    std::iter::once(first).chain(values)
}

/// The values of a label, rising.
struct LabelValuesIter<'a> {
    head: &'a Head,
    name: String,
    slice: std::vec::IntoIter<String>,
}

impl LabelValuesIter<'_> {
    fn refill_slice(&mut self, after: Option<&str>) {
        self.slice = self.head.postings().values_after(&self.name, after, SLICE).into_iter();
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
                // Nothing is left: the next call must not begin anew.
                self.name.clear();
            }
        }
        Some(next)
    }
}

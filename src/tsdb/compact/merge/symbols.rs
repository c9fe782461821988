//! Merge of the strings of several sources into one sorted list without duplicates, as an index
//! needs it before its first series.
//!
//! Strings of dropped series are kept. This is harmless, because label names and values come from
//! the postings. Lazy: one string per source is held.

use crate::tsdb::compact::merge::error::MergeError;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Strings of a source, ascending.
pub type SymbolIter<'a> = Box<dyn Iterator<Item = Result<Cow<'a, str>, MergeError>> + 'a>;

/// Merged strings of several sources. Ends after an error.
pub struct MergedSymbols<'a> {
    /// Next string and index of each source.
    next_symbols: BinaryHeap<Reverse<(Cow<'a, str>, usize)>>,
    rest: Vec<SymbolIter<'a>>,
}

impl<'a> MergedSymbols<'a> {
    /// Creates the merge and reads the first string of each source.
    ///
    /// # Errors
    /// [`MergeError`] if a source cannot be read.
    pub fn new(sources: Vec<SymbolIter<'a>>) -> Result<Self, MergeError> {
        let mut merged =
            Self { next_symbols: BinaryHeap::with_capacity(sources.len()), rest: sources };
        for source in 0..merged.rest.len() {
            merged.refill(source, None)?;
        }
        Ok(merged)
    }

    /// Reads the next string of a source, which must be greater than `last`.
    fn refill(&mut self, source: usize, last: Option<&str>) -> Result<(), MergeError> {
        let Some(next) = self.rest.get_mut(source).and_then(Iterator::next).transpose()? else {
            return Ok(());
        };
        if last.is_some_and(|last| *next <= *last) {
            let previous = last.unwrap_or_default().to_owned();
            return Err(MergeError::SymbolOrder { symbol: next.into_owned(), previous });
        }
        self.next_symbols.push(Reverse((next, source)));
        Ok(())
    }

    fn try_next(&mut self) -> Result<Option<Cow<'a, str>>, MergeError> {
        let Some(Reverse((lowest, source))) = self.next_symbols.pop() else { return Ok(None) };
        self.refill(source, Some(&lowest))?;
        while let Some(Reverse((same, source))) = self.next_symbols.peek()
            && *same == lowest
        {
            let source = *source;
            self.next_symbols.pop();
            self.refill(source, Some(&lowest))?;
        }
        Ok(Some(lowest))
    }
}

impl<'a> Iterator for MergedSymbols<'a> {
    type Item = Result<Cow<'a, str>, MergeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.next_symbols.clear();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::{MergedSymbols, SymbolIter};
    use crate::tsdb::compact::merge::error::MergeError;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::borrow::Cow;
    use std::collections::BTreeSet;

    fn source(strings: &[String]) -> SymbolIter<'_> {
        Box::new(strings.iter().map(|string| Ok(Cow::Borrowed(string.as_str()))))
    }

    #[test]
    fn unsorted_strings_are_an_error_that_ends_the_list() {
        let (good, bad) = (["a", "c"].map(str::to_owned), ["a", "b", "b"].map(str::to_owned));
        let mut merged = MergedSymbols::new(vec![source(&good), source(&bad)]).unwrap();
        assert_eq!(merged.next().unwrap().unwrap(), "a");
        let error = merged.next().unwrap().unwrap_err();
        assert!(
            matches!(&error, MergeError::SymbolOrder { symbol, previous } if symbol == "b" && previous == "b")
        );
        assert!(merged.next().is_none());
        assert_eq!(MergedSymbols::new(Vec::new()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn merged_strings_are_sorted_and_unique(
            sources in proptest::collection::vec(
                proptest::collection::btree_set("[a-cé]{0,3}", 0..12),
                0..5,
            ),
        ) {
            let lists: Vec<Vec<String>> =
                sources.iter().map(|set| set.iter().cloned().collect()).collect();
            let symbols = lists.iter().map(|list| source(list)).collect();
            let merged = MergedSymbols::new(symbols).unwrap();
            let merged: Vec<String> = merged.map(|symbol| symbol.unwrap().into_owned()).collect();
            let expected: BTreeSet<String> = sources.into_iter().flatten().collect();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
        }
    }
}

//! The strings of several sources as one list, sorted and each once, as an index wants them before its first series.
//!
//! Strings of series that a merge leaves out stay in: that a string is listed says nothing about labels, which come from the
//! postings. Lazy: of each source one string is held.

use crate::tsdb::query::source::QueryError;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The strings of a source, rising.
pub type SymbolIter<'a> = Box<dyn Iterator<Item = Result<Cow<'a, str>, QueryError>> + 'a>;

/// The strings of several sources; made by [`MergedSymbols::new`]. After an error it ends.
pub struct MergedSymbols<'a> {
    /// The next string of each source, with the source's number.
    next_symbols: BinaryHeap<Reverse<(Cow<'a, str>, usize)>>,
    rest: Vec<SymbolIter<'a>>,
}

impl<'a> MergedSymbols<'a> {
    /// Takes the first string of every source.
    ///
    /// # Errors
    /// [`QueryError`] where a source can't be read.
    pub fn new(sources: Vec<SymbolIter<'a>>) -> Result<Self, QueryError> {
        let mut own =
            Self { next_symbols: BinaryHeap::with_capacity(sources.len()), rest: sources };
        for source in 0..own.rest.len() {
            own.refill(source, None)?;
        }
        Ok(own)
    }

    /// Takes the next string of a source, which must stand behind `last`.
    fn refill(&mut self, source: usize, last: Option<&str>) -> Result<(), QueryError> {
        let Some(next) = self.rest.get_mut(source).and_then(Iterator::next).transpose()? else {
            return Ok(());
        };
        if last.is_some_and(|last| *next <= *last) {
            return Err(QueryError::Corrupted(format!("string {next:?} stands behind {last:?}")));
        }
        self.next_symbols.push(Reverse((next, source)));
        Ok(())
    }

    fn try_next(&mut self) -> Result<Option<Cow<'a, str>>, QueryError> {
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
    type Item = Result<Cow<'a, str>, QueryError>;

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
    use crate::tsdb::query::source::QueryError;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::borrow::Cow;
    use std::collections::BTreeSet;

    fn source(strings: &[String]) -> SymbolIter<'_> {
        Box::new(strings.iter().map(|one| Ok(Cow::Borrowed(one.as_str()))))
    }

    #[test]
    fn strings_that_do_not_rise_are_an_error_that_ends_the_list() {
        let (good, bad) = (["a", "c"].map(str::to_owned), ["a", "b", "b"].map(str::to_owned));
        let mut merged = MergedSymbols::new(vec![source(&good), source(&bad)]).unwrap();
        assert_eq!(merged.next().unwrap().unwrap(), "a");
        let QueryError::Corrupted(what) = merged.next().unwrap().unwrap_err();
        assert!(what.contains(r#""b""#), "{what}");
        assert!(merged.next().is_none());
        assert_eq!(MergedSymbols::new(Vec::new()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn all_strings_of_all_sources_come_once_and_rising(sources in proptest::collection::vec(proptest::collection::btree_set("[a-cé]{0,3}", 0..12), 0..5)) {
            let lists: Vec<Vec<String>> = sources.iter().map(|set| set.iter().cloned().collect()).collect();
            let merged = MergedSymbols::new(lists.iter().map(|list| source(list)).collect()).unwrap();
            let merged: Vec<String> = merged.map(|one| one.unwrap().into_owned()).collect();
            let expected: BTreeSet<String> = sources.into_iter().flatten().collect();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
        }
    }
}

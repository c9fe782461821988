//! Selection of the series of a block by matchers.
//!
//! It works as for the head's index: the cheapest filter that includes series yields the
//! candidates, all other filters narrow them. A posting list is copied from the file and verified
//! completely before use.

use super::error::{FormatErrorAt, IndexCorruption};
use super::postings;
use super::postings_offset_table::ValuePostings;
use super::reader::IndexReader;
use crate::model::matcher::Matcher;
use crate::model::refs::BlockSeriesRef;
use crate::tsdb::index::condition::{PostingsFilter, ValueSet};
use crate::tsdb::index::postings::CandidateMask;

impl IndexReader {
    /// Returns the series that satisfy all matchers, ascending by reference and thus by labels.
    ///
    /// An absent label counts as the empty value. An empty selector selects nothing, as in
    /// Prometheus.
    ///
    /// # Errors
    /// [`IndexCorruption`] if a required posting list is corrupted.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Vec<BlockSeriesRef>, IndexCorruption> {
        if matchers.is_empty() {
            return Ok(Vec::new());
        }
        let (mut include, mut exclude): (Vec<_>, Vec<_>) = matchers
            .iter()
            .filter_map(PostingsFilter::from_matcher)
            .partition(|filter| filter.includes);
        include.sort_by_cached_key(|filter| self.cost(filter));
        exclude.sort_by_cached_key(|filter| self.cost(filter));
        let mut including = include.iter();
        let mut candidates = match including.next() {
            Some(first) => self.candidates(first)?,
            None => self.all_series()?,
        };
        for filter in including.chain(&exclude) {
            if candidates.is_empty() {
                break;
            }
            let mut mask = CandidateMask::new(&candidates);
            let marked = self.for_each_list(filter, |list| mask.mark(0, &candidates, list));
            marked.map_err(|fault| self.corruption(fault))?;
            if filter.includes {
                mask.keep_marked(&mut candidates);
            } else {
                mask.drop_marked(&mut candidates);
            }
        }
        Ok(candidates)
    }

    /// Estimates the work of a filter: the number of series of listed values. Scans cost more than
    /// any list of values.
    fn cost(&self, filter: &PostingsFilter<'_>) -> usize {
        let declared_len = |value: &String| {
            let found = self.labels.find(self.bytes(), filter.name, value);
            found.ok().flatten().map_or(0, |list| postings::declared_len(self.bytes(), list))
        };
        match filter.values {
            ValueSet::Listed(values) => {
                values.iter().map(declared_len).sum::<usize>() + values.len()
            }
            ValueSet::Scanned { prefix, .. } if !prefix.is_empty() => usize::MAX - 2,
            ValueSet::Scanned { .. } => usize::MAX - 1,
            ValueSet::Every => usize::MAX,
        }
    }

    /// Returns the series with one of the filter's values, ascending.
    fn candidates(
        &self,
        filter: &PostingsFilter<'_>,
    ) -> Result<Vec<BlockSeriesRef>, IndexCorruption> {
        let mut series = Vec::new();
        let mut lists = 0;
        let visited = self.for_each_list(filter, |list| {
            series.extend_from_slice(list);
            lists += 1;
        });
        visited.map_err(|fault| self.corruption(fault))?;
        if lists > 1 {
            // A series has one value per label, so there are no duplicates. This sort merges sorted
            // runs.
            series.sort();
        }
        Ok(series)
    }

    /// Calls `visit` for the list of each of the filter's values.
    fn for_each_list(
        &self,
        filter: &PostingsFilter<'_>,
        mut visit: impl FnMut(&[BlockSeriesRef]),
    ) -> Result<(), FormatErrorAt> {
        let mut list = Vec::new();
        let mut visit_list = |offset| -> Result<(), FormatErrorAt> {
            list.clear();
            postings::read(self.bytes(), offset, &mut list)?;
            visit(&list);
            Ok(())
        };
        if filter.name.is_empty() {
            // The empty name denotes the list of all series, not a label.
            return Ok(());
        }
        let (prefix, is_selected): (&str, &dyn Fn(&str) -> bool) = match &filter.values {
            ValueSet::Listed(values) => {
                for value in *values {
                    if let Some(offset) = self.labels.find(self.bytes(), filter.name, value)? {
                        visit_list(offset)?;
                    }
                }
                return Ok(());
            }
            ValueSet::Scanned { prefix, matcher } => {
                (prefix, &|value| matcher.matches(value) == filter.includes)
            }
            ValueSet::Every => ("", &|_| true),
        };
        for value in self.labels.values(self.bytes(), filter.name, prefix) {
            let ValuePostings { value, list } = value?;
            if !value.starts_with(prefix) {
                break;
            }
            if is_selected(value) {
                visit_list(list)?;
            }
        }
        Ok(())
    }
}

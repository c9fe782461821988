//! Selection of series by matchers.
//!
//! Each matcher becomes a filter that includes or excludes the series of some values (see
//! `condition`). The cheapest including filter yields the candidates, or all series if there is
//! none. All other filters narrow them.
//!
//! Values listed in a matcher are looked up directly. Otherwise, the values of the label are
//! scanned, limited to the prefix if the matcher has one. Memory: 8 bytes and one bit per
//! candidate.

use super::{LONG_LIST, MemPostings, SLICE};
use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::tsdb::index::condition::{PostingsFilter, ValueSet};
use crate::tsdb::index::postings::CandidateMask;

impl MemPostings {
    /// Returns the series that satisfy all matchers, ascending. An empty selector selects nothing,
    /// as in Prometheus.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> Vec<SeriesRef> {
        if matchers.is_empty() {
            return Vec::new();
        }
        let (mut include, mut exclude): (Vec<_>, Vec<_>) = matchers
            .iter()
            .filter_map(PostingsFilter::from_matcher)
            .partition(|filter| filter.includes);
        include.sort_by_cached_key(|filter| self.cost(filter));
        exclude.sort_by_cached_key(|filter| self.cost(filter));
        let mut including = include.iter();
        let mut candidates = match including.next() {
            Some(first) => self.candidates(first),
            None => self.all(),
        };
        for filter in including.chain(&exclude) {
            if candidates.is_empty() {
                break;
            }
            let mask = self.mark(filter, &candidates);
            if filter.includes {
                mask.keep_marked(&mut candidates);
            } else {
                mask.drop_marked(&mut candidates);
            }
        }
        candidates
    }

    /// Estimates the work of a filter: the number of series of listed values. Scans cost more than
    /// any list of values.
    fn cost(&self, filter: &PostingsFilter<'_>) -> usize {
        match filter.values {
            ValueSet::Listed(values) => {
                let slices = values.chunks(SLICE / 64).map(|slice| {
                    let index = self.index.read();
                    slice.iter().map(|value| index.list(filter.name, value).len()).sum::<usize>()
                });
                slices.sum::<usize>() + values.len()
            }
            ValueSet::Scanned { prefix, .. } if !prefix.is_empty() => usize::MAX - 2,
            ValueSet::Scanned { .. } => usize::MAX - 1,
            ValueSet::Every => usize::MAX,
        }
    }

    /// Returns the series with one of the filter's values, ascending.
    fn candidates(&self, filter: &PostingsFilter<'_>) -> Vec<SeriesRef> {
        if let ValueSet::Listed([value]) = filter.values {
            return self.postings(filter.name, value);
        }
        let mut series = Vec::new();
        let long = self.for_each_list(filter, |list| series.extend_from_slice(list));
        for value in &long {
            series.append(&mut self.postings(filter.name, value));
        }
        // A series has one value per label, so there are no duplicates. This sort merges sorted
        // runs.
        series.sort();
        series
    }

    /// Marks the candidates with one of the filter's values.
    fn mark(&self, filter: &PostingsFilter<'_>, candidates: &[SeriesRef]) -> CandidateMask {
        let mut mask = CandidateMask::new(candidates);
        let long = self.for_each_list(filter, |list| mask.mark(0, candidates, list));
        for value in &long {
            for (nth, slice) in candidates.chunks(LONG_LIST).enumerate() {
                let index = self.index.read();
                let list = index.list(filter.name, value);
                let start = list.partition_point(|series| *series < slice[0]);
                mask.mark(nth * LONG_LIST, slice, &list[start..]);
            }
        }
        mask
    }

    /// Calls `visit` for the list of each of the filter's values, under one hold of the lock each.
    /// Skips long lists and returns their values.
    fn for_each_list(
        &self,
        filter: &PostingsFilter<'_>,
        mut visit: impl FnMut(&[SeriesRef]),
    ) -> Vec<String> {
        let mut long = Vec::new();
        let mut visit_short = |value: &str, list: &[SeriesRef]| {
            if list.len() < LONG_LIST {
                visit(list);
            } else {
                long.push(value.to_owned());
            }
        };
        match filter.values {
            ValueSet::Listed(values) => {
                for value in values {
                    visit_short(value, self.index.read().list(filter.name, value));
                }
            }
            ValueSet::Scanned { prefix, matcher } => {
                self.scan(filter.name, prefix, |value, list| {
                    if matcher.matches(value) == filter.includes {
                        visit_short(value, list);
                    }
                })
            }
            ValueSet::Every => self.scan(filter.name, "", visit_short),
        }
        long
    }
}

//! Which series satisfy a list of matchers.
//!
//! A condition keeps the series of some values or drops them (see `condition`). The cheapest that keeps gives the
//! candidates, everything else narrows them down; where there is none the candidates are all series.
//!
//! Values that a matcher names are looked up; only a matcher that names none walks over the values of its label, or
//! over those with its prefix. Memory: the candidates, 8 bytes each, and a bit for each of them.

use super::{LONG_LIST, MemPostings, SLICE};
use crate::model::matcher::Matcher;
use crate::model::refs::SeriesRef;
use crate::tsdb::index::condition::{PostingsFilter, ValueSet};
use crate::tsdb::index::postings::CandidateMask;

impl MemPostings {
    /// The series that satisfy every matcher, rising. No matcher at all selects nothing, as in Prometheus.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> Vec<SeriesRef> {
        if matchers.is_empty() {
            return Vec::new();
        }
        let (mut keep, mut drop): (Vec<_>, Vec<_>) = matchers
            .iter()
            .filter_map(PostingsFilter::from_matcher)
            .partition(|condition| condition.includes);
        keep.sort_by_cached_key(|condition| self.cost(condition));
        drop.sort_by_cached_key(|condition| self.cost(condition));
        let mut conditions = keep.iter();
        let mut candidates = match conditions.next() {
            Some(first) => self.candidates(first),
            None => self.all(),
        };
        for condition in conditions.chain(&drop) {
            if candidates.is_empty() {
                break;
            }
            let marks = self.mark(condition, &candidates);
            if condition.includes {
                marks.keep_marked(&mut candidates);
            } else {
                marks.drop_marked(&mut candidates);
            }
        }
        candidates
    }

    /// How much work a condition's values are: known ones by their series, unknown ones after all known ones.
    fn cost(&self, condition: &PostingsFilter<'_>) -> usize {
        match condition.values {
            ValueSet::Listed(values) => {
                let slices = values.chunks(SLICE / 64).map(|slice| {
                    let index = self.index.read();
                    slice.iter().map(|value| index.list(condition.name, value).len()).sum::<usize>()
                });
                slices.sum::<usize>() + values.len()
            }
            ValueSet::Scanned { prefix, .. } if !prefix.is_empty() => usize::MAX - 2,
            ValueSet::Scanned { .. } => usize::MAX - 1,
            ValueSet::Every => usize::MAX,
        }
    }

    /// The series of a condition's values, rising.
    fn candidates(&self, condition: &PostingsFilter<'_>) -> Vec<SeriesRef> {
        if let ValueSet::Listed([value]) = condition.values {
            return self.postings(condition.name, value);
        }
        let mut series = Vec::new();
        let long = self.for_each_list(condition, |list| series.extend_from_slice(list));
        for value in &long {
            series.append(&mut self.postings(condition.name, value));
        }
        // A series has one value of a label, so nothing is there twice. The lists are runs, which this sort merges.
        series.sort();
        series
    }

    /// Marks the candidates that have one of a condition's values.
    fn mark(&self, condition: &PostingsFilter<'_>, candidates: &[SeriesRef]) -> CandidateMask {
        let mut marks = CandidateMask::new(candidates);
        let long = self.for_each_list(condition, |list| marks.mark(0, candidates, list));
        for value in &long {
            for (nth, slice) in candidates.chunks(LONG_LIST).enumerate() {
                let index = self.index.read();
                let list = index.list(condition.name, value);
                let start = list.partition_point(|series| *series < slice[0]);
                marks.mark(nth * LONG_LIST, slice, &list[start..]);
            }
        }
        marks
    }

    /// Shows the lists of a condition's values, each in one hold of the lock, but for long ones: their values are
    /// returned.
    fn for_each_list(
        &self,
        condition: &PostingsFilter<'_>,
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
        match condition.values {
            ValueSet::Listed(values) => {
                for value in values {
                    visit_short(value, self.index.read().list(condition.name, value));
                }
            }
            ValueSet::Scanned { prefix, matcher } => {
                self.scan(condition.name, prefix, |value, list| {
                    if matcher.matches(value) == condition.includes {
                        visit_short(value, list);
                    }
                })
            }
            ValueSet::Every => self.scan(condition.name, "", visit_short),
        }
        long
    }
}

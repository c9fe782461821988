//! Which series of a block satisfy a list of matchers.
//!
//! The same as for the head's index, over lists that lie in the file: the cheapest condition that keeps series gives the candidates,
//! all others narrow them down. A list is copied out of the file and checked as a whole before it is used.

use super::error::{FormatErrorAt, IndexError};
use super::postings;
use super::postings_offset_table::ValuePostings;
use super::reader::IndexReader;
use crate::model::matcher::Matcher;
use crate::model::refs::BlockSeriesRef;
use crate::tsdb::index::condition::{PostingsFilter, ValueSet};
use crate::tsdb::index::postings::CandidateMask;

impl IndexReader {
    /// The series that satisfy every matcher, rising by reference, which is rising by labels. An absent label has the empty
    /// value; no matcher at all selects nothing, as in Prometheus.
    ///
    /// # Errors
    /// [`IndexError::Corrupted`] for a posting list that is needed.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Vec<BlockSeriesRef>, IndexError> {
        if matchers.is_empty() {
            return Ok(Vec::new());
        }
        let (mut keep, mut drop): (Vec<_>, Vec<_>) = matchers
            .iter()
            .filter_map(PostingsFilter::from_matcher)
            .partition(|condition| condition.includes);
        keep.sort_by_cached_key(|condition| self.cost(condition));
        drop.sort_by_cached_key(|condition| self.cost(condition));
        let mut conditions = keep.iter();
        let mut candidates = match conditions.next() {
            Some(first) => self.candidates(first)?,
            None => self.all_series()?,
        };
        for condition in conditions.chain(&drop) {
            if candidates.is_empty() {
                break;
            }
            let mut marks = CandidateMask::new(&candidates);
            let marked = self.for_each_list(condition, |list| marks.mark(0, &candidates, list));
            marked.map_err(|fault| self.corruption_error(fault))?;
            if condition.includes {
                marks.keep_marked(&mut candidates);
            } else {
                marks.drop_marked(&mut candidates);
            }
        }
        Ok(candidates)
    }

    /// How much work a condition's values are: known ones by their series, unknown ones after all known ones.
    fn cost(&self, condition: &PostingsFilter<'_>) -> usize {
        let stated = |value: &String| {
            let found = self.labels.find(self.bytes(), condition.name, value);
            found.ok().flatten().map_or(0, |list| postings::declared_len(self.bytes(), list))
        };
        match condition.values {
            ValueSet::Listed(values) => values.iter().map(stated).sum::<usize>() + values.len(),
            ValueSet::Scanned { prefix, .. } if !prefix.is_empty() => usize::MAX - 2,
            ValueSet::Scanned { .. } => usize::MAX - 1,
            ValueSet::Every => usize::MAX,
        }
    }

    /// The series of a condition's values, rising.
    fn candidates(
        &self,
        condition: &PostingsFilter<'_>,
    ) -> Result<Vec<BlockSeriesRef>, IndexError> {
        let mut series = Vec::new();
        let mut lists = 0;
        let visited = self.for_each_list(condition, |list| {
            series.extend_from_slice(list);
            lists += 1;
        });
        visited.map_err(|fault| self.corruption_error(fault))?;
        if lists > 1 {
            // A series has one value of a label, so nothing is there twice. The lists are runs, which this sort merges.
            series.sort();
        }
        Ok(series)
    }

    /// Shows the lists of a condition's values.
    fn for_each_list(
        &self,
        condition: &PostingsFilter<'_>,
        mut visit: impl FnMut(&[BlockSeriesRef]),
    ) -> Result<(), FormatErrorAt> {
        let mut list = Vec::new();
        let mut show = |offset| -> Result<(), FormatErrorAt> {
            list.clear();
            postings::read(self.bytes(), offset, &mut list)?;
            visit(&list);
            Ok(())
        };
        if condition.name.is_empty() {
            // The list of all series is that of the empty name: no label.
            return Ok(());
        }
        let (prefix, wanted): (&str, &dyn Fn(&str) -> bool) = match &condition.values {
            ValueSet::Listed(values) => {
                for value in *values {
                    if let Some(offset) = self.labels.find(self.bytes(), condition.name, value)? {
                        show(offset)?;
                    }
                }
                return Ok(());
            }
            ValueSet::Scanned { prefix, matcher } => {
                (prefix, &|value| matcher.matches(value) == condition.includes)
            }
            ValueSet::Every => ("", &|_| true),
        };
        for value in self.labels.values(self.bytes(), condition.name, prefix) {
            let ValuePostings { value, list } = value?;
            if !value.starts_with(prefix) {
                break;
            }
            if wanted(value) {
                show(list)?;
            }
        }
        Ok(())
    }
}

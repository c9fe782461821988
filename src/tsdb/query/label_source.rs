//! Label names and values: the trait that the head and every block implement, and the collector
//! that merges their results.
//!
//! Without matchers, a source uses its label tables and reads no series. As in Prometheus, a source
//! ignores the time range and returns deleted labels until compaction rewrites it. A source offers
//! strings one by one and stops when no more are needed, so that memory holds only the result,
//! within its limit.
//!
//! Source: `labelValuesWithMatchers` and `labelNamesWithMatchers` of Prometheus's
//! `tsdb/querier.go`.

use crate::model::matcher::Matcher;
use crate::tsdb::query::source::QueryError;
use std::collections::BTreeSet;

/// Memory of a string in the result in addition to its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 48;
/// Minimum amount of memory to reserve at once, bytes.
const MEMORY_STEP: usize = 64 << 10;

/// Limits of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelQueryLimits {
    /// Maximum number of strings. The lowest ones are returned.
    pub count: usize,
    /// Maximum memory of the result, bytes. A larger result is an error.
    pub bytes: usize,
}

impl LabelQueryLimits {
    /// Limits that never apply.
    #[cfg(any(test, feature = "testing"))]
    pub const NONE: Self = Self { count: usize::MAX, bytes: usize::MAX };

    /// Limits the result to the first `count` strings.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn with_count(count: usize) -> Self {
        Self { count, ..Self::NONE }
    }
}

/// Error of a label query.
#[derive(Debug, thiserror::Error)]
pub enum LabelQueryError {
    /// Stored data cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The result exceeds [`LabelQueryLimits::bytes`].
    #[error("response exceeds {0} bytes: use a limit or a matcher")]
    TooLarge(usize),
    /// The memory budget is exhausted; a later retry may succeed.
    #[error("too many bytes in flight")]
    Busy,
}

/// Part of the stored data whose labels can be listed.
pub trait LabelSource {
    /// Offers the label names of the series that satisfy every matcher, or of all series if there
    /// is none.
    ///
    /// # Errors
    /// [`LabelQueryError`] if the data cannot be read or the result exceeds its limits.
    fn label_names(
        &self,
        matchers: &[Matcher],
        strings: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError>;

    /// Offers the values of a label in the series that satisfy every matcher, or in all series if
    /// there is none.
    ///
    /// # Errors
    /// [`LabelQueryError`] if the data cannot be read or the result exceeds its limits.
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        strings: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError>;
}

/// Result of an offer to a [`LabelCollector`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferOutcome {
    /// The string is in the result.
    Accepted,
    /// The string is beyond the limit, and so is every greater one.
    Beyond,
}

/// Sorted set of the lowest offered strings, at most as many as the limit allows.
pub struct LabelCollector<'m> {
    strings: BTreeSet<Box<str>>,
    bytes: usize,
    limit: LabelQueryLimits,
    /// Bytes reserved so far.
    granted: usize,
    memory: Option<ReserveFn<'m>>,
}

/// Function that reserves a number of bytes. Returns `false` if the memory is not available.
pub type ReserveFn<'m> = &'m mut dyn FnMut(usize) -> bool;

impl std::fmt::Debug for LabelCollector<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LabelCollector({} of {:?})", self.strings.len(), self.limit)
    }
}

impl<'m> LabelCollector<'m> {
    /// Creates an empty collector.
    #[must_use]
    pub fn new(limit: LabelQueryLimits) -> Self {
        Self { strings: BTreeSet::new(), bytes: 0, limit, granted: 0, memory: None }
    }

    /// Creates an empty collector that reserves memory with `memory`.
    pub fn with_memory(limit: LabelQueryLimits, memory: ReserveFn<'m>) -> Self {
        Self { memory: Some(memory), ..Self::new(limit) }
    }

    /// Adds a string, unless it is beyond the limit.
    ///
    /// # Errors
    /// [`LabelQueryError::TooLarge`], or [`LabelQueryError::Busy`] if no memory is available.
    pub fn offer(&mut self, string: &str) -> Result<OfferOutcome, LabelQueryError> {
        if self.strings.len() >= self.limit.count
            && self.strings.last().is_none_or(|last| string > &**last)
        {
            return Ok(OfferOutcome::Beyond);
        }
        if !self.strings.contains(string) {
            self.bytes += string.len() + ENTRY_OVERHEAD_BYTES;
            self.strings.insert(string.into());
            if self.strings.len() > self.limit.count
                && let Some(last) = self.strings.pop_last()
            {
                self.bytes -= last.len() + ENTRY_OVERHEAD_BYTES;
            }
            if self.bytes > self.limit.bytes {
                return Err(LabelQueryError::TooLarge(self.limit.bytes));
            }
            self.reserve_more()?;
        }
        Ok(OfferOutcome::Accepted)
    }

    /// Reserves memory for the current result.
    fn reserve_more(&mut self) -> Result<(), LabelQueryError> {
        if let Some(memory) = &mut self.memory
            && self.bytes > self.granted
        {
            let step = MEMORY_STEP.max(self.bytes - self.granted);
            if !memory(step) {
                return Err(LabelQueryError::Busy);
            }
            self.granted += step;
        }
        Ok(())
    }

    /// Adds ascending strings until one is beyond the limit.
    ///
    /// # Errors
    /// The errors of [`Self::offer`], and the ones of the iterator.
    pub fn offer_sorted<T: AsRef<str>, E: Into<LabelQueryError>>(
        &mut self,
        ascending: impl Iterator<Item = Result<T, E>>,
    ) -> Result<(), LabelQueryError> {
        for string in ascending {
            if self.offer(string.map_err(Into::into)?.as_ref())? == OfferOutcome::Beyond {
                break;
            }
        }
        Ok(())
    }

    /// Returns the strings, sorted.
    #[must_use]
    pub fn into_sorted(self) -> Vec<String> {
        self.strings.into_iter().map(String::from).collect()
    }
}

/// Returns `true` if no matcher is about another label, so that the table of the label suffices.
#[must_use]
pub fn matches_only_label(name: &str, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.name() == name)
}

#[cfg(test)]
mod tests {
    use super::{LabelCollector, LabelQueryError, LabelQueryLimits, OfferOutcome};
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    #[test]
    fn limit_of_zero_accepts_nothing() {
        let mut strings = LabelCollector::new(LabelQueryLimits::with_count(0));
        assert_eq!(strings.offer("a").unwrap(), OfferOutcome::Beyond);
        assert!(strings.into_sorted().is_empty());
    }

    #[test]
    fn oversized_result_is_an_error() {
        let mut strings = LabelCollector::new(LabelQueryLimits { count: 3, bytes: 200 });
        for string in ["c", "d", "e", "b", "a"] {
            strings.offer(string).unwrap();
        }
        assert!(matches!(strings.offer(&"A".repeat(200)), Err(LabelQueryError::TooLarge(200))));
    }

    #[test]
    fn memory_is_reserved_before_use() {
        let mut reserved = 0;
        let mut memory = |bytes| {
            reserved += bytes;
            reserved <= 200_000
        };
        let mut strings = LabelCollector::with_memory(LabelQueryLimits::NONE, &mut memory);
        let rejected = (0..).find_map(|n| strings.offer(&format!("{n:0100}")).err());
        assert!(matches!(rejected, Some(LabelQueryError::Busy)));
        assert!((1000..2000).contains(&strings.strings.len()), "{strings:?}");
    }

    proptest! {
        #[test]
        fn lowest_strings_of_all_sources_are_kept(
            sources in proptest::collection::vec(
                proptest::collection::btree_set("[a-d]{0,3}", 0..20),
                0..5,
            ),
            count in 0usize..30,
        ) {
            let mut strings = LabelCollector::new(LabelQueryLimits::with_count(count));
            for source in &sources {
                strings.offer_sorted(source.iter().map(Ok::<_, LabelQueryError>)).unwrap();
            }
            let all: BTreeSet<String> = sources.into_iter().flatten().collect();
            prop_assert_eq!(strings.into_sorted(), all.into_iter().take(count).collect::<Vec<_>>());
        }
    }
}

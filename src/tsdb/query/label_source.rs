//! Which label names and values there are: the seam that the head and every block implement, and the sorted answer that they fill together.
//!
//! Without matchers a source answers from its tables of labels and looks at no series. As in Prometheus a source answers for all of its time, and
//! for what is deleted until it is written anew. A source offers texts one after the other and stops when it is told that no more are needed, so that what
//! is in memory is the answer, within its limit, whatever the source has.
//!
//! Source: `labelValuesWithMatchers` and `labelNamesWithMatchers` of Prometheus's `tsdb/querier.go`.

use crate::model::matcher::Matcher;
use crate::tsdb::query::source::QueryError;
use std::collections::BTreeSet;

/// What a text costs in an answer besides its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 48;
/// Memory is asked for in such steps.
const MEMORY_STEP: usize = 64 << 10;

/// How large an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelQueryLimits {
    /// So many texts are answered, the first ones; the rest is left out.
    pub count: usize,
    /// An answer that has more bytes in memory is given up.
    pub bytes: usize,
}

impl LabelQueryLimits {
    /// No limit.
    pub const NONE: Self = Self { count: usize::MAX, bytes: usize::MAX };

    /// The first `count` texts.
    #[must_use]
    pub fn with_count(count: usize) -> Self {
        Self { count, ..Self::NONE }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LabelQueryError {
    /// Stored data can't be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There are too many to be answered at once.
    #[error("the answer is larger than {0} bytes: ask for fewer, with a limit or a matcher")]
    TooLarge(usize),
    /// There is no memory for it now.
    #[error("too many bytes in flight")]
    Busy,
}

/// A part of the stored data whose labels can be listed.
pub trait LabelSource {
    /// Offers the names of the labels of the series that satisfy every matcher; of all where there is none.
    ///
    /// # Errors
    /// [`LabelQueryError`].
    fn label_names(
        &self,
        matchers: &[Matcher],
        texts: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError>;

    /// Offers the values of a label of the series that satisfy every matcher; of all where there is none.
    ///
    /// # Errors
    /// [`LabelQueryError`].
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        texts: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError>;
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferOutcome {
    /// It is in the answer.
    Accepted,
    /// It is beyond the limit, and so is all that is greater.
    Beyond,
}

/// The lowest of all texts that were offered, as many as the limit allows, each once.
pub struct LabelCollector<'m> {
    texts: BTreeSet<Box<str>>,
    bytes: usize,
    limit: LabelQueryLimits,
    /// Bytes that were asked for.
    granted: usize,
    memory: Option<ReserveFn<'m>>,
}

/// Is told that so many more bytes are needed, and says whether there are.
pub type ReserveFn<'m> = &'m mut dyn FnMut(usize) -> bool;

impl std::fmt::Debug for LabelCollector<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Texts({} of {:?})", self.texts.len(), self.limit)
    }
}

impl<'m> LabelCollector<'m> {
    /// None so far.
    #[must_use]
    pub fn new(limit: LabelQueryLimits) -> Self {
        Self { texts: BTreeSet::new(), bytes: 0, limit, granted: 0, memory: None }
    }

    /// None so far; `memory` is asked before there are more.
    pub fn with_memory(limit: LabelQueryLimits, memory: ReserveFn<'m>) -> Self {
        Self { memory: Some(memory), ..Self::new(limit) }
    }

    /// Takes a text, unless it is beyond the limit.
    ///
    /// # Errors
    /// [`LabelQueryError::TooLarge`].
    pub fn offer(&mut self, text: &str) -> Result<OfferOutcome, LabelQueryError> {
        if self.texts.len() >= self.limit.count
            && self.texts.last().is_none_or(|last| text > &**last)
        {
            return Ok(OfferOutcome::Beyond);
        }
        if !self.texts.contains(text) {
            self.bytes += text.len() + ENTRY_OVERHEAD_BYTES;
            self.texts.insert(text.into());
            if self.texts.len() > self.limit.count
                && let Some(last) = self.texts.pop_last()
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

    /// Asks for the memory of what there is now.
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

    /// Takes rising texts, as far as they are needed.
    ///
    /// # Errors
    /// [`LabelQueryError::TooLarge`], and what the texts themselves end with.
    pub fn offer_sorted<T: AsRef<str>, E: Into<LabelQueryError>>(
        &mut self,
        rising: impl Iterator<Item = Result<T, E>>,
    ) -> Result<(), LabelQueryError> {
        for text in rising {
            if self.offer(text.map_err(Into::into)?.as_ref())? == OfferOutcome::Beyond {
                break;
            }
        }
        Ok(())
    }

    /// The texts, sorted.
    #[must_use]
    pub fn into_sorted(self) -> Vec<String> {
        self.texts.into_iter().map(String::from).collect()
    }
}

/// Whether the values of a label can be told by the label's own table: no matcher is about another label.
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
    fn no_text_beyond_a_limit_of_none_is_needed() {
        let mut texts = LabelCollector::new(LabelQueryLimits::with_count(0));
        assert_eq!(texts.offer("a").unwrap(), OfferOutcome::Beyond);
        assert!(texts.into_sorted().is_empty());
    }

    #[test]
    fn an_answer_that_becomes_too_large_is_given_up() {
        let mut texts = LabelCollector::new(LabelQueryLimits { count: 3, bytes: 200 });
        for text in ["c", "d", "e", "b", "a"] {
            texts.offer(text).unwrap();
        }
        assert!(matches!(texts.offer(&"A".repeat(200)), Err(LabelQueryError::TooLarge(200))));
    }

    #[test]
    fn memory_is_asked_for_before_it_is_used() {
        let mut asked = 0;
        let mut memory = |bytes| {
            asked += bytes;
            asked <= 200_000
        };
        let mut texts = LabelCollector::with_memory(LabelQueryLimits::NONE, &mut memory);
        let refused = (0..).find_map(|n| texts.offer(&format!("{n:0100}")).err());
        assert!(matches!(refused, Some(LabelQueryError::Busy)));
        assert!((1000..2000).contains(&texts.texts.len()), "{texts:?}");
    }

    proptest! {
        #[test]
        fn the_lowest_texts_of_all_sources_are_left(
            sources in proptest::collection::vec(proptest::collection::btree_set("[a-d]{0,3}", 0..20), 0..5),
            count in 0usize..30,
        ) {
            let mut texts = LabelCollector::new(LabelQueryLimits::with_count(count));
            for source in &sources {
                texts.offer_sorted(source.iter().map(Ok::<_, LabelQueryError>)).unwrap();
            }
            let all: BTreeSet<String> = sources.into_iter().flatten().collect();
            prop_assert_eq!(texts.into_sorted(), all.into_iter().take(count).collect::<Vec<_>>());
        }
    }
}

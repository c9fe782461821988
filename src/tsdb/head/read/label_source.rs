//! Label names and values of the head: a [`LabelSource`] over its index and series.
//!
//! The index is locked for one page of values at a time.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::query::label_source::{
    LabelCollector, LabelQueryError, LabelSource, OfferOutcome, matches_only_label,
};

/// Number of values copied while the index is locked once.
const PAGE: usize = 256;

impl Head {
    /// Returns `true` if the head may have samples in the range.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        let in_order = self.times().min().zip(self.times().max());
        in_order.is_some_and(|(min, max)| range.overlaps(TimeRange::new(min, max)))
            || self.out_of_order_range().is_some_and(|ooo| range.overlaps(ooo))
    }

    /// Offers the values of a label that satisfy the matchers, all of which are on this label.
    fn offer_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.postings().values_after(name, after.as_deref(), PAGE);
            let Some(last) = page.last() else { return Ok(()) };
            for value in
                page.iter().filter(|value| matchers.iter().all(|matcher| matcher.matches(value)))
            {
                if collector.offer(value)? == OfferOutcome::Beyond {
                    return Ok(());
                }
            }
            after = Some(last.clone());
        }
    }
}

impl LabelSource for Head {
    fn label_names(
        &self,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        if matchers.is_empty() {
            return collector.offer_sorted(
                self.postings().label_names().into_iter().map(Ok::<_, LabelQueryError>),
            );
        }
        for series in self.postings().select(matchers) {
            if let Some(series) = self.series.get_by_ref(series) {
                collector.offer_sorted(
                    series.labels.iter().map(|(name, _)| Ok::<_, LabelQueryError>(name)),
                )?;
            }
        }
        Ok(())
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        if matches_only_label(name, matchers) {
            return self.offer_values(name, matchers, collector);
        }
        for series in self.postings().select(matchers) {
            if let Some(series) = self.series.get_by_ref(series)
                && let Some(value) = series.labels.get(name)
            {
                collector.offer(value)?;
            }
        }
        Ok(())
    }
}

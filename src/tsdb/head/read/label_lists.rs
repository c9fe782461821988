//! Label names and values of the head, from its index and series.
//!
//! The index is locked for one page of values at a time.

use crate::model::matcher::Matcher;
use crate::tsdb::head::series::store::SeriesStore;
use crate::tsdb::index::mem_postings::MemPostings;
use crate::tsdb::query::label_source::{
    LabelCollector, LabelQueryError, OfferOutcome, matches_only_label,
};

/// Number of values copied while the index is locked once.
const PAGE: usize = 256;

/// Offers the label names of the matching series.
pub(crate) fn list_names(
    series: &SeriesStore,
    matchers: &[Matcher],
    collector: &mut LabelCollector<'_>,
) -> Result<(), LabelQueryError> {
    let postings = series.postings();
    if matchers.is_empty() {
        let names = postings.label_names().into_iter();
        return collector.offer_sorted(names.map(Ok::<_, LabelQueryError>));
    }
    for series_ref in postings.select(matchers) {
        if let Some(series) = series.get_by_ref(series_ref) {
            let names = series.labels.iter().map(|(name, _)| Ok::<_, LabelQueryError>(name));
            collector.offer_sorted(names)?;
        }
    }
    Ok(())
}

/// Offers the values of a label of the matching series.
pub(crate) fn list_values(
    series: &SeriesStore,
    name: &str,
    matchers: &[Matcher],
    collector: &mut LabelCollector<'_>,
) -> Result<(), LabelQueryError> {
    if matches_only_label(name, matchers) {
        return list_matching_values(series.postings(), name, matchers, collector);
    }
    for series_ref in series.postings().select(matchers) {
        if let Some(series) = series.get_by_ref(series_ref)
            && let Some(value) = series.labels.get(name)
        {
            collector.offer(value)?;
        }
    }
    Ok(())
}

/// Offers the values of a label that satisfy the matchers, all of which are on this label.
fn list_matching_values(
    postings: &MemPostings,
    name: &str,
    matchers: &[Matcher],
    collector: &mut LabelCollector<'_>,
) -> Result<(), LabelQueryError> {
    let mut after: Option<String> = None;
    loop {
        let page = postings.values_after(name, after.as_deref(), PAGE);
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

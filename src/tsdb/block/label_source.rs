//! Labels of a block: a [`LabelSource`] over its index. Reads no chunks.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::tsdb::block::open::Block;
use crate::tsdb::index::block_index::reader::IndexReader;
use crate::tsdb::query::label_source::{
    LabelCollector, LabelQueryError, LabelSource, matches_only_label,
};
use crate::tsdb::query::source::QueryError;

impl LabelSource for Block {
    fn label_names(
        &self,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        if matchers.is_empty() {
            return collector
                .offer_sorted(self.index.label_names().into_iter().map(Ok::<_, LabelQueryError>));
        }
        for_each_label_set(&self.index, matchers, |labels| {
            collector.offer_sorted(labels.iter().map(|(name, _)| Ok::<_, LabelQueryError>(name)))
        })
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        if matches_only_label(name, matchers) {
            let is_wanted = |value: &str| matchers.iter().all(|matcher| matcher.matches(value));
            let values = self.index.values(name).map(|value| value.map_err(QueryError::from));
            return collector.offer_sorted(
                values.filter(|value| value.as_ref().map_or(true, |value| is_wanted(value))),
            );
        }
        for_each_label_set(&self.index, matchers, |labels| match labels.get(name) {
            Some(value) => collector.offer(value).map(drop),
            None => Ok(()),
        })
    }
}

/// Calls `visit` with the labels of every series that satisfies the matchers.
fn for_each_label_set(
    index: &IndexReader,
    matchers: &[Matcher],
    mut visit: impl FnMut(&Labels) -> Result<(), LabelQueryError>,
) -> Result<(), LabelQueryError> {
    let mut chunks = Vec::new();
    for series in index.select(matchers).map_err(QueryError::from)? {
        visit(&index.read_series(series, &mut chunks).map_err(QueryError::from)?)?;
    }
    Ok(())
}

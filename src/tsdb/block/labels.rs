//! The labels of a block: a [`LabelSource`] over its index. No chunk is looked at.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::open::Block;
use crate::tsdb::index::block_index::error::IndexError;
use crate::tsdb::query::labels::{LabelError, LabelSource, Texts, is_about_only};
use crate::tsdb::query::source::QueryError;

impl Block {
    /// Shows the labels of every series that satisfies the matchers.
    fn each_labels(
        &self,
        matchers: &[Matcher],
        mut show: impl FnMut(&Labels) -> Result<(), LabelError>,
    ) -> Result<(), LabelError> {
        let mut chunks = Vec::new();
        for series in self.index.select(matchers).map_err(damaged)? {
            show(&self.index.read_series(series, &mut chunks).map_err(damaged)?)?;
        }
        Ok(())
    }
}

impl LabelSource for Block {
    fn label_names(&self, matchers: &[Matcher], texts: &mut Texts<'_>) -> Result<(), LabelError> {
        if matchers.is_empty() {
            return texts.offer_rising(self.index.label_names().into_iter().map(Ok::<_, LabelError>));
        }
        self.each_labels(matchers, |labels| {
            texts.offer_rising(labels.iter().map(|(name, _)| Ok::<_, LabelError>(name)))
        })
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], texts: &mut Texts<'_>) -> Result<(), LabelError> {
        if is_about_only(name, matchers) {
            let is_wanted = |value: &str| matchers.iter().all(|matcher| matcher.matches(value));
            let values = self.index.values(name).map(|value| value.map_err(damaged));
            return texts.offer_rising(values.filter(|value| value.as_ref().map_or(true, |value| is_wanted(value))));
        }
        self.each_labels(matchers, |labels| match labels.get(name) {
            Some(value) => texts.offer(value).map(drop),
            None => Ok(()),
        })
    }
}

fn damaged(error: IndexError) -> LabelError {
    QueryError::Damaged(BlockError::from(error).to_string()).into()
}

//! Head as a source of queries and label lists.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::tsdb::head::Head;
use crate::tsdb::head::read::chunk_selector::ChunkSelector;
use crate::tsdb::head::read::label_lists::{list_names, list_values};
use crate::tsdb::head::read::series_view::ChunkSelection;
use crate::tsdb::query::label_source::{LabelCollector, LabelQueryError, LabelSource};
use crate::tsdb::query::source::{BlockSource, ChunkSeriesSet, QueryError};

impl BlockSource for Head {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<ChunkSeriesSet<'_>, QueryError> {
        let selector = ChunkSelector::new(self);
        let snapshot = self.snapshot();
        let series = self.series.select(matchers);
        Ok(Box::new(series.into_iter().filter_map(move |series| {
            let commits = Some(snapshot.commits());
            selector.select(&series, range, ChunkSelection::All, commits).transpose()
        })))
    }
}

impl LabelSource for Head {
    fn label_names(
        &self,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        list_names(&self.series, matchers, collector)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        collector: &mut LabelCollector<'_>,
    ) -> Result<(), LabelQueryError> {
        list_values(&self.series, name, matchers, collector)
    }
}

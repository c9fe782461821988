//! `GET` or `POST /api/v1/series?match[]=…&start=…&end=…&limit=…`: the label sets of the series that a selector chooses, sorted.
//!
//! ```text
//! {"status":"success","data":[{"__name__":"up","job":"node"}]}
//! ```
//!
//! As in Prometheus a series is listed where it has a chunk that overlaps the range; no chunk is decoded.

use crate::model::labels::Labels;
use crate::server::api::ApiError;
use crate::server::listing;
use crate::server::listing::{ListEnd, ListQuery, ListResponseBuilder};
use crate::server::parameters;
use crate::server::state::SharedState;
use crate::tsdb::query::merged_series::MergedSeries;
use crate::tsdb::query::source::QueryError;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;

/// Lists series.
pub(crate) async fn series(State(context): State<SharedState>, request: Request) -> Response {
    let parameters = listing::parameters(&context, request).await;
    let wanted = parameters.and_then(|parameters| {
        if parameters.iter().all(|(name, _)| name != "match[]") {
            return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
        }
        ListQuery::parse(&parameters, |error| parameters::invalid_parameter("match[]", error))
    });
    match wanted {
        Ok(wanted) => {
            listing::respond(context, move |context, making| list(context, &wanted, making)).await
        }
        Err(error) => error.into_response(),
    }
}

fn list(
    context: &SharedState,
    wanted: &ListQuery,
    making: &mut ListResponseBuilder,
) -> Result<ListEnd, ApiError> {
    let querier = context.db.querier();
    let sets =
        wanted.matcher_sets().into_iter().map(|matchers| querier.select(matchers, wanted.range));
    let sets = sets.collect::<Result<Vec<_>, _>>().map_err(query_error)?;
    let mut merged = LabelMerger { iters: sets.into_iter().map(Iterator::peekable).collect() };
    while let Some(labels) = merged.next_labels().map_err(query_error)? {
        if wanted.limit.is_some_and(|limit| making.entries() >= limit) {
            return Ok(ListEnd::Truncated);
        }
        making.push_entry(|out| push_labels(out, &labels))?;
    }
    Ok(ListEnd::Complete)
}

/// Several rising lists of series as one, each series once.
struct LabelMerger<I: Iterator<Item = Result<MergedSeries, QueryError>>> {
    iters: Vec<std::iter::Peekable<I>>,
}

impl<I: Iterator<Item = Result<MergedSeries, QueryError>>> LabelMerger<I> {
    fn next_labels(&mut self) -> Result<Option<Labels>, QueryError> {
        let mut lowest: Option<Labels> = None;
        for front in &mut self.iters {
            match front.peek() {
                Some(Ok(series))
                    if lowest.as_ref().is_none_or(|lowest| series.labels() < lowest) =>
                {
                    lowest = Some(series.labels().clone());
                }
                // Taken out, as an error can't be cloned.
                Some(Err(_)) => front.next().transpose().map(drop)?,
                _ => {}
            }
        }
        let Some(labels) = lowest else { return Ok(None) };
        for front in &mut self.iters {
            front.next_if(|series| series.as_ref().is_ok_and(|series| *series.labels() == labels));
        }
        Ok(Some(labels))
    }
}

fn push_labels(text: &mut String, labels: &Labels) {
    text.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{}:{}",
            serde_json::Value::from(name),
            serde_json::Value::from(value)
        );
    }
    text.push('}');
}

fn query_error(error: QueryError) -> ApiError {
    tracing::error!(%error, "series can't be listed");
    ApiError::Internal(error.to_string())
}

//! `GET` or `POST /api/v1/series?match[]=…&start=…&end=…&limit=…`: sorted label sets of the
//! selected series.
//!
//! ```text
//! {"status":"success","data":[{"__name__":"up","job":"node"}]}
//! ```
//!
//! As in Prometheus, a series is listed if one of its chunks overlaps the range; chunks are not
//! decoded.

use crate::model::labels::Labels;
use crate::server::api::listing;
use crate::server::api::listing::{ListEnd, ListQuery, ListResponseBuilder};
use crate::server::api::parameters;
use crate::server::contract::api_error::ApiError;
use crate::server::contract::query_error::log_query_error;
use crate::server::requests::list_state::ListState;
use crate::tsdb::db::{MergedSeries, QueryError};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::sync::Arc;

/// Handles a request for series.
pub(crate) async fn series(State(lists): State<Arc<ListState>>, request: Request) -> Response {
    let parameters = listing::parameters(&lists, request).await;
    let query = parameters.and_then(|parameters| {
        if parameters.iter().all(|(name, _)| name != "match[]") {
            return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
        }
        ListQuery::parse(&parameters, |error| parameters::invalid_parameter("match[]", error))
    });
    match query {
        Ok(query) => {
            listing::respond(lists, move |lists, builder| list(lists, &query, builder)).await
        }
        Err(error) => error.into_response(),
    }
}

fn list(
    lists: &ListState,
    query: &ListQuery,
    builder: &mut ListResponseBuilder,
) -> Result<ListEnd, ApiError> {
    let querier = lists.db.ready()?.querier();
    let sets =
        query.matcher_sets().into_iter().map(|matchers| querier.select(matchers, query.range));
    let sets = sets.collect::<Result<Vec<_>, _>>().map_err(query_error)?;
    let mut merged = LabelMerger { iters: sets.into_iter().map(Iterator::peekable).collect() };
    while let Some(labels) = merged.next_labels().map_err(query_error)? {
        if query.limit.is_some_and(|limit| builder.entries() >= limit) {
            return Ok(ListEnd::Truncated);
        }
        builder.push_entry(|out| push_labels(out, &labels))?;
    }
    Ok(ListEnd::Complete)
}

/// Merge of sorted series iterators; duplicate series are returned once.
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
                // Take it out: the error cannot be cloned.
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
    log_query_error("list series", &error);
    ApiError::Internal(error.to_string())
}

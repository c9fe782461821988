//! `GET` or `POST /api/v1/series?match[]=…&start=…&end=…&limit=…`: the label sets of the series that a selector chooses, sorted.
//!
//! ```text
//! {"status":"success","data":[{"__name__":"up","job":"node"}]}
//! ```
//!
//! As in Prometheus a series is listed where it has a chunk that overlaps the range; no chunk is decoded.

use crate::model::labels::Labels;
use crate::server::api::ApiError;
use crate::server::context::SharedContext;
use crate::server::listing;
use crate::server::listing::{End, Making, Wanted};
use crate::server::parameters;
use crate::tsdb::query::samples::Series;
use crate::tsdb::query::source::QueryError;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;

/// Lists series.
pub(crate) async fn series(State(context): State<SharedContext>, request: Request) -> Response {
    let parameters = listing::parameters(&context, request).await;
    let wanted = parameters.and_then(|parameters| {
        if parameters.iter().all(|(name, _)| name != "match[]") {
            return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
        }
        Wanted::of(&parameters, |error| parameters::invalid("match[]", error))
    });
    match wanted {
        Ok(wanted) => listing::answer(context, move |context, making| list(context, &wanted, making)).await,
        Err(error) => error.into_response(),
    }
}

fn list(context: &SharedContext, wanted: &Wanted, making: &mut Making) -> Result<End, ApiError> {
    let querier = context.db.querier();
    let sets = wanted.sets().into_iter().map(|matchers| querier.select(matchers, wanted.range));
    let sets = sets.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut merged = Merged { fronts: sets.into_iter().map(Iterator::peekable).collect() };
    while let Some(labels) = merged.next_labels().map_err(failed)? {
        if wanted.limit.is_some_and(|limit| making.entries() >= limit) {
            return Ok(End::Truncated);
        }
        making.entry(|out| push_labels(out, &labels))?;
    }
    Ok(End::Whole)
}

/// Several rising lists of series as one, each series once.
struct Merged<I: Iterator<Item = Result<Series, QueryError>>> {
    fronts: Vec<std::iter::Peekable<I>>,
}

impl<I: Iterator<Item = Result<Series, QueryError>>> Merged<I> {
    fn next_labels(&mut self) -> Result<Option<Labels>, QueryError> {
        let mut lowest: Option<Labels> = None;
        for front in &mut self.fronts {
            match front.peek() {
                Some(Ok(series)) if lowest.as_ref().is_none_or(|lowest| series.labels() < lowest) => {
                    lowest = Some(series.labels().clone());
                }
                // Taken out, as an error can't be cloned.
                Some(Err(_)) => front.next().transpose().map(drop)?,
                _ => {}
            }
        }
        let Some(labels) = lowest else { return Ok(None) };
        for front in &mut self.fronts {
            front.next_if(|series| series.as_ref().is_ok_and(|series| *series.labels() == labels));
        }
        Ok(Some(labels))
    }
}

fn push_labels(text: &mut String, labels: &Labels) {
    text.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{}:{}", serde_json::Value::from(name), serde_json::Value::from(value));
    }
    text.push('}');
}

fn failed(error: QueryError) -> ApiError {
    tracing::error!(%error, "series can't be listed");
    ApiError::Internal(error.to_string())
}

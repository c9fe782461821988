//! `POST` or `PUT /api/v1/admin/tsdb/…`: delete series, clean up after that, take a snapshot; as Prometheus has them.
//!
//! Only with `--web.enable-admin-api`. Parameters stand in the path's query or in a form. One order is carried out at a time, on a
//! blocking thread and to its end, also where the client has gone.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::server::admission::Overloaded;
use crate::server::api;
use crate::server::api::ApiError;
use crate::server::parameters;
use crate::server::parameters::{Parameter, first_value, invalid_parameter};
use crate::server::process_control::ApiAccess;
use crate::server::promql_selector;
use crate::server::state::SharedState;
use crate::tsdb::db::Db;
use crate::tsdb::db::admin::SnapshotContents;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::error::MaintenanceError;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Selectors in one request.
const MAX_SELECTORS: usize = 1000;

/// `delete_series?match[]=…&start=…&end=…`.
pub(crate) async fn delete_series(
    State(context): State<SharedState>,
    request: Request,
) -> Response {
    let wanted = match parameters(&context, request)
        .await
        .and_then(|parameters| parse_delete_params(&parameters))
    {
        Ok(wanted) => wanted,
        Err(error) => return error.into_response(),
    };
    tracing::info!(selectors = ?wanted.selectors, range = ?wanted.range, "told to delete series");
    no_content(
        run_admin_operation(context, move |db| db.delete(&wanted.selectors, wanted.range)).await,
    )
}

/// `clean_tombstones`.
pub(crate) async fn clean_tombstones(
    State(context): State<SharedState>,
    request: Request,
) -> Response {
    if let Err(error) = parameters(&context, request).await {
        return error.into_response();
    }
    tracing::info!("told to clean up after deletions");
    no_content(run_admin_operation(context, Db::clean_tombstones).await)
}

/// `snapshot?skip_head=…`.
pub(crate) async fn snapshot(State(context): State<SharedState>, request: Request) -> Response {
    let parts = match parameters(&context, request)
        .await
        .and_then(|parameters| snapshot_parts(&parameters))
    {
        Ok(parts) => parts,
        Err(error) => return error.into_response(),
    };
    tracing::info!(?parts, "told to take a snapshot");
    match run_admin_operation(context, move |db| db.snapshot(parts, now_ms())).await {
        Ok(name) => api::success(&SnapshotData { name }),
        Err(error) => error.into_response(),
    }
}

/// What is to be deleted.
#[derive(Debug)]
struct DeleteParams {
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
}

#[derive(Serialize)]
struct SnapshotData {
    name: String,
}

/// The parameters of a request that is let in.
async fn parameters(context: &SharedState, request: Request) -> Result<Vec<Parameter>, ApiError> {
    if context.control.admin == ApiAccess::Off {
        return Err(ApiError::Disabled(
            "the admin API is switched off; see --web.enable-admin-api".to_owned(),
        ));
    }
    parameters::parse_request(context, request).await
}

fn parse_delete_params(parameters: &[Parameter]) -> Result<DeleteParams, ApiError> {
    let texts: Vec<&str> = parameters
        .iter()
        .filter(|(name, _)| name == "match[]")
        .map(|(_, value)| value.as_str())
        .collect();
    if texts.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
    }
    if texts.len() > MAX_SELECTORS {
        return Err(ApiError::BadData(format!("more than {MAX_SELECTORS} selectors")));
    }
    let range = parameters::time_range(parameters)?;
    let selectors = texts
        .iter()
        .map(|text| promql_selector::parse_unrestricted(text))
        .collect::<Result<Vec<_>, _>>();
    Ok(DeleteParams {
        selectors: selectors.map_err(|error| invalid_parameter("match[]", error))?,
        range,
    })
}

fn snapshot_parts(parameters: &[Parameter]) -> Result<SnapshotContents, ApiError> {
    match first_value(parameters, "skip_head") {
        None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => {
            Ok(SnapshotContents::BlocksAndHead)
        }
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(SnapshotContents::Blocks),
        Some(other) => {
            Err(invalid_parameter("skip_head", format!("{other:?} is neither true nor false")))
        }
    }
}

/// Waits for the turn and works on a blocking thread.
async fn run_admin_operation<T: Send + 'static>(
    context: SharedState,
    work: impl FnOnce(&Db) -> Result<T, MaintenanceError> + Send + 'static,
) -> Result<T, ApiError> {
    let permit = context.admin_gate.acquire().await;
    let permit = permit.map_err(|Overloaded| {
        ApiError::Unavailable("another order is being carried out".to_owned())
    })?;
    let working = tokio::task::spawn_blocking(move || {
        let _held = permit;
        work(&context.db)
    });
    match working.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(MaintenanceError::Cancelled)) => {
            tracing::info!("an order of the admin API is given up, as the process ends");
            Err(ApiError::from(MaintenanceError::Cancelled))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "an order of the admin API failed");
            Err(ApiError::from(error))
        }
        Err(error) => {
            tracing::error!(%error, "an order of the admin API broke");
            Err(ApiError::Internal("carrying it out broke".to_owned()))
        }
    }
}

impl From<MaintenanceError> for ApiError {
    fn from(error: MaintenanceError) -> Self {
        let text = error.to_string();
        match error {
            MaintenanceError::NotReady
            | MaintenanceError::Cancelled
            | MaintenanceError::ReadOnly(_) => Self::Unavailable(text),
            MaintenanceError::Failed(_) => Self::Internal(text),
        }
    }
}

fn no_content(done: Result<(), ApiError>) -> Response {
    match done {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiError, parse_delete_params, snapshot_parts};
    use crate::model::time::TimeRange;
    use crate::tsdb::db::admin::SnapshotContents;

    fn parameters(query: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    #[test]
    fn a_deletion_has_selectors_and_by_default_all_times() {
        let found = parse_delete_params(&parameters("match[]=up&match%5B%5D={job=\"a\"}")).unwrap();
        assert_eq!((found.selectors.len(), found.range), (2, TimeRange::ALL));
        let found = parse_delete_params(&parameters(
            "match[]={__name__=~\".*\"}&start=1.5&end=2025-11-05T00:00:00Z",
        ))
        .unwrap();
        assert_eq!(found.range, TimeRange::new(1500, 1_762_300_800_000));
        for (query, part) in [
            ("", "match[]"),
            ("match=up", "match[]"),
            ("match[]={", "match[]"),
            ("match[]=up&start=x", "start"),
            ("match[]=up&end=x", "end"),
        ] {
            let error = parse_delete_params(&parameters(query)).unwrap_err();
            assert!(
                matches!(&error, ApiError::BadData(text) if text.contains(part)),
                "{query}: {error:?}"
            );
        }
    }

    #[test]
    fn a_snapshot_has_the_head_unless_it_is_skipped() {
        assert_eq!(snapshot_parts(&parameters("")), Ok(SnapshotContents::BlocksAndHead));
        assert_eq!(
            snapshot_parts(&parameters("skip_head=false")),
            Ok(SnapshotContents::BlocksAndHead)
        );
        assert_eq!(snapshot_parts(&parameters("skip_head=1")), Ok(SnapshotContents::Blocks));
        assert!(snapshot_parts(&parameters("skip_head=yes")).is_err());
    }
}

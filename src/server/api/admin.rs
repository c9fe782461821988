//! Admin API under `/api/v1/admin/tsdb/`: delete series, clean tombstones, take a snapshot.
//!
//! The methods are `POST` and `PUT`, as in Prometheus; `--web.enable-admin-api` enables the API.
//! Parameters come from the query string or a form. One operation runs at a time, on a blocking
//! thread. An operation that has started finishes even if the client disconnects or the time limit
//! is over; one that still waits for its turn is then dropped.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::promql::parser::parse_selector;
use crate::server::api::parameters;
use crate::server::api::parameters::{Parameter, first_value, invalid_parameter};
use crate::server::api::response;
use crate::server::contract::api_error::ApiError;
use crate::server::management::process_control::ApiAccess;
use crate::server::requests::time_limits::StartMark;
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::blocking::{BlockingError, run_with_permit};
use crate::server::transport::body::BodyLimits;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::admin::Admin;
use crate::tsdb::db::admin::snapshot::SnapshotContents;
use crate::tsdb::db::clock::now_ms;
use crate::tsdb::db::error::MaintenanceError;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// Maximum number of selectors per request.
const MAX_SELECTORS: usize = 1000;

/// State of admin operations.
#[derive(Debug)]
pub struct AdminState {
    /// Database of all samples.
    pub db: Arc<DbHandle>,
    /// Availability of the API.
    pub access: ApiAccess,
    /// Limit of admin operations: one runs, others wait.
    pub gate: ConcurrencyLimiter,
    /// Time and memory limits of request bodies. `size` is a default that handlers replace.
    pub bodies: BodyLimits,
}

/// Handles `delete_series?match[]=…&start=…&end=…`.
pub(crate) async fn delete_series(
    State(admin): State<Arc<AdminState>>,
    request: Request,
) -> Response {
    let mark = StartMark::of(request.extensions());
    let params = match parameters(&admin, request)
        .await
        .and_then(|parameters| parse_delete_params(&parameters))
    {
        Ok(params) => params,
        Err(error) => return error.into_response(),
    };
    tracing::info!(selectors = ?params.selectors, range = ?params.range, "deleting series");
    no_content(
        run_admin_operation(&admin, &mark, move |admin| {
            admin.delete(&params.selectors, params.range)
        })
        .await,
    )
}

pub(crate) async fn clean_tombstones(
    State(admin): State<Arc<AdminState>>,
    request: Request,
) -> Response {
    let mark = StartMark::of(request.extensions());
    if let Err(error) = parameters(&admin, request).await {
        return error.into_response();
    }
    tracing::info!("cleaning tombstones");
    no_content(run_admin_operation(&admin, &mark, |admin| admin.clean_tombstones()).await)
}

/// Handles `snapshot?skip_head=…`.
pub(crate) async fn snapshot(State(admin): State<Arc<AdminState>>, request: Request) -> Response {
    let mark = StartMark::of(request.extensions());
    let contents = match parameters(&admin, request)
        .await
        .and_then(|parameters| snapshot_contents(&parameters))
    {
        Ok(contents) => contents,
        Err(error) => return error.into_response(),
    };
    tracing::info!(?contents, "taking snapshot");
    let taken = run_admin_operation(&admin, &mark, move |admin| admin.snapshot(contents, now_ms()));
    match taken.await {
        Ok(name) => response::success(&SnapshotData { name }),
        Err(error) => error.into_response(),
    }
}

/// Parameters of a deletion.
#[derive(Debug)]
struct DeleteParams {
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
}

#[derive(Serialize)]
struct SnapshotData {
    name: String,
}

/// Returns the parameters of a request, or an error if the API is disabled.
async fn parameters(admin: &AdminState, request: Request) -> Result<Vec<Parameter>, ApiError> {
    if admin.access == ApiAccess::Off {
        return Err(ApiError::Disabled(
            "admin API is disabled (--web.enable-admin-api)".to_owned(),
        ));
    }
    parameters::parse_request(&admin.bodies, request).await
}

fn parse_delete_params(parameters: &[Parameter]) -> Result<DeleteParams, ApiError> {
    let strings: Vec<&str> = parameters
        .iter()
        .filter(|(name, _)| name == "match[]")
        .map(|(_, value)| value.as_str())
        .collect();
    if strings.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
    }
    if strings.len() > MAX_SELECTORS {
        return Err(ApiError::BadData(format!("request has more than {MAX_SELECTORS} selectors")));
    }
    let range = parameters::time_range(parameters)?;
    let selectors = strings
        .iter()
        .map(|selector| parse_selector(selector.as_bytes()))
        .collect::<Result<Vec<_>, _>>();
    Ok(DeleteParams {
        selectors: selectors.map_err(|error| invalid_parameter("match[]", error))?,
        range,
    })
}

fn snapshot_contents(parameters: &[Parameter]) -> Result<SnapshotContents, ApiError> {
    match first_value(parameters, "skip_head") {
        None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => {
            Ok(SnapshotContents::BlocksAndHead)
        }
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(SnapshotContents::Blocks),
        Some(other) => Err(invalid_parameter("skip_head", format!("{other:?} is not a boolean"))),
    }
}

/// Waits for the permit and runs `work` on a blocking thread. Sets `mark` when the work starts.
async fn run_admin_operation<T: Send + 'static>(
    admin: &AdminState,
    mark: &StartMark,
    work: impl FnOnce(Admin<'_>) -> Result<T, MaintenanceError> + Send + 'static,
) -> Result<T, ApiError> {
    let db = admin.db.clone();
    let permit = admin
        .gate
        .acquire()
        .await
        .map_err(|_| ApiError::Unavailable("another admin operation is running".to_owned()))?;
    mark.set();
    let working = run_with_permit(permit, "running the admin operation", move |_| {
        let ready = db.ready().map_err(MaintenanceError::from);
        ready.and_then(|db| work(db.admin())).inspect_err(log_failure)
    });
    Ok(working.await.map_err(BlockingError::from)??)
}

fn log_failure(error: &MaintenanceError) {
    match error {
        MaintenanceError::Cancelled => tracing::info!("admin operation cancelled by shutdown"),
        error => tracing::error!(%error, "admin operation failed"),
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
    use super::{ApiError, parse_delete_params, snapshot_contents};
    use crate::model::time::TimeRange;
    use crate::tsdb::db::admin::snapshot::SnapshotContents;

    fn parameters(query: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    #[test]
    fn deletion_needs_selectors_and_defaults_to_all_times() {
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
                matches!(&error, ApiError::BadData(message) if message.contains(part)),
                "{query}: {error:?}"
            );
        }
    }

    #[test]
    fn snapshot_contains_the_head_unless_skipped() {
        assert_eq!(snapshot_contents(&parameters("")), Ok(SnapshotContents::BlocksAndHead));
        assert_eq!(
            snapshot_contents(&parameters("skip_head=false")),
            Ok(SnapshotContents::BlocksAndHead)
        );
        assert_eq!(snapshot_contents(&parameters("skip_head=1")), Ok(SnapshotContents::Blocks));
        assert!(snapshot_contents(&parameters("skip_head=yes")).is_err());
    }
}

//! Request parameters of Prometheus's HTTP API, from the query string and a form body.

use crate::model::time::TimeRange;
use crate::server::api::media_type::MediaType;
use crate::server::api::timestamp;
use crate::server::contract::api_error::ApiError;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::requests::acceptance;
use crate::server::transport::body;
use crate::server::transport::body::{BodyError, BodyLimits, SizeLimit};
use crate::tsdb::db::DbHandle;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;

/// Maximum size of a form.
const MAX_FORM_SIZE: SizeLimit = SizeLimit::fixed(10 << 20);

/// Name and value of a parameter.
pub(crate) type Parameter = (String, String);

/// Checks that the server is ready.
///
/// # Errors
/// [`ApiError::Unavailable`], as in Prometheus.
pub(crate) fn check_ready(lifecycle: &Lifecycle, db: &DbHandle) -> Result<(), ApiError> {
    let accepting = acceptance::check_accepting(lifecycle, db);
    accepting.map_err(|_| ApiError::Unavailable("Service Unavailable".to_owned()))
}

/// Returns the parameters. Those of a form precede those of the query string.
///
/// # Errors
/// [`ApiError`] if the form cannot be read.
pub(crate) async fn parse_request(
    bodies: &BodyLimits,
    request: Request,
) -> Result<Vec<Parameter>, ApiError> {
    read_request(bodies, request).await.map_err(|error| {
        let message = format!("cannot read form: {error}");
        match error {
            BodyError::TooLarge(_) => ApiError::TooLarge(message),
            BodyError::TooSlow(_) | BodyError::NoMemory(_) => ApiError::Unavailable(message),
            BodyError::Broken(_) => ApiError::BadData(message),
        }
    })
}

/// Returns the parameters like [`parse_request`], for handlers with errors of their own.
///
/// # Errors
/// [`BodyError`] of the form.
pub(crate) async fn read_request(
    bodies: &BodyLimits,
    request: Request,
) -> Result<Vec<Parameter>, BodyError> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = content_type
        .and_then(MediaType::parse)
        .is_some_and(|kind| kind.essence == "application/x-www-form-urlencoded");
    let mut parameters = Vec::new();
    if is_form {
        let limits = BodyLimits { size: MAX_FORM_SIZE, ..bodies.clone() };
        let form = body::collect(request.into_body(), limits).await?;
        parameters.extend(form_urlencoded::parse(&form.bytes).into_owned());
    }
    parameters.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
    Ok(parameters)
}

/// Returns the first value of a parameter, or `None` if it is missing or empty.
pub(crate) fn first_value<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(given, _)| given == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// Returns the range from `start` to `end`, which defaults to all times.
///
/// # Errors
/// [`ApiError::BadData`] if a bound is not a timestamp.
pub(crate) fn time_range(parameters: &[Parameter]) -> Result<TimeRange, ApiError> {
    let time = |name: &str, default: i64| match first_value(parameters, name) {
        Some(text) => timestamp::parse_millis(text).map_err(|error| invalid_parameter(name, error)),
        None => Ok(default),
    };
    Ok(TimeRange::new(time("start", TimeRange::ALL.mint)?, time("end", TimeRange::ALL.maxt)?))
}

/// Returns the error of an invalid parameter.
pub(crate) fn invalid_parameter(name: &str, error: impl std::fmt::Display) -> ApiError {
    ApiError::BadData(format!("invalid parameter {name:?}: {error}"))
}

//! The parameters of a request of Prometheus's HTTP API: in the path's query, or in a form as its body.

use crate::model::time::TimeRange;
use crate::server::api::ApiError;
use crate::server::body;
use crate::server::body::BodyLimits;
use crate::server::media_type::MediaType;
use crate::server::state::SharedState;
use crate::server::timestamp;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;

/// A form is no larger.
const MAX_FORM_BYTES: usize = 10 << 20;

/// A name and a value.
pub(crate) type Parameter = (String, String);

/// Reads them; those of a form go before those of the query.
///
/// # Errors
/// [`ApiError::BadData`] where the form can't be read.
pub(crate) async fn parse_request(
    context: &SharedState,
    request: Request,
) -> Result<Vec<Parameter>, ApiError> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = content_type
        .and_then(MediaType::parse)
        .is_some_and(|kind| kind.essence == "application/x-www-form-urlencoded");
    let mut parameters = Vec::new();
    if is_form {
        let limits = BodyLimits { size: MAX_FORM_BYTES, ..context.body_limits.clone() };
        let form = body::collect(request.into_body(), limits).await;
        let form =
            form.map_err(|error| ApiError::BadData(format!("can't read the form: {error}")))?;
        parameters.extend(form_urlencoded::parse(&form.bytes).into_owned());
    }
    parameters.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
    Ok(parameters)
}

/// The first value of a parameter, where it has one that is not empty.
pub(crate) fn first_value<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(given, _)| given == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// From `start` to `end`, by default all times.
///
/// # Errors
/// [`ApiError::BadData`] where one is no time.
pub(crate) fn time_range(parameters: &[Parameter]) -> Result<TimeRange, ApiError> {
    let time = |name: &str, default: i64| match first_value(parameters, name) {
        Some(text) => timestamp::parse_millis(text).map_err(|error| invalid_parameter(name, error)),
        None => Ok(default),
    };
    Ok(TimeRange::new(time("start", TimeRange::ALL.mint)?, time("end", TimeRange::ALL.maxt)?))
}

/// A parameter can't be what it is.
pub(crate) fn invalid_parameter(name: &str, error: impl std::fmt::Display) -> ApiError {
    ApiError::BadData(format!("invalid parameter {name:?}: {error}"))
}

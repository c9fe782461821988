//! Deadline of a gRPC client.
//!
//! The deadline (`grpc-timeout`) can only shorten narthex's own limits. A write that is being
//! stored at the deadline continues; its client does not learn the outcome and retries.
//!
//! Source: the protocol of gRPC over HTTP/2, "Request-Headers".

use crate::server::transport::framing::early_end_body::EarlyEndBody;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum number of digits of a timeout.
const MAX_DIGITS: usize = 8;

/// Error of a call with a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeadlineError {
    /// The header is not a timeout.
    #[error("invalid grpc-timeout header")]
    Invalid,
    /// The deadline has passed.
    #[error("deadline exceeded")]
    Exceeded,
}

/// Returns the deadline of a request with these headers, or `None` if it has none. A deadline that
/// the clock cannot represent is none.
///
/// # Errors
/// [`DeadlineError::Invalid`].
pub(crate) fn parse_deadline(headers: &HeaderMap) -> Result<Option<Instant>, DeadlineError> {
    let Some(header) = headers.get("grpc-timeout") else { return Ok(None) };
    let timeout = parse_timeout(header).ok_or(DeadlineError::Invalid)?;
    Ok(Instant::now().checked_add(timeout))
}

/// Waits for the head of a response until the deadline. The deadline also ends its body, with the
/// trailers that `late_trailers` returns.
///
/// # Errors
/// [`DeadlineError::Exceeded`].
pub(crate) async fn respond_before(
    deadline: Instant,
    response: impl Future<Output = Response>,
    late_trailers: fn() -> Option<HeaderMap>,
) -> Result<Response, DeadlineError> {
    let response = tokio::time::timeout_at(deadline, response).await;
    let response = response.map_err(|_| DeadlineError::Exceeded)?;
    let end = async move {
        tokio::time::sleep_until(deadline).await;
        late_trailers()
    };
    Ok(response.map(|body| Body::new(EarlyEndBody::new(body, end))))
}

/// Parses up to eight digits and a unit.
fn parse_timeout(header: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = header.to_str().ok()?.split_at_checked(header.len().checked_sub(1)?)?;
    let is_number = (1..=MAX_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_timeout;
    use axum::http::HeaderValue;
    use std::time::Duration;

    #[test]
    fn timeout_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("99999999M", Some(Duration::from_secs(99_999_999 * 60))),
            ("0S", Some(Duration::ZERO)),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("+1S", None),
            ("1s", None),
            ("123456789S", None),
        ] {
            assert_eq!(parse_timeout(&HeaderValue::from_static(text)), expected, "{text}");
        }
    }
}

//! Middleware in front of every gRPC method: rejects other requests and enforces the client's
//! deadline.
//!
//! The deadline (`grpc-timeout`) can only shorten narthex's own limits. A write that is being
//! stored at the deadline continues; its client does not learn the outcome and retries.
//!
//! Source: the protocol of gRPC over HTTP/2, "Request-Headers".

use crate::server::grpc;
use crate::server::grpc::early_end_body::EarlyEndBody;
use crate::server::request_error::RequestError;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// Maximum number of digits of a timeout.
const MAX_DIGITS: usize = 8;

/// Middleware that passes gRPC requests on until their deadline.
pub(crate) async fn deadline_layer(request: Request, next: Next) -> Response {
    if !grpc::is_grpc(&request) {
        return RequestError::Unsupported("this path serves gRPC only".to_owned()).into_http();
    }
    let timeout = match request.headers().get("grpc-timeout").map(parse_timeout) {
        None => return next.run(request).await,
        Some(Some(timeout)) => timeout,
        Some(None) => {
            return grpc::error_response(Status::invalid_argument("invalid grpc-timeout header"));
        }
    };
    // A deadline that the clock cannot represent is no deadline.
    let Some(deadline) = Instant::now().checked_add(timeout) else {
        return next.run(request).await;
    };
    match tokio::time::timeout_at(deadline, next.run(request)).await {
        Ok(response) => {
            response.map(|body| Body::new(EarlyEndBody::new(body, trailers_at(deadline))))
        }
        Err(_) => grpc::error_response(deadline_exceeded()),
    }
}

/// Waits for the deadline and returns the trailers of the exceeded deadline.
async fn trailers_at(deadline: Instant) -> Option<HeaderMap> {
    tokio::time::sleep_until(deadline).await;
    let mut trailers = HeaderMap::new();
    // A status without details is always a valid header.
    deadline_exceeded().add_header(&mut trailers).ok()?;
    Some(trailers)
}

fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("deadline exceeded")
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

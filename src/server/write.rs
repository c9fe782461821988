//! `POST /api/v1/write`: remote write 1.0 over HTTP.
//!
//! Type and encoding are judged first, then whether anything is taken now, then size; only then the body is read.

use crate::remote::write::{Form, Version};
use crate::server::body;
use crate::server::body::BodyLimits;
use crate::server::content_encoding;
use crate::server::context::SharedContext;
use crate::server::ingest;
use crate::server::media_type::MediaType;
use crate::server::refused::Refused;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

const MEDIA_TYPE: &str = "application/x-protobuf";
const MESSAGE: &str = "prometheus.WriteRequest";
/// The highest version of remote write that is understood.
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const VERSION: &str = "0.1.0";

/// Answers the request.
pub(crate) async fn write(State(context): State<SharedContext>, request: Request) -> Response {
    let judged = judge_type(request.headers()).and_then(|()| content_encoding::packing(request.headers()));
    let packing = match judged.and_then(|packing| ingest::admit(&context).map(|()| packing)) {
        Ok(packing) => packing,
        Err(refused) => return refused.into_http_and_close(),
    };
    let limits = BodyLimits { size: context.max_write_body, ..context.body_limits.clone() };
    let collected = match body::collect(request.into_body(), limits).await {
        Ok(collected) => collected,
        Err(error) => return Refused::from(error).into_http_and_close(),
    };
    let form = Form { version: Version::V1, packing };
    match ingest::store(&context, collected.bytes, form, collected.reservation).await {
        Ok(outcome) if outcome.refusals.is_empty() => {
            (StatusCode::NO_CONTENT, [(VERSION_HEADER, VERSION)]).into_response()
        }
        Ok(outcome) => {
            tracing::debug!(refused = %outcome.refusals, "a write request was stored in part");
            ingest::partly(&outcome).into_http()
        }
        Err(refused) => refused.into_http(),
    }
}

/// Whether the body is of a type that is known. Without the header it is taken for what 1.0 has, as Prometheus does.
fn judge_type(headers: &HeaderMap) -> Result<(), Refused> {
    let unsupported = |text: String| Err(Refused::Unsupported(text));
    if let Some(given) = headers.get(CONTENT_TYPE).filter(|value| !value.is_empty()) {
        let media_type = given.to_str().ok().and_then(MediaType::parse);
        match media_type {
            Some(media_type) if media_type.essence == MEDIA_TYPE => match media_type.parameter("proto") {
                None | Some(MESSAGE) => {}
                Some(other) => return unsupported(format!("message {other} is not supported, only {MESSAGE} is")),
            },
            _ => return unsupported(format!("content type {given:?} is not supported, only {MEDIA_TYPE} is")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::judge_type;
    use axum::http::{HeaderMap, HeaderValue};

    fn judged(content_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_str(content_type).unwrap());
        judge_type(&headers).is_ok()
    }

    #[test]
    fn only_remote_write_1_is_taken() {
        assert!(judge_type(&HeaderMap::new()).is_ok());
        assert!(judged("application/x-protobuf"));
        assert!(judged("application/x-protobuf; proto=prometheus.WriteRequest"));
        for content_type in [
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "application/x-protobuf; proto=io.prometheus.write.v2.Request",
            "application/json",
            "application/x-protobuf;proto",
            "text",
        ] {
            assert!(!judged(content_type), "{content_type}");
        }
    }
}

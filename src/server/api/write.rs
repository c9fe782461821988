//! `POST /api/v1/write`: remote write 1.0 and 2.0 over HTTP.
//!
//! The order of the checks is content type, encoding, phase, size. The body is read after them.

use crate::ingest::outcome::WriteOutcome;
use crate::ingest::rejection_log::entry::RequestOrigin;
use crate::remote::write::{RemoteWriteVersion, WireFormat};
use crate::server::api::content_encoding;
use crate::server::api::media_type::MediaType;
use crate::server::contract::request_error::RequestError;
use crate::server::contract::write_response;
use crate::server::requests::acceptance;
use crate::server::requests::write_protocol::WriteProtocol;
use crate::server::requests::write_requests;
use crate::server::requests::write_requests::{ReadWrite, WriteState};
use crate::server::transport::body;
use crate::server::transport::body::BufferedRequest;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const MEDIA_TYPE: &str = "application/x-protobuf";
const MESSAGE_V1: &str = "prometheus.WriteRequest";
const MESSAGE_V2: &str = "io.prometheus.write.v2.Request";

/// Version of remote write in a response.
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

/// Counts of stored items in responses to 2.0. Senders of 1.0 misread them, so they get none.
const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Handles a write request.
pub(crate) async fn write(State(writes): State<Arc<WriteState>>, request: Request) -> Response {
    let mut origin = write_requests::origin(WriteProtocol::RemoteWrite, &request);
    let version = match parse_message_version(request.headers()) {
        Ok(version) => version,
        Err(error) => {
            write_requests::record_error(&writes, &origin, &error);
            return error.into_response();
        }
    };
    origin.protocol = match version {
        RemoteWriteVersion::V1 => WriteProtocol::RemoteWriteV1.name(),
        RemoteWriteVersion::V2 => WriteProtocol::RemoteWriteV2.name(),
    };
    let result = store(&writes, &origin, request, version).await;
    let nothing = WriteOutcome::default();
    let stored = written_headers(version, result.as_ref().unwrap_or(&nothing));
    let mut response = match result {
        Ok(outcome) if outcome.rejections.is_empty() => {
            (StatusCode::NO_CONTENT, [(VERSION_HEADER, version_header(version))]).into_response()
        }
        Ok(outcome) => write_response::partial_write_error(&outcome).into_response(),
        Err(error) => error.into_response(),
    };
    response.headers_mut().extend(stored);
    response
}

/// Reads and stores the body.
///
/// # Errors
/// [`RequestError`] if nothing was stored, or the outcome is unknown.
async fn store(
    writes: &Arc<WriteState>,
    origin: &RequestOrigin,
    request: Request,
    version: RemoteWriteVersion,
) -> Result<WriteOutcome, RequestError> {
    let packing = content_encoding::body_compression(request.headers())
        .inspect_err(|error| write_requests::record_error(writes, origin, error))?;
    acceptance::check_accepting(&writes.lifecycle, &writes.db)?;
    let collected = body::collect(request.into_body(), writes.bodies.clone()).await;
    let BufferedRequest { bytes: body, reservation } =
        collected.inspect_err(|error| write_requests::record_unread_body(writes, origin, error))?;
    let form = WireFormat { version, packing };
    write_requests::store(writes, ReadWrite { origin, body, reservation }, form).await
}

/// Returns the version of the message. Without a content type it is 1.0, as in Prometheus.
fn parse_message_version(headers: &HeaderMap) -> Result<RemoteWriteVersion, RequestError> {
    let Some(given) = headers.get(CONTENT_TYPE).filter(|value| !value.is_empty()) else {
        return Ok(RemoteWriteVersion::V1);
    };
    let media_type = given.to_str().ok().and_then(MediaType::parse);
    let Some(media_type) = media_type.filter(|media_type| media_type.essence == MEDIA_TYPE) else {
        let message = format!("unsupported content type {given:?}: use {MEDIA_TYPE}");
        return Err(RequestError::Unsupported(message));
    };
    match media_type.parameter("proto") {
        None | Some(MESSAGE_V1) => Ok(RemoteWriteVersion::V1),
        Some(MESSAGE_V2) => Ok(RemoteWriteVersion::V2),
        Some(other) => {
            let message = format!("unsupported message {other}: use {MESSAGE_V2} or {MESSAGE_V1}");
            Err(RequestError::Unsupported(message))
        }
    }
}

fn version_header(version: RemoteWriteVersion) -> &'static str {
    if version == RemoteWriteVersion::V2 { "2.0.0" } else { "0.1.0" }
}

/// Returns the headers with the counts of stored items.
fn written_headers(version: RemoteWriteVersion, outcome: &WriteOutcome) -> HeaderMap {
    let counts = [
        (SAMPLES_WRITTEN, outcome.samples),
        (HISTOGRAMS_WRITTEN, outcome.histograms),
        (EXEMPLARS_WRITTEN, outcome.exemplars),
    ];
    let sent = if version == RemoteWriteVersion::V2 { &counts[..] } else { &[] };
    sent.iter().map(|(name, count)| (name.clone(), HeaderValue::from(*count))).collect()
}

#[cfg(test)]
mod tests {
    use super::parse_message_version;
    use crate::remote::write::RemoteWriteVersion;
    use axum::http::{HeaderMap, HeaderValue};

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )])
    }

    fn version(content_type: &str) -> Option<RemoteWriteVersion> {
        parse_message_version(&headers("content-type", content_type)).ok()
    }

    #[test]
    fn content_type_selects_the_message_version() {
        assert_eq!(parse_message_version(&HeaderMap::new()), Ok(RemoteWriteVersion::V1));
        for content_type in [
            "",
            "application/x-protobuf",
            "application/x-protobuf; charset=utf-8",
            "application/x-protobuf;proto=prometheus.WriteRequest",
            "APPLICATION/x-protobuf; Proto=\"prometheus.WriteRequest\"",
        ] {
            assert_eq!(version(content_type), Some(RemoteWriteVersion::V1), "{content_type}");
        }
        for content_type in [
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "application/x-protobuf ; charset=utf-8 ;\tproto=io.prometheus.write.v2.Request",
            "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"",
        ] {
            assert_eq!(version(content_type), Some(RemoteWriteVersion::V2), "{content_type}");
        }
        for content_type in [
            "application/json",
            "text",
            "application/x-protobuf;proto",
            "application/x-protobuf;proto=",
            "application/x-protobuf;proto=io.prometheus.write.v3.Request",
            "application/x-protobuf;proto=IO.prometheus.write.v2.Request",
            "application/x-protobuf;proto=io.prometheus.write.v2.Request x",
        ] {
            assert_eq!(version(content_type), None, "{content_type}");
        }
    }
}

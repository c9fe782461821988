//! Response envelope of Prometheus's HTTP API: `{"status":"success","data":…}`.

use crate::server::contract::api_error::json_response;
use crate::server::transport::admission::Reservation;
use crate::server::transport::body::ResponseBody;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;

/// Returns a success response with `data`.
pub(crate) fn success(data: &impl Serialize) -> Response {
    json_response(StatusCode::OK, &Success { status: "success", data })
}

/// Complete JSON of a response, with its envelope and its memory reservation.
#[derive(Debug)]
pub(crate) struct BufferedJson {
    pub(crate) text: Vec<u8>,
    pub(crate) reservation: Reservation,
}

impl BufferedJson {
    /// Returns the response, which the client must read within `time`.
    pub(crate) fn into_response(self, time: Duration) -> Response {
        let body = ResponseBody::new(vec![self.text.into()], self.reservation, time);
        let content_type = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, content_type)], Body::new(body)).into_response()
    }
}

/// Encodes the envelope of a success response.
pub(crate) fn encode_success(data: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Success { status: "success", data })
}

#[derive(Serialize)]
struct Success<'a, T> {
    status: &'static str,
    data: &'a T,
}

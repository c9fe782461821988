//! Test helper: decodes the details of gRPC errors.
//!
//! The messages are declared again here, so that a mistake in the encoder of narthex cannot hide.
//!
//! Source: `google/rpc/status.proto` and `google/rpc/error_details.proto` of googleapis.

use crate::app::tests::edge::TestResponse;
use prost::Message;
use prost_types::{Any, Duration};
use std::collections::BTreeMap;
use tonic::Status;

/// Message `google.rpc.Status` of googleapis.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// Message `google.rpc.BadRequest` of googleapis.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<FieldViolation>,
}

/// Message `google.rpc.BadRequest.FieldViolation` of googleapis.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldViolation {
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
}

/// Message `google.rpc.ErrorInfo` of googleapis.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(string, tag = "2")]
    pub(crate) domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Message `google.rpc.RetryInfo` of googleapis.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// Details of one error, empty if the error has none.
#[derive(Debug, Default)]
pub(crate) struct ErrorDetails {
    pub(crate) violations: Vec<FieldViolation>,
    pub(crate) info: Option<ErrorInfo>,
    pub(crate) retry_delay: Option<Duration>,
}

impl ErrorDetails {
    /// Decodes the details. Checks that code and message equal those of the error and that each
    /// type occurs at most once.
    pub(crate) fn of(response: &TestResponse) -> Self {
        let status = response.grpc_error();
        let mut details = Self::default();
        if status.details().is_empty() {
            return details;
        }
        let rpc = RpcStatus::decode(status.details()).unwrap();
        assert_eq!((rpc.code, rpc.message.as_str()), (status.code() as i32, status.message()));
        assert!(!rpc.details.is_empty());
        for Any { type_url, value } in rpc.details {
            let bytes = value.as_slice();
            let is_first = match type_url.as_str() {
                "type.googleapis.com/google.rpc.BadRequest" => {
                    let violations = BadRequest::decode(bytes).unwrap().violations;
                    std::mem::replace(&mut details.violations, violations).is_empty()
                }
                "type.googleapis.com/google.rpc.ErrorInfo" => {
                    details.info.replace(ErrorInfo::decode(bytes).unwrap()).is_none()
                }
                "type.googleapis.com/google.rpc.RetryInfo" => {
                    let retry_delay = RetryInfo::decode(bytes).unwrap().retry_delay.unwrap();
                    details.retry_delay.replace(retry_delay).is_none()
                }
                other => panic!("unknown detail {other}"),
            };
            assert!(is_first, "{type_url} twice");
        }
        details
    }
}

impl TestResponse {
    /// Returns the status of a failed call, from the trailers or, without a body, from the headers.
    pub(crate) fn grpc_error(&self) -> Status {
        let headers =
            if self.trailers.contains_key("grpc-status") { &self.trailers } else { &self.headers };
        Status::from_header_map(headers).unwrap()
    }

    /// Asserts UNAVAILABLE whose only detail is a RetryInfo of 1 to 5 s.
    pub(crate) fn assert_grpc_retry_later(&self) {
        assert_eq!(self.grpc_status(), "14", "{:?}", self.headers);
        let details = ErrorDetails::of(self);
        let delay = details.retry_delay.unwrap();
        assert!((1..=5).contains(&delay.seconds) && delay.nanos == 0, "{delay:?}");
        assert!(details.violations.is_empty() && details.info.is_none());
    }

    /// Asserts RESOURCE_EXHAUSTED without a RetryInfo, because a retry is rejected, too.
    pub(crate) fn assert_grpc_too_large(&self) {
        assert_eq!(self.grpc_status(), "8", "{:?}", self.headers);
        assert_eq!(ErrorDetails::of(self).retry_delay, None);
    }
}

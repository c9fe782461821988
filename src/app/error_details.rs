//! For tests: the details of a gRPC error, decoded.
//!
//! The messages are written a second time, so that a mistake in narthex's own cannot hide.
//!
//! Source: `google/rpc/status.proto` and `google/rpc/error_details.proto` of googleapis.

use crate::app::edge::TestResponse;
use prost::Message;
use prost_types::{Any, Duration};
use std::collections::BTreeMap;
use tonic::Status;

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldViolation {
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(string, tag = "2")]
    pub(crate) domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// Details of one error. An error without details has none of them.
#[derive(Debug, Default)]
pub(crate) struct ErrorDetails {
    pub(crate) violations: Vec<FieldViolation>,
    pub(crate) info: Option<ErrorInfo>,
    pub(crate) retry_delay: Option<Duration>,
}

impl ErrorDetails {
    /// Decodes the details. They repeat code and message of the error, and hold each type at most once.
    pub(crate) fn of(got: &TestResponse) -> Self {
        let status = got.grpc_error();
        let mut found = Self::default();
        if status.details().is_empty() {
            return found;
        }
        let rpc = RpcStatus::decode(status.details()).unwrap();
        assert_eq!((rpc.code, rpc.message.as_str()), (status.code() as i32, status.message()));
        assert!(!rpc.details.is_empty());
        for Any { type_url, value } in rpc.details {
            let bytes = value.as_slice();
            let is_first = match type_url.as_str() {
                "type.googleapis.com/google.rpc.BadRequest" => {
                    let violations = BadRequest::decode(bytes).unwrap().violations;
                    std::mem::replace(&mut found.violations, violations).is_empty()
                }
                "type.googleapis.com/google.rpc.ErrorInfo" => {
                    found.info.replace(ErrorInfo::decode(bytes).unwrap()).is_none()
                }
                "type.googleapis.com/google.rpc.RetryInfo" => {
                    let retry_delay = RetryInfo::decode(bytes).unwrap().retry_delay.unwrap();
                    found.retry_delay.replace(retry_delay).is_none()
                }
                other => panic!("unknown detail {other}"),
            };
            assert!(is_first, "{type_url} twice");
        }
        found
    }
}

impl TestResponse {
    /// The status of a call that failed, from the trailers or, where there is no body, the headers.
    pub(crate) fn grpc_error(&self) -> Status {
        let headers =
            if self.trailers.contains_key("grpc-status") { &self.trailers } else { &self.headers };
        Status::from_header_map(headers).unwrap()
    }

    /// UNAVAILABLE with a RetryInfo of 1 to 5 s, and nothing else, in its details.
    pub(crate) fn assert_grpc_retry_later(&self) {
        assert_eq!(self.grpc_status(), "14", "{:?}", self.headers);
        let details = ErrorDetails::of(self);
        let delay = details.retry_delay.unwrap();
        assert!((1..=5).contains(&delay.seconds) && delay.nanos == 0, "{delay:?}");
        assert!(details.violations.is_empty() && details.info.is_none());
    }

    /// RESOURCE_EXHAUSTED without a RetryInfo: a repeat is rejected, too.
    pub(crate) fn assert_grpc_too_large(&self) {
        assert_eq!(self.grpc_status(), "8", "{:?}", self.headers);
        assert_eq!(ErrorDetails::of(self).retry_delay, None);
    }
}

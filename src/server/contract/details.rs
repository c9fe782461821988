//! Error details over gRPC: `google.rpc.Status` in the trailer `grpc-status-details-bin`.
//!
//! Source: `google/rpc/status.proto` and `google/rpc/error_details.proto` of googleapis; only the
//! messages that narthex sends.

use bytes::Bytes;
use prost::Message;
use prost_types::{Any, Duration};
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// Domain of the reasons in an [`ErrorInfo`].
const DOMAIN: &str = "narthex";

/// Reason in the [`ErrorInfo`] of a request that violates the rules of its method.
pub(crate) const PROTOCOL_ERROR: &str = "PROTOCOL_ERROR";

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

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// Violation of one field, or of several fields with one name.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldViolation {
    /// Path of the field.
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    /// Description for people.
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    /// Reason for machines, in upper case; may be empty.
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
}

/// Machine-readable reason of an error.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

impl ErrorInfo {
    /// Creates an info from a reason in upper case and metadata.
    pub(crate) fn new(reason: &str, metadata: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            reason: reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: metadata.into_iter().collect(),
        }
    }
}

/// Message that can be a detail.
trait Detail: Message {
    const NAME: &'static str;
}

impl Detail for RetryInfo {
    const NAME: &'static str = "RetryInfo";
}

impl Detail for BadRequest {
    const NAME: &'static str = "BadRequest";
}

impl Detail for ErrorInfo {
    const NAME: &'static str = "ErrorInfo";
}

/// Returns UNAVAILABLE with a retry delay.
pub(crate) fn retry_later(message: &str, seconds: u64) -> Status {
    let retry_delay =
        Some(Duration { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 });
    with_details(Code::Unavailable, message, vec![to_any(&RetryInfo { retry_delay })])
}

/// Returns INVALID_ARGUMENT with the message as a field violation.
pub(crate) fn bad_request(message: &str) -> Status {
    let violation = FieldViolation { description: message.to_owned(), ..FieldViolation::default() };
    Violations { message, violations: vec![violation], info: None }.into_status()
}

/// Returns a status with a machine-readable reason.
pub(crate) fn with_reason(code: Code, message: &str, reason: &str) -> Status {
    with_details(code, message, vec![to_any(&ErrorInfo::new(reason, []))])
}

/// All violations of a request.
pub(crate) struct Violations<'a> {
    /// Message for people.
    pub(crate) message: &'a str,
    /// Violations of single fields.
    pub(crate) violations: Vec<FieldViolation>,
    /// Reason and metadata of the error.
    pub(crate) info: Option<ErrorInfo>,
}

impl Violations<'_> {
    /// Returns INVALID_ARGUMENT with all details.
    pub(crate) fn into_status(self) -> Status {
        let bad = to_any(&BadRequest { field_violations: self.violations });
        let info = self.info.as_ref().map(to_any);
        with_details(
            Code::InvalidArgument,
            self.message,
            std::iter::once(bad).chain(info).collect(),
        )
    }
}

fn to_any<D: Detail>(detail: &D) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{}", D::NAME),
        value: detail.encode_to_vec(),
    }
}

fn with_details(code: Code, message: &str, details: Vec<Any>) -> Status {
    let status = RpcStatus { code: code as i32, message: message.to_owned(), details };
    Status::with_details(code, message, Bytes::from(status.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, Detail, ErrorInfo, FieldViolation, RetryInfo, RpcStatus, Violations};
    use super::{bad_request, retry_later, with_reason};
    use prost::Message;
    use tonic::{Code, Status};

    fn details(status: &Status) -> RpcStatus {
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(
            (details.code, details.message.as_str()),
            (status.code() as i32, status.message())
        );
        details
    }

    fn detail<D: Detail + Default>(status: &Status, at: usize) -> D {
        let detail = &details(status).details[at];
        assert_eq!(detail.type_url, format!("type.googleapis.com/google.rpc.{}", D::NAME));
        D::decode(&detail.value[..]).unwrap()
    }

    #[test]
    fn details_contain_the_retry_delay() {
        let status = retry_later("busy", 3);
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "busy"));
        assert_eq!(detail::<RetryInfo>(&status, 0).retry_delay.unwrap().seconds, 3);
    }

    #[test]
    fn details_contain_violations_and_info() {
        let bad: BadRequest = detail(&bad_request("1 out of order"), 0);
        assert_eq!(bad.field_violations[0].description, "1 out of order");
        let violation =
            |field: &str| FieldViolation { field: field.to_owned(), ..Default::default() };
        let info =
            Some(ErrorInfo::new("DATA_REJECTED", [("samples_stored".to_owned(), "7".to_owned())]));
        let all =
            Violations { message: "two", violations: vec![violation("a"), violation("b")], info }
                .into_status();
        assert_eq!(detail::<BadRequest>(&all, 0).field_violations.len(), 2);
        let info: ErrorInfo = detail(&all, 1);
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("DATA_REJECTED", "narthex"));
        assert_eq!(info.metadata["samples_stored"], "7");
    }

    #[test]
    fn details_contain_the_reason() {
        let status = with_reason(Code::InvalidArgument, "sequence 1 after 2", "SEQUENCE");
        assert_eq!(detail::<ErrorInfo>(&status, 0).reason, "SEQUENCE");
    }
}

//! The details of an error over gRPC: `google.rpc.Status` in the trailer `grpc-status-details-bin`.
//!
//! Source: `google/rpc/status.proto` and `google/rpc/error_details.proto` of googleapis; only what is sent is here.

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

/// UNAVAILABLE, with the time after which to come back.
pub(crate) fn retry_later(message: &str, seconds: u64) -> Status {
    let retry_delay = Some(Duration { seconds: seconds as i64, nanos: 0 });
    with_detail(Code::Unavailable, message, "RetryInfo", &RetryInfo { retry_delay })
}

/// INVALID_ARGUMENT; what is wrong stands in the message and once more in the details.
pub(crate) fn bad_request(message: &str) -> Status {
    let violation = FieldViolation { field: "timeseries".to_owned(), description: message.to_owned() };
    with_detail(Code::InvalidArgument, message, "BadRequest", &BadRequest { field_violations: vec![violation] })
}

fn with_detail(code: Code, message: &str, kind: &str, detail: &impl Message) -> Status {
    let detail = Any { type_url: format!("type.googleapis.com/google.rpc.{kind}"), value: detail.encode_to_vec() };
    let status = RpcStatus { code: code as i32, message: message.to_owned(), details: vec![detail] };
    Status::with_details(code, message, Bytes::from(status.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, RetryInfo, RpcStatus, bad_request, retry_later};
    use prost::Message;

    #[test]
    fn the_details_say_when_to_come_back() {
        let status = retry_later("busy", 3);
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!((details.code, details.message.as_str()), (14, "busy"));
        assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let info = RetryInfo::decode(&details.details[0].value[..]).unwrap();
        assert_eq!(info.retry_delay.unwrap().seconds, 3);
    }

    #[test]
    fn the_details_say_what_is_wrong() {
        let details = RpcStatus::decode(bad_request("1 out of order").details()).unwrap();
        let bad = BadRequest::decode(&details.details[0].value[..]).unwrap();
        assert_eq!(bad.field_violations[0].description, "1 out of order");
    }
}

//! A message of a write stream: it has exactly one request or is refused, and is read as prost reads it.

use narthex::remote::pb::io::prometheus::write::v2;
use narthex::remote::pb::narthex::v1::WriteStreamRequest;
use narthex::remote::pb::narthex::v1::write_stream_request::Request;
use narthex::remote::pb::prometheus as v1;
use narthex::remote::stream_request::{DecodeStreamRequestError, StreamRequest};
use narthex::remote::write::RemoteWriteVersion;
use prost::Message;
use prost::bytes::Bytes;

pub(crate) fn check(data: &[u8]) {
    let ours = StreamRequest::decode(&Bytes::copy_from_slice(data));
    let prosts = WriteStreamRequest::decode(data);
    match ours {
        Err(DecodeStreamRequestError::Malformed(_)) => assert!(prosts.is_err(), "prost takes it"),
        Err(DecodeStreamRequestError::NoRequest(sequence)) => {
            let prosts = prosts.expect("prost takes it too");
            assert_eq!((prosts.sequence, prosts.request), (sequence, None));
        }
        // Of these prost takes the last one, if it can read all of them.
        Err(DecodeStreamRequestError::SeveralRequests(sequence)) => {
            assert!(prosts.is_err() || prosts.is_ok_and(|prosts| prosts.sequence == sequence));
        }
        Ok(ours) => {
            let request = match ours.version {
                RemoteWriteVersion::V1 => v1::WriteRequest::decode(ours.request).map(Request::V1),
                RemoteWriteVersion::V2 => v2::Request::decode(ours.request).map(Request::V2),
            };
            match (request, prosts) {
                // As bytes, since a NaN is not equal to itself.
                (Ok(request), Ok(prosts)) => {
                    let ours =
                        WriteStreamRequest { sequence: ours.sequence, request: Some(request) };
                    assert_eq!(ours.encode_to_vec(), prosts.encode_to_vec());
                }
                (Err(_), Err(_)) => {}
                // In the message the request stands one level deeper than alone.
                (Ok(_), Err(error)) => assert!(error.to_string().contains("recursion"), "{error}"),
                (Err(error), Ok(_)) => {
                    panic!("prost takes in the message what it does not take alone: {error}")
                }
            }
        }
    }
}

//! Messages of a write stream: accepted with exactly one request and the contents that prost
//! decodes, otherwise rejected.

use narthex::remote::pb::io::prometheus::write::v2;
use narthex::remote::pb::narthex::v1::WriteStreamRequest;
use narthex::remote::pb::narthex::v1::write_stream_request::Request;
use narthex::remote::pb::prometheus as v1;
use narthex::remote::write::RemoteWriteVersion;
use narthex::remote::write::stream_request::{DecodeStreamRequestError, StreamRequest};
use prost::Message;
use prost::bytes::Bytes;

pub(crate) fn check(data: &[u8]) {
    let ours = StreamRequest::decode(&Bytes::copy_from_slice(data));
    let prosts = WriteStreamRequest::decode(data);
    match ours {
        Err(DecodeStreamRequestError::Malformed(_)) => assert!(prosts.is_err(), "prost accepts it"),
        Err(DecodeStreamRequestError::NoRequest(sequence)) => {
            let prosts = prosts.expect("prost must accept it, too");
            assert_eq!((prosts.sequence, prosts.request), (sequence, None));
        }
        // Of several requests prost keeps the last one, if it can decode all of them.
        Err(DecodeStreamRequestError::SeveralRequests(sequence)) => {
            assert!(prosts.is_err() || prosts.is_ok_and(|prosts| prosts.sequence == sequence));
        }
        Ok(ours) => {
            let request = match ours.version {
                RemoteWriteVersion::V1 => v1::WriteRequest::decode(ours.request).map(Request::V1),
                RemoteWriteVersion::V2 => v2::Request::decode(ours.request).map(Request::V2),
            };
            match (request, prosts) {
                // Compared as bytes, because a NaN does not equal itself.
                (Ok(request), Ok(prosts)) => {
                    let ours =
                        WriteStreamRequest { sequence: ours.sequence, request: Some(request) };
                    assert_eq!(ours.encode_to_vec(), prosts.encode_to_vec());
                }
                (Err(_), Err(_)) => {}
                // The request is nested one level deeper than alone, which may exceed the limit.
                (Ok(_), Err(error)) => assert!(error.to_string().contains("recursion"), "{error}"),
                (Err(error), Ok(_)) => {
                    panic!("prost accepts the request in the message but not alone: {error}")
                }
            }
        }
    }
}

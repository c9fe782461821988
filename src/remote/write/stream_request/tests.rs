//! Comparison with prost: messages decode equally, except where prost would drop a request.

use crate::remote::pb::io::prometheus::write::v2;
use crate::remote::pb::narthex::v1::WriteStreamRequest;
use crate::remote::pb::narthex::v1::write_stream_request::Request;
use crate::remote::pb::prometheus as v1;
use crate::remote::write::RemoteWriteVersion;
use crate::remote::write::stream_request::{DecodeStreamRequestError, StreamRequest};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

fn message(sequence: u64, request: Option<Request>) -> Bytes {
    WriteStreamRequest { sequence, request }.encode_to_vec().into()
}

fn series(name: &str) -> v1::WriteRequest {
    let label = v1::Label { name: "__name__".into(), value: name.into() };
    let sample = v1::Sample { value: 1.5, timestamp: 7 };
    let series =
        v1::TimeSeries { labels: vec![label], samples: vec![sample], ..Default::default() };
    v1::WriteRequest { timeseries: vec![series], metadata: Vec::new() }
}

fn length_delimited(field: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field, WireType::LengthDelimited, &mut bytes);
    encode_varint(value.len() as u64, &mut bytes);
    bytes.extend(value);
    bytes
}

#[test]
fn request_is_a_slice_of_the_message() {
    let message = message(9, Some(Request::V1(series("up"))));
    let read = StreamRequest::decode(&message).unwrap();
    assert_eq!((read.sequence, read.version), (9, RemoteWriteVersion::V1));
    assert_eq!(read.request, series("up").encode_to_vec());
    assert!(message.as_ptr_range().contains(&read.request.as_ptr()), "request was copied");
}

#[test]
fn empty_request_is_valid_and_missing_is_not() {
    for (request, version) in [
        (Request::V1(v1::WriteRequest::default()), RemoteWriteVersion::V1),
        (Request::V2(v2::Request::default()), RemoteWriteVersion::V2),
    ] {
        let read = StreamRequest::decode(&message(1, Some(request))).unwrap();
        assert_eq!((read.version, read.request.len()), (version, 0));
    }
    assert_eq!(
        StreamRequest::decode(&message(5, None)),
        Err(DecodeStreamRequestError::NoRequest(5))
    );
    let later = [message(6, None).to_vec(), length_delimited(4, b"a later version")].concat();
    assert_eq!(StreamRequest::decode(&later.into()), Err(DecodeStreamRequestError::NoRequest(6)));
}

#[test]
fn message_with_several_requests_is_rejected() {
    for (first, second) in [(2, 2), (2, 3), (3, 2), (3, 3)] {
        let both =
            [length_delimited(first, b""), length_delimited(second, b""), vec![8, 4]].concat();
        assert_eq!(
            StreamRequest::decode(&both.into()),
            Err(DecodeStreamRequestError::SeveralRequests(4))
        );
    }
}

#[test]
fn truncated_message_is_rejected() {
    let whole = message(300, Some(Request::V1(series("up"))));
    for end in 0..whole.len() {
        assert!(StreamRequest::decode(&whole.slice(..end)).is_err(), "truncated at {end}");
    }
}

/// Generates a known or unknown field.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let sequence = any::<u64>().prop_map(|sequence| {
        let mut bytes = vec![8];
        encode_varint(sequence, &mut bytes);
        bytes
    });
    let request = (2..=3u32, "[a-c]{0,3}").prop_map(|(field, name)| {
        let v1 = series(&name).encode_to_vec();
        let v2 = v2::Request { symbols: vec![String::new(), name], ..Default::default() }
            .encode_to_vec();
        length_delimited(field, if field == 2 { &v1 } else { &v2 })
    });
    let empty = (2..=3u32).prop_map(|field| length_delimited(field, b""));
    let unknown = (4..40u32, vec(any::<u8>(), 0..4))
        .prop_map(|(field, value)| length_delimited(field, &value));
    prop_oneof![2 => sequence, 4 => request, 1 => empty, 1 => unknown]
}

/// Asserts that prost decodes the same, unless the message is rejected on purpose.
fn assert_as_prost(bytes: &[u8]) {
    let ours = StreamRequest::decode(&Bytes::copy_from_slice(bytes));
    let prosts = WriteStreamRequest::decode(bytes);
    match ours {
        Err(DecodeStreamRequestError::Malformed(_)) => assert!(prosts.is_err(), "prost accepts it"),
        Err(DecodeStreamRequestError::NoRequest(sequence)) => {
            let prosts = prosts.unwrap();
            assert_eq!((prosts.sequence, prosts.request), (sequence, None));
        }
        Err(DecodeStreamRequestError::SeveralRequests(sequence)) => {
            assert!(prosts.is_err() || prosts.is_ok_and(|prosts| prosts.sequence == sequence));
        }
        Ok(ours) => {
            let request = match ours.version {
                RemoteWriteVersion::V1 => v1::WriteRequest::decode(ours.request).map(Request::V1),
                RemoteWriteVersion::V2 => v2::Request::decode(ours.request).map(Request::V2),
            };
            match (request, prosts) {
                // Compared as bytes, since a NaN is not equal to itself.
                (Ok(request), Ok(prosts)) => {
                    let ours =
                        WriteStreamRequest { sequence: ours.sequence, request: Some(request) };
                    assert_eq!(ours.encode_to_vec(), prosts.encode_to_vec());
                }
                (Err(_), Err(_)) => {}
                (ours, prosts) => panic!("{ours:?} instead of {prosts:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn fields_in_any_order_equal_prost_decoding(fields in vec(field(), 0..6)) {
        assert_as_prost(&fields.concat());
    }

    #[test]
    fn corrupted_messages_are_handled_as_by_prost(
        fields in vec(field(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = fields.concat();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at + 1);
        }
        assert_as_prost(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_handled_as_by_prost(bytes in vec(any::<u8>(), 0..40)) {
        assert_as_prost(&bytes);
    }
}

//! Remote read requests over HTTP (a snappy block) and gRPC (uncompressed): both agree.
//!
//! A rejected request is rejected for the stated reason, and an accepted one can be evaluated.

use narthex::remote::pb::prometheus as pb;
use narthex::remote::read::read_request::{
    RemoteReadError, decode_request, matchers, parse_request, response_type,
};
use prost::Message;

/// Documented limits of the request.
const MOST_BYTES: usize = 1 << 20;
const MOST_OF_A_LIST: usize = 1000;

/// Panics if the property does not hold.
pub(crate) fn check(body: &[u8]) {
    // The bytes as a compressed body: no result is expected, but it must be consistent.
    if let Ok(request) = decode_request(body) {
        check_request(&request);
    }
    let Ok(packed) = snap::raw::Encoder::new().compress_vec(body) else { return };
    let plain = parse_request(body);
    let decompressed = decode_request(&packed);
    match (&plain, &decompressed) {
        (Ok(plain), Ok(decompressed)) => {
            // Compared by their debug output, in which a NaN equals itself.
            assert_eq!(format!("{plain:?}"), format!("{decompressed:?}"));
            check_request(plain);
        }
        (Err(plain), Err(decompressed)) => {
            assert_eq!(plain.to_string(), decompressed.to_string());
            check_rejection(plain, body);
        }
        _ => panic!("compressed: {decompressed:?}, uncompressed: {plain:?}"),
    }
}

fn check_request(request: &pb::ReadRequest) {
    assert!(request.queries.len() <= MOST_OF_A_LIST);
    let types = &request.accepted_response_types;
    match response_type(request) {
        Ok(chosen) if types.is_empty() => assert_eq!(chosen as i32, 0),
        Ok(chosen) => assert_eq!(
            Some(&(chosen as i32)),
            types.iter().find(|number| (0..=1).contains(*number))
        ),
        Err(RemoteReadError::ResponseType(listed)) => {
            assert!(
                !types.is_empty()
                    && listed == *types
                    && types.iter().all(|number| !(0..=1).contains(number))
            );
        }
        Err(error) => panic!("unexpected error: {error}"),
    }
    for query in &request.queries {
        assert!(query.matchers.len() <= MOST_OF_A_LIST);
        match matchers(&query.matchers) {
            Ok(made) => {
                assert_eq!(made.len(), query.matchers.len());
                for (made, wire) in made.iter().zip(&query.matchers) {
                    assert_eq!(made.name(), wire.name);
                    let _ = (made.matches(""), made.matches(&wire.value));
                }
            }
            Err(RemoteReadError::MatcherType(number)) => assert!(!(0..=3).contains(&number)),
            Err(RemoteReadError::Matcher(_)) => {
                assert!(query.matchers.iter().any(|matcher| matcher.r#type >= 2))
            }
            Err(error) => panic!("unexpected error: {error}"),
        }
    }
}

fn check_rejection(error: &RemoteReadError, body: &[u8]) {
    let request = pb::ReadRequest::decode(body);
    match error {
        RemoteReadError::Malformed(_) => assert!(request.is_err()),
        RemoteReadError::TooLarge { size } => assert!(*size == body.len() && *size > MOST_BYTES),
        RemoteReadError::TooMany { .. } => {
            let request = request.expect("a request over a limit must be decodable");
            let has_long =
                request.queries.iter().any(|query| query.matchers.len() > MOST_OF_A_LIST);
            assert!(has_long || request.queries.len() > MOST_OF_A_LIST);
        }
        other => panic!("unexpected error of a message: {other}"),
    }
}

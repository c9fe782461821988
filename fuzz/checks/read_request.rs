//! Any bytes as the body of a read request, as it is sent over HTTP (a snappy block) and over gRPC (not compressed): both ways agree, what is
//! refused is so for the reason that is stated, and a request that is taken can be worked with.

use narthex::remote::pb::prometheus as pb;
use narthex::remote::read_request::{
    RemoteReadError, decode_request, matchers, parse_request, response_type,
};
use prost::Message;

/// The limits, as documented.
const MOST_BYTES: usize = 1 << 20;
const MOST_OF_A_LIST: usize = 1000;

/// Panics where the property does not hold.
pub(crate) fn check(body: &[u8]) {
    // Compressed by whoever sent it; nothing is asserted but that the answer comes, and what it promises.
    if let Ok(request) = decode_request(body) {
        request_holds(&request);
    }
    let Ok(packed) = snap::raw::Encoder::new().compress_vec(body) else { return };
    let plain = parse_request(body);
    let unpacked = decode_request(&packed);
    match (&plain, &unpacked) {
        (Ok(plain), Ok(unpacked)) => {
            // By their text, in which whatever is no number is equal to itself.
            assert_eq!(format!("{plain:?}"), format!("{unpacked:?}"));
            request_holds(plain);
        }
        (Err(plain), Err(unpacked)) => {
            assert_eq!(plain.to_string(), unpacked.to_string());
            refusal_holds(plain, body);
        }
        _ => panic!("compressed it is {unpacked:?}, else {plain:?}"),
    }
}

fn request_holds(request: &pb::ReadRequest) {
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
        Err(error) => panic!("not a matter of types: {error}"),
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
            Err(error) => panic!("not a matter of matchers: {error}"),
        }
    }
}

fn refusal_holds(error: &RemoteReadError, body: &[u8]) {
    let request = pb::ReadRequest::decode(body);
    match error {
        RemoteReadError::Malformed(_) => assert!(request.is_err()),
        RemoteReadError::TooLarge { size } => assert!(*size == body.len() && *size > MOST_BYTES),
        RemoteReadError::TooMany { .. } => {
            let request = request.expect("a request with too much of something is one");
            let has_long =
                request.queries.iter().any(|query| query.matchers.len() > MOST_OF_A_LIST);
            assert!(has_long || request.queries.len() > MOST_OF_A_LIST);
        }
        other => panic!("no reason to refuse a message: {other}"),
    }
}

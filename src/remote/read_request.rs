//! A remote read's request: decoded, held against limits, and what it asks for.
//!
//! Where Prometheus decides something of a request, this does the same: the type of the answer is the first of the client's list that is known; a
//! selection's times are those of its hints, where it has some (`selectSeriesSet` in `tsdb/querier.go`); what a request says of its own type and encoding is not
//! looked at (`DecodeReadRequest` in `storage/remote/codec.go`).

use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus::label_matcher::Type;
use crate::remote::pb::prometheus::read_request::ResponseType;
use crate::remote::response_writer::ResponseTooLong;
use crate::tsdb::query::source::QueryError;
use prost::Message;

/// Largest request after decompression. Matchers are short; with dozens of them it is a few KiB.
const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Most queries, and matchers of one query.
const MAX_QUERIES: usize = 1000;
const MAX_MATCHERS: usize = 1000;

/// Why a read was given up by who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadAbort {
    /// There is no memory for it now.
    #[error("too many bytes in flight")]
    Busy,
    /// Nobody waits for the answer any more.
    #[error("the client is gone")]
    ClientGone,
    /// It takes too long to work it out.
    #[error("the read took longer than --query.timeout")]
    TimedOut,
    /// Whoever waits for it takes too little of it.
    #[error("the client did not take the answer in time")]
    SlowClient,
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteReadError {
    /// The body is not a snappy block.
    #[error("the body is not a snappy block: {0}")]
    NotSnappy(#[from] snap::Error),
    /// The request is too large.
    #[error("the request has {size} bytes after decompression, the limit is {limit}", limit = MAX_REQUEST_BYTES)]
    TooLarge {
        /// Bytes, as the body declares them.
        size: usize,
    },
    /// It is not a request.
    #[error("the body is not a prometheus.ReadRequest: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Too many queries or matchers.
    #[error("the request has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No way of answering that is asked for is known.
    #[error(
        "server does not support any of the requested response types: {}; supported: map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]",
        format_response_types(.0)
    )]
    ResponseType(Vec<i32>),
    /// A matcher of an unknown kind.
    #[error("unknown matcher type {0}")]
    MatcherType(i32),
    /// A matcher that can't be.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// More samples than allowed.
    #[error("exceeded sample limit ({0})")]
    SampleLimit(u64),
    /// A larger answer than allowed.
    #[error("the answer is larger than {0} bytes: ask for fewer series or a shorter time")]
    AnswerLimit(usize),
    /// A larger answer than can be.
    #[error("the answer is {0}")]
    TooLong(#[from] ResponseTooLong),
    /// The thread that answers broke.
    #[error("answering the read failed")]
    Panicked,
    /// Given up.
    #[error(transparent)]
    Stopped(#[from] ReadAbort),
    /// The data can't be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// What a selection is made of.
#[derive(Debug, Clone)]
pub struct ReadSelection {
    /// All of them hold for the series.
    pub matchers: Vec<Matcher>,
    /// The times that are wanted, both ends included.
    pub range: TimeRange,
}

/// Reads a request as it is sent over HTTP: a snappy block.
///
/// # Errors
/// [`RemoteReadError`] for whatever is not a request that can be answered.
pub fn decode_request(body: &[u8]) -> Result<pb::ReadRequest, RemoteReadError> {
    if body.is_empty() {
        return Err(snap::Error::Empty.into());
    }
    let size = snap::raw::decompress_len(body)?;
    if size > MAX_REQUEST_BYTES {
        return Err(RemoteReadError::TooLarge { size });
    }
    parse_request(&snap::raw::Decoder::new().decompress_vec(body)?)
}

/// Reads a request that is not compressed.
///
/// # Errors
/// [`RemoteReadError`] for whatever is not a request that can be answered.
pub fn parse_request(message: &[u8]) -> Result<pb::ReadRequest, RemoteReadError> {
    if message.len() > MAX_REQUEST_BYTES {
        return Err(RemoteReadError::TooLarge { size: message.len() });
    }
    let request = pb::ReadRequest::decode(message)?;
    if request.queries.len() > MAX_QUERIES {
        return Err(RemoteReadError::TooMany { what: "queries", limit: MAX_QUERIES });
    }
    if request.queries.iter().any(|query| query.matchers.len() > MAX_MATCHERS) {
        return Err(RemoteReadError::TooMany { what: "matchers in a query", limit: MAX_MATCHERS });
    }
    Ok(request)
}

/// How a request is to be answered: the first way of the client's list that is known. Who lists none gets samples.
///
/// # Errors
/// [`RemoteReadError::ResponseType`] where none is known.
pub fn response_type(request: &pb::ReadRequest) -> Result<ResponseType, RemoteReadError> {
    let accepted = &request.accepted_response_types;
    let known = accepted.iter().find_map(|number| ResponseType::try_from(*number).ok());
    match known {
        Some(known) => Ok(known),
        None if accepted.is_empty() => Ok(ResponseType::Samples),
        None => Err(RemoteReadError::ResponseType(accepted.clone())),
    }
}

impl ReadSelection {
    /// What a query asks for of what is stored.
    ///
    /// # Errors
    /// [`RemoteReadError::MatcherType`], [`RemoteReadError::Matcher`].
    pub fn new(query: &pb::Query, external: &ExternalLabels) -> Result<Self, RemoteReadError> {
        let whole = TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms);
        // Hints without times are none.
        let hints = query.hints.as_ref().filter(|hints| (hints.start_ms, hints.end_ms) != (0, 0));
        let range = hints.map_or(whole, |hints| {
            TimeRange::new(whole.mint.max(hints.start_ms), whole.maxt.min(hints.end_ms))
        });
        Ok(Self { matchers: external.strip(matchers(&query.matchers)?)?, range })
    }
}

/// The matchers of a query.
///
/// # Errors
/// [`RemoteReadError::MatcherType`], [`RemoteReadError::Matcher`].
pub fn matchers(wire: &[pb::LabelMatcher]) -> Result<Vec<Matcher>, RemoteReadError> {
    let matcher = |matcher: &pb::LabelMatcher| {
        let kind = match Type::try_from(matcher.r#type) {
            Ok(Type::Eq) => MatchType::Equal,
            Ok(Type::Neq) => MatchType::NotEqual,
            Ok(Type::Re) => MatchType::Regex,
            Ok(Type::Nre) => MatchType::NotRegex,
            Err(_) => return Err(RemoteReadError::MatcherType(matcher.r#type)),
        };
        Ok(Matcher::new(kind, &matcher.name, &matcher.value)?)
    };
    wire.iter().map(matcher).collect()
}

/// As Prometheus lists them.
fn format_response_types(types: &[i32]) -> String {
    let numbers: Vec<String> = types.iter().map(i32::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{ReadSelection, RemoteReadError, response_type};
    use crate::model::time::TimeRange;
    use crate::remote::external_labels::ExternalLabels;
    use crate::remote::pb::prometheus as pb;
    use crate::remote::pb::prometheus::read_request::ResponseType;

    #[test]
    fn the_first_known_type_of_the_client_s_list_is_taken_and_samples_where_there_is_none() {
        let asked = |types: &[i32]| {
            response_type(&pb::ReadRequest {
                accepted_response_types: types.into(),
                ..Default::default()
            })
        };
        for (types, expected) in [
            (&[][..], ResponseType::Samples),
            (&[0, 1], ResponseType::Samples),
            (&[1, 0], ResponseType::StreamedXorChunks),
            (&[7, 1], ResponseType::StreamedXorChunks),
        ] {
            assert_eq!(asked(types).unwrap(), expected);
        }
        let error = asked(&[9, 8]).unwrap_err();
        assert!(matches!(&error, RemoteReadError::ResponseType(types) if types == &[9, 8]));
        assert!(error.to_string().starts_with(
            "server does not support any of the requested response types: [9 8]; supp"
        ));
    }

    #[test]
    fn times_are_those_of_the_hints_where_there_are_some_and_never_beyond_the_query_s() {
        let range = |hints: Option<(i64, i64)>| {
            let hints = hints.map(|(start_ms, end_ms)| pb::ReadHints {
                start_ms,
                end_ms,
                ..Default::default()
            });
            let query = pb::Query {
                start_timestamp_ms: 100,
                end_timestamp_ms: 200,
                matchers: Vec::new(),
                hints,
            };
            ReadSelection::new(&query, &ExternalLabels::default()).unwrap().range
        };
        assert_eq!(range(None), TimeRange::new(100, 200));
        assert_eq!(range(Some((0, 0))), TimeRange::new(100, 200));
        assert_eq!(range(Some((150, 180))), TimeRange::new(150, 180));
        assert_eq!(range(Some((0, 1000))), TimeRange::new(100, 200));
    }
}

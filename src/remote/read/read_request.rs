//! Remote read request: decoding, limits, and the series that it selects.
//!
//! Decisions follow Prometheus. The response type is the first known one of the client's list. The
//! time range of the hints, if present, narrows that of the query (`selectSeriesSet` in
//! `tsdb/querier.go`). The content type and encoding headers are not checked (`DecodeReadRequest`
//! in `storage/remote/codec.go`).

use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::prometheus as pb;
use crate::remote::pb::prometheus::label_matcher::Type;
use crate::remote::pb::prometheus::read_request::ResponseType;
use crate::remote::read::response_writer::ResponseTooLong;
use crate::tsdb::db::QueryError;
use crate::tsdb::db::error::NotReady;
use prost::Message;

/// Maximum size of a request after decompression, bytes. A request with dozens of matchers has a
/// few KiB.
const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Maximum number of queries, and of matchers in one query.
const MAX_QUERIES: usize = 1000;
const MAX_MATCHERS: usize = 1000;

/// Reason for aborting a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadAbort {
    /// The byte budget for responses is exhausted.
    #[error("too many bytes in flight")]
    Busy,
    /// The client has disconnected, or the request exceeded its time limit.
    #[error("client disconnected")]
    ClientGone,
    /// The client reads the response too slowly.
    #[error("client did not read the response in time")]
    SlowClient,
}

/// Error of a remote read.
#[derive(Debug, thiserror::Error)]
pub enum RemoteReadError {
    /// The body is not a snappy block.
    #[error("the body is not a snappy block: {0}")]
    NotSnappy(#[from] snap::Error),
    /// The request exceeds the maximum size.
    #[error(
        "request has {size} bytes after decompression, the limit is {limit}",
        limit = MAX_REQUEST_BYTES
    )]
    TooLarge {
        /// Size after decompression, bytes.
        size: usize,
    },
    /// The body is not a valid message.
    #[error("the body is not a prometheus.ReadRequest: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The request has too many queries, matchers or other items.
    #[error("the request has more than {limit} {what}")]
    TooMany {
        /// Items that are too many.
        what: &'static str,
        /// Maximum number of items.
        limit: usize,
    },
    /// None of the accepted response types is known.
    #[error(
        "server does not support any of the requested response types: {}; \
         supported: map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]",
        format_response_types(.0)
    )]
    ResponseType(Vec<i32>),
    /// A matcher has an unknown type.
    #[error("unknown matcher type {0}")]
    MatcherType(i32),
    /// A matcher is not valid.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// The query selects more samples than allowed.
    #[error("exceeded sample limit ({0})")]
    SampleLimit(u64),
    /// The response exceeds its limit in bytes.
    #[error("response exceeds {0} bytes; select fewer series or a shorter time range")]
    ResponseLimit(usize),
    /// The response exceeds the maximum length of a message.
    #[error("response is {0}")]
    TooLong(#[from] ResponseTooLong),
    /// The thread that built the response panicked.
    #[error("internal error while building the response")]
    Panicked,
    /// The database is not recovered yet.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The read was aborted early.
    #[error(transparent)]
    Stopped(#[from] ReadAbort),
    /// The stored data cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Matchers and time range of a query, for the stored series.
#[derive(Debug, Clone)]
pub struct ReadSelection {
    /// Matchers that a series must all satisfy.
    pub matchers: Vec<Matcher>,
    /// Time range, both ends included.
    pub range: TimeRange,
}

/// Decodes a request as it is sent over HTTP: a snappy block.
///
/// # Errors
/// [`RemoteReadError`] if the body is not a request or exceeds a limit.
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

/// Decodes an uncompressed request.
///
/// # Errors
/// [`RemoteReadError`] if the message is not a request or exceeds a limit.
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

/// Returns the first known response type that the client accepts; SAMPLES if it lists none.
///
/// # Errors
/// [`RemoteReadError::ResponseType`] if no listed type is known.
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
    /// Creates the selection of a query; matchers for external labels are stripped.
    ///
    /// # Errors
    /// [`RemoteReadError::MatcherType`], [`RemoteReadError::Matcher`].
    pub fn new(query: &pb::Query, external: &ExternalLabels) -> Result<Self, RemoteReadError> {
        let query_range = TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms);
        // Hints without a time range have zeros.
        let hints = query.hints.as_ref().filter(|hints| (hints.start_ms, hints.end_ms) != (0, 0));
        let range = hints.map_or(query_range, |hints| {
            TimeRange::new(query_range.mint.max(hints.start_ms), query_range.maxt.min(hints.end_ms))
        });
        Ok(Self { matchers: external.strip(matchers(&query.matchers)?)?, range })
    }
}

/// Decodes the matchers of a query.
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

/// Formats response types as Prometheus does.
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
    fn first_known_response_type_is_used_or_samples() {
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
    fn hints_narrow_the_time_range() {
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

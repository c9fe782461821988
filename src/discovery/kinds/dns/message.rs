//! DNS messages: queries, and the records of responses that discovery uses.
//!
//! # Format (RFC 1035, RFC 6891)
//! ```text
//! ┌────────┬───────────┬───────────────────────────────┬───────────┬─────────┬─────┐
//! │ id u16 │ flags u16 │ counts: QD, AN, NS, AR (u16)  │ questions │ answers │ ... │
//! └────────┴───────────┴───────────────────────────────┴───────────┴─────────┴─────┘
//! question: name, type u16, class u16
//! record:   name, type u16, class u16, ttl u32, length u16, data
//! name:     labels (length u8, bytes), ended by a 0 or by a pointer 0b11xx… to an earlier name
//! ```
//! A pointer must refer to an earlier offset than its name, so names cannot loop.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Size of a response over UDP that a query allows, bytes.
pub(super) const UDP_SIZE: u16 = 4096;
/// Maximum length of a name, bytes (RFC 1035).
const MAX_NAME: usize = 255;
/// Maximum length of a label, bytes.
const MAX_LABEL: usize = 63;

const HEADER: usize = 12;
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_TRUNCATED: u16 = 0x0200;
const FLAG_RECURSION: u16 = 0x0100;
const RCODE: u16 = 0x000f;
const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_OPT: u16 = 41;

/// Type of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueryType(pub(super) u16);

impl QueryType {
    pub(super) const A: Self = Self(1);
    pub(super) const NS: Self = Self(2);
    pub(super) const MX: Self = Self(15);
    pub(super) const AAAA: Self = Self(28);
    pub(super) const SRV: Self = Self(33);
}

/// Response to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    /// Whether the server left out records that do not fit.
    pub(super) is_truncated: bool,
    pub(super) code: ResponseCode,
    /// Answers, without aliases.
    pub(super) records: Vec<Record>,
    /// Number of answers of other types, which discovery ignores.
    pub(super) ignored: usize,
}

/// Code of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseCode {
    /// The name exists, perhaps without records of the type.
    Success,
    /// The name does not exist (NXDOMAIN).
    NameError,
    /// The server cannot answer.
    Failure(u8),
}

/// Answer. Names end with a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx(String),
    Ns(String),
    Srv { target: String, port: u16 },
}

/// Error of building a query or parsing a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    /// The name of a query has an empty or too long label, or is too long.
    #[error("invalid domain name")]
    InvalidName,
    /// The response ends early, or has an invalid name.
    #[error("malformed response")]
    Malformed,
    /// The response belongs to another query.
    #[error("response to another query")]
    Foreign,
}

/// Query for the records of a name.
#[derive(Debug)]
pub(super) struct Query {
    id: u16,
    /// Question as in the message.
    question: Vec<u8>,
}

impl Query {
    /// Returns a query. `name` may end with a dot.
    pub(super) fn new(id: u16, name: &str, kind: QueryType) -> Result<Self, MessageError> {
        let mut question = Vec::with_capacity(name.len() + 6);
        let name = name.strip_suffix('.').unwrap_or(name);
        for label in name.split('.').filter(|_| !name.is_empty()) {
            let len = u8::try_from(label.len()).unwrap_or(u8::MAX);
            if label.is_empty() || label.len() > MAX_LABEL {
                return Err(MessageError::InvalidName);
            }
            question.push(len);
            question.extend_from_slice(label.as_bytes());
        }
        question.push(0);
        if question.len() > MAX_NAME {
            return Err(MessageError::InvalidName);
        }
        question.extend_from_slice(&kind.0.to_be_bytes());
        question.extend_from_slice(&CLASS_IN.to_be_bytes());
        Ok(Self { id, question })
    }

    /// Encodes the message. `allows_large`: whether responses over UDP may have more than 512
    /// bytes (EDNS).
    pub(super) fn encode(&self, allows_large: bool) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + self.question.len() + 11);
        let counts = [1, 0, 0, u16::from(allows_large)];
        for field in [self.id, FLAG_RECURSION].into_iter().chain(counts) {
            message.extend_from_slice(&field.to_be_bytes());
        }
        message.extend_from_slice(&self.question);
        if allows_large {
            message.push(0);
            message.extend_from_slice(&TYPE_OPT.to_be_bytes());
            message.extend_from_slice(&UDP_SIZE.to_be_bytes());
            // No extended code, version, flags and options.
            message.extend_from_slice(&[0; 6]);
        }
        message
    }

    /// Parses the response to this query.
    ///
    /// # Errors
    /// [`MessageError::Foreign`] if identifier or question differ.
    pub(super) fn parse(&self, message: &[u8]) -> Result<Response, MessageError> {
        let mut reader = Reader { message, at: 0 };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let [questions, answers] = [reader.u16()?, reader.u16()?];
        reader.at = HEADER;
        if id != self.id || flags & FLAG_RESPONSE == 0 {
            return Err(MessageError::Foreign);
        }
        // Some servers leave the question out of an error.
        if questions > 1 {
            return Err(MessageError::Malformed);
        }
        if questions == 1 {
            let question = reader.take(self.question.len())?;
            if !question.eq_ignore_ascii_case(&self.question) {
                return Err(MessageError::Foreign);
            }
        }
        let is_truncated = flags & FLAG_TRUNCATED != 0;
        let code = match flags & RCODE {
            0 => ResponseCode::Success,
            3 => ResponseCode::NameError,
            code => ResponseCode::Failure(code as u8),
        };
        let mut response = Response { is_truncated, code, records: Vec::new(), ignored: 0 };
        if is_truncated {
            return Ok(response);
        }
        for _ in 0..answers {
            match reader.record()? {
                Answer::Record(record) => response.records.push(record),
                Answer::Alias => {}
                Answer::Other => response.ignored += 1,
            }
        }
        Ok(response)
    }
}

enum Answer {
    Record(Record),
    Alias,
    Other,
}

/// Reader of a message. No read is beyond its end.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], MessageError> {
        let end = self.at.checked_add(len).ok_or(MessageError::Malformed)?;
        let bytes = self.message.get(self.at..end).ok_or(MessageError::Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        self.take(N)?.try_into().map_err(|_| MessageError::Malformed)
    }

    fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    fn record(&mut self) -> Result<Answer, MessageError> {
        self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        self.take(4)?;
        let len = usize::from(self.u16()?);
        let end = self.at + len;
        if end > self.message.len() {
            return Err(MessageError::Malformed);
        }
        let answer = match QueryType(kind) {
            _ if class != CLASS_IN => Answer::Other,
            QueryType::A => Answer::Record(Record::A(self.array::<4>()?.into())),
            QueryType::AAAA => Answer::Record(Record::Aaaa(self.array::<16>()?.into())),
            QueryType::NS => Answer::Record(Record::Ns(self.name()?)),
            QueryType::MX => {
                self.u16()?;
                Answer::Record(Record::Mx(self.name()?))
            }
            QueryType::SRV => {
                self.take(4)?;
                let port = self.u16()?;
                Answer::Record(Record::Srv { port, target: self.name()? })
            }
            QueryType(TYPE_CNAME) => Answer::Alias,
            QueryType(_) => Answer::Other,
        };
        let is_known = !matches!(answer, Answer::Alias | Answer::Other);
        if is_known && self.at != end {
            return Err(MessageError::Malformed);
        }
        self.at = end;
        Ok(answer)
    }

    /// Reads a name in presentation form, with a final dot. Special characters are escaped.
    fn name(&mut self) -> Result<String, MessageError> {
        let mut name = String::new();
        let mut wire_len = 1;
        // Position behind the name, which the first pointer ends.
        let mut behind = None;
        let mut start = self.at;
        loop {
            let len = usize::from(self.array::<1>()?[0]);
            match len {
                0 => break,
                1..=MAX_LABEL => {
                    wire_len += len + 1;
                    if wire_len > MAX_NAME {
                        return Err(MessageError::Malformed);
                    }
                    self.take(len)?.iter().for_each(|byte| push_escaped(&mut name, *byte));
                    name.push('.');
                }
                0xc0.. => {
                    let low = usize::from(self.array::<1>()?[0]);
                    let target = (len & 0x3f) << 8 | low;
                    behind.get_or_insert(self.at);
                    if target >= start {
                        return Err(MessageError::Malformed);
                    }
                    (start, self.at) = (target, target);
                }
                _ => return Err(MessageError::Malformed),
            }
        }
        self.at = behind.unwrap_or(self.at);
        if name.is_empty() {
            name.push('.');
        }
        Ok(name)
    }
}

/// Appends a byte of a label as zone files write it.
fn push_escaped(name: &mut String, byte: u8) {
    match byte {
        b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
            name.push('\\');
            name.push(char::from(byte));
        }
        b'!'..=b'~' => name.push(char::from(byte)),
        // Writing to a string cannot fail.
        _ => write!(name, "\\{byte:03}").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MessageError, Query, QueryType, Record, Response, ResponseCode};
    use proptest::prelude::*;

    fn query(kind: QueryType) -> Query {
        Query::new(0x1234, "a.b", kind).expect("a query")
    }

    /// Header with counts of questions and answers, and the question of [`query`].
    fn head(flags: u16, answers: u16, kind: QueryType) -> Vec<u8> {
        let mut message = vec![0x12, 0x34];
        message.extend_from_slice(&(0x8180 | flags).to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&answers.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(b"\x01A\x01b\0");
        message.extend_from_slice(&kind.0.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message
    }

    fn record(message: &mut Vec<u8>, kind: u16, data: &[u8]) {
        message.extend_from_slice(&[0xc0, 12]);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
    }

    #[test]
    fn query_is_encoded_with_and_without_edns() {
        let query = Query::new(0x1234, "_x._tcp.a.", QueryType::SRV).expect("a query");
        let plain = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x02_x\x04_tcp\x01a\0\0\x21\0\x01";
        assert_eq!(query.encode(false), plain);
        let mut large = plain.to_vec();
        large[11] = 1;
        large.extend_from_slice(b"\0\0\x29\x10\0\0\0\0\0\0\0");
        assert_eq!(query.encode(true), large);
        let root = Query::new(1, ".", QueryType::NS).expect("a query");
        assert_eq!(root.encode(false)[12..], *b"\0\0\x02\0\x01");
    }

    #[test]
    fn invalid_names_are_rejected() {
        let long = "a".repeat(64);
        let deep = vec!["a"; 128].join(".");
        for name in ["a..b", ".a", "a..", long.as_str(), deep.as_str()] {
            let error = Query::new(1, name, QueryType::A).expect_err(name);
            assert_eq!(error, MessageError::InvalidName);
        }
        let longest = vec!["a"; 127].join(".");
        assert!(Query::new(1, &longest, QueryType::A).is_ok());
    }

    #[test]
    fn records_of_all_types_are_parsed() {
        let mut message = head(0, 8, QueryType::A);
        record(&mut message, 5, b"\x01c\xc0\x0c");
        record(&mut message, 1, &[10, 0, 0, 1]);
        record(&mut message, 28, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        record(&mut message, 15, b"\0\x0a\x01m\xc0\x0c");
        record(&mut message, 2, b"\xc0\x0e");
        record(&mut message, 33, b"\0\0\0\x05\x1f\x90\x02h1\xc0\x0c");
        record(&mut message, 16, b"\x03txt");
        record(&mut message, 2, b"\x05a. \"\xff\0");
        let response = query(QueryType::A).parse(&message).expect("a response");
        let expected = Response {
            is_truncated: false,
            code: ResponseCode::Success,
            records: vec![
                Record::A([10, 0, 0, 1].into()),
                Record::Aaaa("fd00::1".parse().expect("an address")),
                Record::Mx("m.A.b.".into()),
                Record::Ns("b.".into()),
                Record::Srv { target: "h1.A.b.".into(), port: 8080 },
                Record::Ns("a\\.\\ \\\"\\255.".into()),
            ],
            ignored: 1,
        };
        assert_eq!(response, expected);
    }

    #[test]
    fn codes_and_truncation_are_reported() {
        for (flags, is_truncated, code) in [
            (0, false, ResponseCode::Success),
            (3, false, ResponseCode::NameError),
            (2, false, ResponseCode::Failure(2)),
            (5, false, ResponseCode::Failure(5)),
            (0x200, true, ResponseCode::Success),
        ] {
            let message = head(flags, 0, QueryType::A);
            let response = query(QueryType::A).parse(&message).expect("a response");
            assert_eq!((response.is_truncated, response.code), (is_truncated, code), "{flags}");
        }
    }

    #[test]
    fn foreign_and_malformed_responses_are_rejected() {
        let query = query(QueryType::A);
        let mut other_id = head(0, 0, QueryType::A);
        other_id[0] = 0;
        let mut no_response = head(0, 0, QueryType::A);
        no_response[2] = 0;
        for message in [other_id, no_response, head(0, 0, QueryType::NS)] {
            assert_eq!(query.parse(&message), Err(MessageError::Foreign));
        }
        let with = |kind, data: &[u8]| {
            let mut message = head(0, 1, QueryType::A);
            record(&mut message, kind, data);
            message
        };
        for message in [
            head(0, 1, QueryType::A),
            with(1, &[10, 0, 0]),
            with(1, &[10, 0, 0, 1, 0]),
            // A pointer to itself, and one behind itself.
            with(2, b"\xc0\x20"),
            with(2, b"\xc0\xff"),
            with(2, b"\x40a"),
            with(2, b"\x05a"),
        ] {
            assert_eq!(query.parse(&message), Err(MessageError::Malformed), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut message = head(0, 3, QueryType::A);
            message.extend_from_slice(&bytes);
            let _ = query(QueryType::A).parse(&message);
            let _ = query(QueryType::A).parse(&bytes);
        }

        #[test]
        fn cut_response_is_an_error(cut in 0usize..100) {
            let mut message = head(0, 2, QueryType::A);
            record(&mut message, 33, b"\0\0\0\x05\x1f\x90\x02h1\xc0\x0c");
            record(&mut message, 15, b"\0\x0a\x01m\xc0\x0c");
            prop_assume!(cut < message.len());
            prop_assert!(query(QueryType::A).parse(&message[..cut]).is_err());
        }
    }
}

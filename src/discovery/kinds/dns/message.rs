//! DNS messages: queries, and the records of responses that discovery uses.
//!
//! The crate `domain` encodes and parses messages (RFC 1035, RFC 6891). This module checks that a
//! response belongs to its query, selects the records, and prints names as Prometheus does.

use domain::base::iana::{Class, OptRcode, Rtype};
use domain::base::message::Message;
use domain::base::message_builder::{MessageBuilder, PushError};
use domain::base::name::{Name, NameBuilder, ParsedName, PushError as NameError};
use domain::base::question::Question;
use domain::base::rdata::ParseRecordData;
use domain::base::record::ParsedRecord;
use domain::base::scan::Symbol;
use domain::base::wire::ParseError;
use domain::rdata::{A, Aaaa, Mx, Ns, Srv};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Size of a response over UDP that a query allows, bytes.
pub(super) const UDP_SIZE: u16 = 4096;

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
    Failure(OptRcode),
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
    /// The name of a query has an empty or too long label or an invalid escape, or is too long.
    #[error("invalid domain name")]
    InvalidName,
    /// The response ends early, or has an invalid name.
    #[error("malformed response")]
    Malformed,
    /// The response belongs to another query.
    #[error("response to another query")]
    Foreign,
}

impl From<NameError> for MessageError {
    fn from(_: NameError) -> Self {
        Self::InvalidName
    }
}

impl From<PushError> for MessageError {
    /// Only the name of a query has no fixed size.
    fn from(_: PushError) -> Self {
        Self::InvalidName
    }
}

impl From<ParseError> for MessageError {
    fn from(_: ParseError) -> Self {
        Self::Malformed
    }
}

/// Query for the records of a name.
#[derive(Debug)]
pub(super) struct Query {
    id: u16,
    question: Question<Name<Vec<u8>>>,
}

impl Query {
    /// Returns a query. `name` may end with a dot and have the escapes of zone files.
    pub(super) fn new(id: u16, name: &str, kind: Rtype) -> Result<Self, MessageError> {
        Ok(Self { id, question: Question::new(parse_name(name)?, kind, Class::IN) })
    }

    /// Encodes the message. `allows_large`: whether responses over UDP may have more than 512
    /// bytes (EDNS).
    pub(super) fn encode(&self, allows_large: bool) -> Result<Vec<u8>, MessageError> {
        let Ok(mut builder) = MessageBuilder::from_target(Vec::new());
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut questions = builder.question();
        questions.push(&self.question)?;
        let mut additional = questions.additional();
        if allows_large {
            additional.opt(|opt| {
                opt.set_udp_payload_size(UDP_SIZE);
                Ok(())
            })?;
        }
        Ok(additional.finish())
    }

    /// Parses the response to this query.
    ///
    /// # Errors
    /// [`MessageError::Foreign`] if identifier or question differ.
    pub(super) fn parse(&self, message: &[u8]) -> Result<Response, MessageError> {
        let message = Message::from_slice(message).map_err(|_| MessageError::Malformed)?;
        let header = message.header();
        if header.id() != self.id || !header.qr() {
            return Err(MessageError::Foreign);
        }
        match message.header_counts().qdcount() {
            // Some servers leave the question out of an error.
            0 => {}
            1 if message.sole_question()? != self.question => return Err(MessageError::Foreign),
            1 => {}
            _ => return Err(MessageError::Malformed),
        }
        let is_truncated = header.tc();
        let code = match message.opt_rcode() {
            OptRcode::NOERROR => ResponseCode::Success,
            OptRcode::NXDOMAIN => ResponseCode::NameError,
            code => ResponseCode::Failure(code),
        };
        let mut response = Response { is_truncated, code, records: Vec::new(), ignored: 0 };
        if is_truncated {
            return Ok(response);
        }
        for answer in message.answer()? {
            let answer = answer?;
            match Record::parse(&answer)? {
                Some(record) => response.records.push(record),
                None if answer.rtype() == Rtype::CNAME => {}
                None => response.ignored += 1,
            }
        }
        Ok(response)
    }
}

impl Record {
    /// Parses the data of an answer. `None` for other types and classes.
    fn parse(answer: &ParsedRecord<'_, [u8]>) -> Result<Option<Self>, MessageError> {
        if answer.class() != Class::IN {
            return Ok(None);
        }
        Ok(Some(match answer.rtype() {
            Rtype::A => Self::A(data::<A>(answer)?.addr()),
            Rtype::AAAA => Self::Aaaa(data::<Aaaa>(answer)?.addr()),
            Rtype::MX => Self::Mx(print_name(data::<Mx<_>>(answer)?.exchange())),
            Rtype::NS => Self::Ns(print_name(data::<Ns<_>>(answer)?.nsdname())),
            Rtype::SRV => {
                let srv = data::<Srv<_>>(answer)?;
                Self::Srv { target: print_name(srv.target()), port: srv.port() }
            }
            _ => return Ok(None),
        }))
    }
}

/// Parses the data of an answer whose type is that of the data.
fn data<'a, D>(answer: &ParsedRecord<'a, [u8]>) -> Result<D, MessageError>
where
    D: ParseRecordData<'a, [u8]>,
{
    Ok(answer.to_record()?.ok_or(MessageError::Malformed)?.into_data())
}

/// Returns a name as the labels of a query. Bytes that are no ASCII are kept, as by Prometheus.
fn parse_name(name: &str) -> Result<Name<Vec<u8>>, MessageError> {
    if name == "." {
        return Ok(Name::root_vec());
    }
    let mut builder = NameBuilder::new_vec();
    let mut chars = name.chars();
    while let Some(symbol) =
        Symbol::from_chars(&mut chars).map_err(|_| MessageError::InvalidName)?
    {
        match symbol {
            Symbol::Char('.') if builder.in_label() => builder.end_label(),
            Symbol::Char('.') => return Err(MessageError::InvalidName),
            Symbol::Char(c) => {
                c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| builder.push(byte))?;
            }
            Symbol::SimpleEscape(byte) | Symbol::DecimalEscape(byte) => builder.push(byte)?,
        }
    }
    let name = builder.into_name()?;
    // The builder admits one byte too many.
    if name.len() > Name::MAX_LEN { Err(MessageError::InvalidName) } else { Ok(name) }
}

/// Returns a name as Prometheus prints it: with a final dot, and special characters escaped.
fn print_name(name: &ParsedName<&[u8]>) -> String {
    let mut printed = String::new();
    for label in name.iter().filter(|label| !label.is_root()) {
        label.iter().for_each(|byte| push_escaped(&mut printed, byte));
        printed.push('.');
    }
    if printed.is_empty() {
        printed.push('.');
    }
    printed
}

/// Appends a byte of a label, escaped if zone files give it a meaning or if it is not printable.
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
    use super::{MessageError, Query, Record, Response, ResponseCode};
    use domain::base::iana::{OptRcode, Rtype};
    use proptest::prelude::*;

    fn query(kind: Rtype) -> Query {
        Query::new(0x1234, "a.b", kind).expect("a query")
    }

    /// Header with counts of questions and answers, and the question of [`query`].
    fn head(flags: u16, answers: u16, kind: Rtype) -> Vec<u8> {
        let mut message = vec![0x12, 0x34];
        message.extend_from_slice(&(0x8180 | flags).to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&answers.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(b"\x01A\x01b\0");
        message.extend_from_slice(&kind.to_int().to_be_bytes());
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
        let query = Query::new(0x1234, "_x._tcp.a.", Rtype::SRV).expect("a query");
        let plain = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x02_x\x04_tcp\x01a\0\0\x21\0\x01";
        assert_eq!(query.encode(false).expect("a message"), plain);
        let mut large = plain.to_vec();
        large[11] = 1;
        large.extend_from_slice(b"\0\0\x29\x10\0\0\0\0\0\0\0");
        assert_eq!(query.encode(true).expect("a message"), large);
        let root = Query::new(1, ".", Rtype::NS).expect("a query");
        assert_eq!(root.encode(false).expect("a message")[12..], *b"\0\0\x02\0\x01");
    }

    /// Wire form of a name with a number of labels of one byte, and one label of `last` bytes.
    fn question(labels: usize, last: usize) -> Result<usize, MessageError> {
        let name = format!("{}{}", "a.".repeat(labels), "b".repeat(last));
        let message = Query::new(1, &name, Rtype::A)?.encode(false)?;
        Ok(message.len() - 12 - 4)
    }

    #[test]
    fn invalid_names_are_rejected() {
        let long = "a".repeat(64);
        for name in ["a..b", ".a", "a..", "..", r"a\", r"a\25", r"a\256", long.as_str()] {
            let error = Query::new(1, name, Rtype::A).expect_err(name);
            assert_eq!(error, MessageError::InvalidName);
        }
        assert_eq!(question(126, 1), Ok(255));
        assert_eq!(question(95, 63), Ok(255));
        for (labels, last) in [(126, 2), (127, 1), (95, 64), (96, 62), (96, 63), (200, 63)] {
            assert_eq!(question(labels, last), Err(MessageError::InvalidName), "{labels} {last}");
        }
    }

    #[test]
    fn unusual_bytes_of_names_are_kept() {
        for (name, expected) in [
            ("\u{e9} *'\"._", &b"\x06\xc3\xa9 *'\"\x01_\0"[..]),
            (r"a\.b\\\091.\[c", b"\x05a.b\\[\x02[c\0"),
            (r"\000\255", b"\x02\0\xff\0"),
        ] {
            let query = Query::new(1, name, Rtype::A).expect(name);
            let message = query.encode(false).expect("a message");
            assert_eq!(message[12..message.len() - 4], *expected, "{name}");
        }
    }

    #[test]
    fn records_of_all_types_are_parsed() {
        let mut message = head(0, 8, Rtype::A);
        record(&mut message, 5, b"\x01c\xc0\x0c");
        record(&mut message, 1, &[10, 0, 0, 1]);
        record(&mut message, 28, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        record(&mut message, 15, b"\0\x0a\x01m\xc0\x0c");
        record(&mut message, 2, b"\xc0\x0e");
        record(&mut message, 33, b"\0\0\0\x05\x1f\x90\x02h1\xc0\x0c");
        record(&mut message, 16, b"\x03txt");
        record(&mut message, 2, b"\x05a. \"\xff\0");
        let response = query(Rtype::A).parse(&message).expect("a response");
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
            (2, false, ResponseCode::Failure(OptRcode::SERVFAIL)),
            (5, false, ResponseCode::Failure(OptRcode::REFUSED)),
            (0x200, true, ResponseCode::Success),
        ] {
            let message = head(flags, 0, Rtype::A);
            let response = query(Rtype::A).parse(&message).expect("a response");
            assert_eq!((response.is_truncated, response.code), (is_truncated, code), "{flags}");
        }
    }

    #[test]
    fn foreign_and_malformed_responses_are_rejected() {
        let query = query(Rtype::A);
        let mut other_id = head(0, 0, Rtype::A);
        other_id[0] = 0;
        let mut no_response = head(0, 0, Rtype::A);
        no_response[2] = 0;
        for message in [other_id, no_response, head(0, 0, Rtype::NS)] {
            assert_eq!(query.parse(&message), Err(MessageError::Foreign));
        }
        let with = |kind, data: &[u8]| {
            let mut message = head(0, 1, Rtype::A);
            record(&mut message, kind, data);
            message
        };
        for message in [
            head(0, 1, Rtype::A),
            with(1, &[10, 0, 0]),
            with(1, &[10, 0, 0, 1, 0]),
            // A pointer to itself, and one behind itself.
            with(2, b"\xc0\x21"),
            with(2, b"\xc0\xff"),
            // A second name, unknown kinds of labels, and a cut label.
            with(2, b"\x01a\0\x01a\0"),
            with(2, b"\x40a"),
            with(2, b"\x80a"),
            with(2, b"\x05a"),
        ] {
            assert_eq!(query.parse(&message), Err(MessageError::Malformed), "{message:?}");
        }
    }

    #[test]
    fn extended_code_is_a_failure() {
        let mut message = head(0, 0, Rtype::A);
        message[11] = 1;
        // OPT with code 1 above the four bits of the header: BADVERS.
        message.extend_from_slice(b"\0\0\x29\x10\0\x01\0\0\0\0\0");
        let response = query(Rtype::A).parse(&message).expect("a response");
        assert_eq!(response.code, ResponseCode::Failure(OptRcode::BADVERS));
    }

    #[test]
    fn error_may_lack_the_question() {
        let message = b"\x12\x34\x81\x85\0\0\0\0\0\0\0\0";
        let response = query(Rtype::A).parse(message).expect("a response");
        assert_eq!(response.code, ResponseCode::Failure(OptRcode::REFUSED));
        let two = b"\x12\x34\x81\x80\0\x02\0\0\0\0\0\0\0\0\x01\0\x01\0\0\x01\0\x01";
        assert_eq!(query(Rtype::A).parse(two), Err(MessageError::Malformed));
    }

    #[test]
    fn long_and_deep_names_are_bounded() {
        // Each name is a pointer to the one before.
        let mut message = head(0, 1, Rtype::NS);
        let mut data = b"\xc0\x0c".to_vec();
        let first = message.len() + 12;
        for hop in 0..1000 {
            data.extend_from_slice(&(0xc000 | (first + 2 * hop) as u16).to_be_bytes());
        }
        record(&mut message, 16, &data);
        let last = first + 2 * 1000;
        message[7] = 2;
        record(&mut message, 2, &(0xc000 | last as u16).to_be_bytes());
        assert_eq!(query(Rtype::NS).parse(&message), Err(MessageError::Malformed));
        let name = |labels: usize| {
            let mut message = head(0, 1, Rtype::NS);
            record(&mut message, 2, &[b"\x01a".repeat(labels), vec![0]].concat());
            query(Rtype::NS).parse(&message)
        };
        assert!(name(127).is_ok());
        assert_eq!(name(128), Err(MessageError::Malformed));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut message = head(0, 3, Rtype::A);
            message.extend_from_slice(&bytes);
            let _ = query(Rtype::A).parse(&message);
            let _ = query(Rtype::A).parse(&bytes);
        }

        #[test]
        fn cut_response_is_an_error(cut in 0usize..100) {
            let mut message = head(0, 2, Rtype::A);
            record(&mut message, 33, b"\0\0\0\x05\x1f\x90\x02h1\xc0\x0c");
            record(&mut message, 15, b"\0\x0a\x01m\xc0\x0c");
            prop_assume!(cut < message.len());
            prop_assert!(query(Rtype::A).parse(&message[..cut]).is_err());
        }
    }
}

//! Decoder of `io.prometheus.client.MetricFamily` without its metrics.

use crate::exposition::parse_error::shorten;
use crate::exposition::protobuf::wire::{DecodeError, Message};
use crate::exposition::protobuf_problem::ProtobufProblem;
use crate::model::metadata::MetricType;

/// Maximum length of the varint before a family, bytes.
const MAX_LENGTH_BYTES: usize = 5;
/// Number of the repeated field with the metrics.
const METRIC_FIELD: i32 = 4;

/// Type of a family, which selects the field of its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FamilyType {
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

/// Family of a body. The metrics are decoded later, one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    /// Empty if the family has no unit.
    pub(crate) unit: &'a str,
    pub(crate) family_type: FamilyType,
    /// Position after the latest metric.
    rest: Message<'a>,
}

/// Fields of a family that are not validated.
struct FamilyFields<'a> {
    name: &'a [u8],
    help: &'a [u8],
    unit: &'a [u8],
    family_type: i32,
    has_metrics: bool,
}

impl<'a> Family<'a> {
    /// Reads the next family that has metrics, and moves `body` behind it. Returns `None` at the
    /// end of the body.
    pub(crate) fn read(body: &mut Message<'a>) -> Result<Option<Self>, DecodeError> {
        while !body.is_at_end() {
            let message = read_delimited(body)?;
            let fields = FamilyFields::read(message)?;
            if fields.has_metrics {
                return fields.into_family(message).map(Some);
            }
        }
        Ok(None)
    }

    /// Offset after the latest metric, bytes.
    pub(crate) fn offset(&self) -> usize {
        self.rest.offset()
    }

    /// Returns the next metric, or `None` after the last one.
    pub(crate) fn next_metric(&mut self) -> Result<Option<Message<'a>>, DecodeError> {
        while let Some(field) = self.rest.next_field()? {
            if field.number == METRIC_FIELD {
                return field.message().map(Some);
            }
        }
        Ok(None)
    }
}

/// Reads the length and the bytes of a family.
fn read_delimited<'a>(body: &mut Message<'a>) -> Result<Message<'a>, DecodeError> {
    let start = body.offset();
    let whole = body.rest();
    let invalid = DecodeError { problem: ProtobufProblem::FamilyLength, offset: start };
    let len = body.varint().map_err(|_| invalid.clone())?;
    let length_bytes = body.offset() - start;
    if length_bytes > MAX_LENGTH_BYTES {
        return Err(invalid);
    }
    // Both summands are small: the varint has at most 35 bits.
    let expected = len + length_bytes as u64;
    match usize::try_from(expected) {
        Ok(expected) if expected <= whole.len() => Ok(body.split_to(start + expected)),
        _ => Err(DecodeError {
            problem: ProtobufProblem::TruncatedFamily { expected, remaining: whole.len() },
            offset: start,
        }),
    }
}

impl<'a> FamilyFields<'a> {
    fn read(mut message: Message<'a>) -> Result<Self, DecodeError> {
        let mut fields =
            Self { name: b"", help: b"", unit: b"", family_type: 0, has_metrics: false };
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => fields.name = field.bytes()?,
                2 => fields.help = field.bytes()?,
                3 => fields.family_type = field.varint()? as i32,
                METRIC_FIELD => {
                    field.message()?;
                    fields.has_metrics = true;
                }
                5 => fields.unit = field.bytes()?,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn into_family(self, message: Message<'a>) -> Result<Family<'a>, DecodeError> {
        let name = match std::str::from_utf8(self.name) {
            Ok(name) if !name.is_empty() => name,
            _ => {
                let name = shorten(self.name);
                return Err(message.error(ProtobufProblem::MetricName { name }));
            }
        };
        let help =
            std::str::from_utf8(self.help).map_err(|_| message.error(ProtobufProblem::Help))?;
        let unit =
            std::str::from_utf8(self.unit).map_err(|_| message.error(ProtobufProblem::Unit))?;
        let family_type = match self.family_type {
            0 => FamilyType::Counter,
            1 => FamilyType::Gauge,
            2 => FamilyType::Summary,
            3 => FamilyType::Untyped,
            4 => FamilyType::Histogram,
            5 => FamilyType::GaugeHistogram,
            number => return Err(message.error(ProtobufProblem::MetricType { number })),
        };
        Ok(Family { name, help, unit, family_type, rest: message })
    }
}

impl FamilyType {
    /// Returns the type for metadata.
    pub(crate) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Summary => MetricType::Summary,
            Self::Untyped => MetricType::Unknown,
            Self::Histogram => MetricType::Histogram,
            Self::GaugeHistogram => MetricType::GaugeHistogram,
        }
    }
}

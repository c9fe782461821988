//! Checks the messages of a write request: labels of unusual form, exemplars, histograms, metadata.
//!
//! Whether a request is one at all is decided for the whole of it before anything of it is stored. The
//! tables say of each known field what it is; they follow `proto/prometheus/types.proto` and `proto/io/prometheus/write/v2/types.proto`.

use crate::remote::protobuf::{Cursor, DecodeError, MAX_DEPTH, WireType};

/// How deep a series, and a label, sample, exemplar or histogram, stands in the request.
pub(crate) const SERIES_LEVEL: u32 = 1;
pub(crate) const FIELD_LEVEL: u32 = 2;

/// What a known field of a message holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Varint,
    Double,
    Text,
    Message(&'static Schema),
    /// Any number of varints, packed or one by one.
    Varints,
    /// Any number of doubles, packed or one by one.
    Doubles,
}

/// The known fields of a message; others are skipped.
#[derive(Debug)]
pub(crate) struct Schema {
    fields: &'static [(u32, Kind)],
}

pub(crate) static LABEL: Schema = Schema { fields: &[(1, Kind::Text), (2, Kind::Text)] };

pub(crate) static EXEMPLAR: Schema =
    Schema { fields: &[(1, Kind::Message(&LABEL)), (2, Kind::Double), (3, Kind::Varint)] };

static BUCKET_SPAN: Schema = Schema { fields: &[(1, Kind::Varint), (2, Kind::Varint)] };

/// Remote write 2.0 has one field more than 1.0.
const HISTOGRAM_FIELDS: [(u32, Kind); 17] = [
    (1, Kind::Varint),
    (2, Kind::Double),
    (3, Kind::Double),
    (4, Kind::Varint),
    (5, Kind::Double),
    (6, Kind::Varint),
    (7, Kind::Double),
    (8, Kind::Message(&BUCKET_SPAN)),
    (9, Kind::Varints),
    (10, Kind::Doubles),
    (11, Kind::Message(&BUCKET_SPAN)),
    (12, Kind::Varints),
    (13, Kind::Doubles),
    (14, Kind::Varint),
    (15, Kind::Varint),
    (16, Kind::Doubles),
    (17, Kind::Varint),
];

pub(crate) static HISTOGRAM: Schema = Schema { fields: HISTOGRAM_FIELDS.split_at(16).0 };

pub(crate) static HISTOGRAM_V2: Schema = Schema { fields: &HISTOGRAM_FIELDS };

pub(crate) static EXEMPLAR_V2: Schema = Schema { fields: &[(1, Kind::Varints), (2, Kind::Double), (3, Kind::Varint)] };

pub(crate) static METADATA_V2: Schema = Schema { fields: &[(1, Kind::Varint), (3, Kind::Varint), (4, Kind::Varint)] };

pub(crate) static METADATA: Schema =
    Schema { fields: &[(1, Kind::Varint), (2, Kind::Text), (4, Kind::Text), (5, Kind::Text)] };

impl Schema {
    /// Walks a whole message that stands `level` messages deep (the request itself is 0).
    pub(crate) fn check(&self, mut message: Cursor<'_>, level: u32) -> Result<(), DecodeError> {
        while !message.is_at_end() {
            let key = message.key()?;
            let Some((_, kind)) = self.fields.iter().find(|(field, _)| *field == key.field) else {
                message.skip_value(key, MAX_DEPTH - level)?;
                continue;
            };
            match (kind, key.wire) {
                (Kind::Varint | Kind::Varints, WireType::Varint) => drop(message.varint()?),
                (Kind::Double | Kind::Doubles, WireType::Fixed64) => drop(message.fixed64()?),
                (Kind::Text, WireType::Length) => drop(message.string()?),
                (Kind::Message(schema), WireType::Length) => schema.check(message.message()?, level + 1)?,
                (Kind::Varints, WireType::Length) => {
                    let mut packed = message.message()?;
                    while !packed.is_at_end() {
                        packed.varint()?;
                    }
                }
                (Kind::Doubles, WireType::Length) => {
                    let mut packed = message.message()?;
                    while !packed.is_at_end() {
                        packed.fixed64()?;
                    }
                }
                _ => return Err(message.error("known field with a wrong wire type")),
            }
        }
        Ok(())
    }
}

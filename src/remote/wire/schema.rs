//! Validation of request messages by their known fields: labels in uncommon encodings, exemplars,
//! histograms, metadata.
//!
//! A request is validated as a whole before anything of it is stored. The tables list the type of
//! each known field; they follow `proto/prometheus/types.proto` and
//! `proto/io/prometheus/write/v2/types.proto`.

use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};

/// Nesting depth of a series in the request, and of a label, sample, exemplar or histogram.
pub(crate) const SERIES_LEVEL: u32 = 1;
pub(crate) const FIELD_LEVEL: u32 = 2;

/// Type of a known field.
#[derive(Debug, Clone, Copy)]
enum FieldKind {
    Varint,
    Double,
    Text,
    Message(&'static MessageSchema),
    /// Any number of varints, packed or not.
    Varints,
    /// Any number of doubles, packed or not.
    Doubles,
}

/// Known fields of a message; other fields are skipped.
#[derive(Debug)]
pub(crate) struct MessageSchema {
    fields: &'static [(u32, FieldKind)],
}

pub(crate) static LABEL: MessageSchema =
    MessageSchema { fields: &[(1, FieldKind::Text), (2, FieldKind::Text)] };

pub(crate) static EXEMPLAR: MessageSchema = MessageSchema {
    fields: &[(1, FieldKind::Message(&LABEL)), (2, FieldKind::Double), (3, FieldKind::Varint)],
};

static BUCKET_SPAN: MessageSchema =
    MessageSchema { fields: &[(1, FieldKind::Varint), (2, FieldKind::Varint)] };

/// Fields of a histogram; remote write 2.0 has one more than 1.0.
const HISTOGRAM_FIELDS: [(u32, FieldKind); 17] = [
    (1, FieldKind::Varint),
    (2, FieldKind::Double),
    (3, FieldKind::Double),
    (4, FieldKind::Varint),
    (5, FieldKind::Double),
    (6, FieldKind::Varint),
    (7, FieldKind::Double),
    (8, FieldKind::Message(&BUCKET_SPAN)),
    (9, FieldKind::Varints),
    (10, FieldKind::Doubles),
    (11, FieldKind::Message(&BUCKET_SPAN)),
    (12, FieldKind::Varints),
    (13, FieldKind::Doubles),
    (14, FieldKind::Varint),
    (15, FieldKind::Varint),
    (16, FieldKind::Doubles),
    (17, FieldKind::Varint),
];

pub(crate) static HISTOGRAM: MessageSchema =
    MessageSchema { fields: HISTOGRAM_FIELDS.split_at(16).0 };

pub(crate) static HISTOGRAM_V2: MessageSchema = MessageSchema { fields: &HISTOGRAM_FIELDS };

pub(crate) static EXEMPLAR_V2: MessageSchema = MessageSchema {
    fields: &[(1, FieldKind::Varints), (2, FieldKind::Double), (3, FieldKind::Varint)],
};

pub(crate) static METADATA_V2: MessageSchema = MessageSchema {
    fields: &[(1, FieldKind::Varint), (3, FieldKind::Varint), (4, FieldKind::Varint)],
};

pub(crate) static METADATA: MessageSchema = MessageSchema {
    fields: &[
        (1, FieldKind::Varint),
        (2, FieldKind::Text),
        (4, FieldKind::Text),
        (5, FieldKind::Text),
    ],
};

impl MessageSchema {
    /// Checks a whole message at nesting depth `level` (0 is the request).
    pub(crate) fn check(
        &self,
        mut message: MessageCursor<'_>,
        level: u32,
    ) -> Result<(), DecodeMessageError> {
        while !message.is_at_end() {
            let key = message.key()?;
            let Some((_, kind)) = self.fields.iter().find(|(field, _)| *field == key.field) else {
                message.skip_value(key, MAX_DEPTH - level)?;
                continue;
            };
            match (kind, key.wire) {
                (FieldKind::Varint | FieldKind::Varints, WireType::Varint) => {
                    message.varint()?;
                }
                (FieldKind::Double | FieldKind::Doubles, WireType::Fixed64) => {
                    message.fixed64()?;
                }
                (FieldKind::Text, WireType::Length) => drop(message.string()?),
                (FieldKind::Message(schema), WireType::Length) => {
                    schema.check(message.message()?, level + 1)?
                }
                (FieldKind::Varints, WireType::Length) => {
                    let mut packed = message.message()?;
                    while !packed.is_at_end() {
                        packed.varint()?;
                    }
                }
                (FieldKind::Doubles, WireType::Length) => {
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

//! Decoder of `prometheus.Exemplar`.
//!
//! The labels of an exemplar are sorted, and labels with an empty value are left out. An exemplar
//! without labels has no label set.

use crate::ingest::item_error::InvalidItem;
use crate::model::exemplar::Exemplar;
use crate::model::labels::{BuildLabelsError, LabelsBuilder};
use crate::remote::wire::label::decode_label;
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::wire::schema::FIELD_LEVEL;
use crate::remote::wire::symbol_ref_error::SymbolRefError;
use crate::tsdb::db::MAX_LABEL_CHARACTERS;

/// Error of the labels of an exemplar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExemplarError {
    /// They do not form a label set.
    #[error(transparent)]
    NotASet(#[from] BuildLabelsError),
    /// A reference to them is invalid.
    #[error(transparent)]
    Refs(#[from] SymbolRefError),
    /// They exceed the maximum length.
    #[error("label length for exemplar exceeds maximum of {MAX_LABEL_CHARACTERS} UTF-8 characters")]
    TooLong,
}

/// Decodes an exemplar. Returns `None` if the bytes are not such a message.
pub(crate) fn decode_exemplar(
    message: MessageCursor<'_>,
) -> Option<Result<Exemplar, InvalidItem<ExemplarError>>> {
    let mut fields = ExemplarFields { labels: LabelsBuilder::new(), v: 0.0, t: 0 };
    fields.read(message).ok()?;
    let ExemplarFields { mut labels, v, t } = fields;
    Some(match labels.build() {
        Ok(labels) => Ok(Exemplar { t, v, labels: Some(labels) }),
        Err(BuildLabelsError::Empty) => Ok(Exemplar { t, v, labels: None }),
        Err(error) => Err(InvalidItem { t, reason: error.into() }),
    })
}

struct ExemplarFields<'a> {
    labels: LabelsBuilder<'a>,
    v: f64,
    t: i64,
}

impl<'a> ExemplarFields<'a> {
    fn read(&mut self, mut message: MessageCursor<'a>) -> Result<(), DecodeMessageError> {
        while !message.is_at_end() {
            let key = message.key()?;
            match key.field {
                1 => {
                    message.expect_wire_type(key, WireType::Length)?;
                    let (name, value) = decode_label(message.message()?);
                    self.labels.add(name, value);
                }
                2 => {
                    message.expect_wire_type(key, WireType::Fixed64)?;
                    self.v = f64::from_bits(message.fixed64()?);
                }
                3 => {
                    message.expect_wire_type(key, WireType::Varint)?;
                    self.t = message.varint()? as i64;
                }
                _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
            }
        }
        Ok(())
    }
}

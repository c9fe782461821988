//! An exemplar of a write request as a value: the message `prometheus.Exemplar` decoded where it stands.
//!
//! Its labels are a set of their own: sorted here where they were not, without those that are empty, and no set where there are none.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{BuildLabelsError, LabelsBuilder};
use crate::remote::label::decode_label;
use crate::remote::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::schema::FIELD_LEVEL;
use crate::remote::symbol_ref_error::SymbolRefError;
use crate::tsdb::head::exemplars::MAX_LABEL_CHARACTERS;

/// Why the labels of an exemplar are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExemplarError {
    /// They are no set.
    #[error(transparent)]
    NotASet(#[from] BuildLabelsError),
    /// They can't be read.
    #[error(transparent)]
    Refs(#[from] SymbolRefError),
    /// They are longer than any that is stored.
    #[error("label length for exemplar exceeds maximum of {MAX_LABEL_CHARACTERS} UTF-8 characters")]
    TooLong,
}

/// An exemplar whose labels are no set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedExemplar {
    /// Its timestamp, ms.
    pub t: i64,
    /// Why.
    pub reason: ExemplarError,
}

/// Decodes an exemplar. `None` for bytes that are no such message.
pub(crate) fn decode_exemplar(
    message: MessageCursor<'_>,
) -> Option<Result<Exemplar, RejectedExemplar>> {
    let mut found = ExemplarFields { labels: LabelsBuilder::new(), v: 0.0, t: 0 };
    found.read(message).ok()?;
    let ExemplarFields { mut labels, v, t } = found;
    Some(match labels.build() {
        Ok(labels) => Ok(Exemplar { t, v, labels: Some(labels) }),
        Err(BuildLabelsError::Empty) => Ok(Exemplar { t, v, labels: None }),
        Err(why) => Err(RejectedExemplar { t, reason: why.into() }),
    })
}

/// What the message has.
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

//! An exemplar of a write request as a value: the message `prometheus.Exemplar` decoded where it stands.
//!
//! Its labels are a set of their own: sorted here where they were not, without those that are empty, and no set where there are none.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{LabelError, LabelsBuilder};
use crate::remote::bad_refs::BadRefs;
use crate::remote::label::decode_label;
use crate::remote::protobuf::{Cursor, DecodeError, MAX_DEPTH, WireType};
use crate::remote::schema::FIELD_LEVEL;
use crate::tsdb::head::exemplars::MAX_LABEL_CHARACTERS;

/// Why the labels of an exemplar are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExemplar {
    /// They are no set.
    #[error(transparent)]
    NotASet(#[from] LabelError),
    /// They can't be read.
    #[error(transparent)]
    Refs(#[from] BadRefs),
    /// They are longer than any that is stored.
    #[error("label length for exemplar exceeds maximum of {MAX_LABEL_CHARACTERS} UTF-8 characters")]
    TooLong,
}

/// An exemplar whose labels are no set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedExemplar {
    /// Its timestamp, ms.
    pub t: i64,
    /// Why.
    pub why: BadExemplar,
}

/// Decodes an exemplar. `None` for bytes that are no such message.
pub(crate) fn decode_exemplar(message: Cursor<'_>) -> Option<Result<Exemplar, RefusedExemplar>> {
    let mut found = Fields { labels: LabelsBuilder::new(), v: 0.0, t: 0 };
    found.read(message).ok()?;
    let Fields { mut labels, v, t } = found;
    Some(match labels.build() {
        Ok(labels) => Ok(Exemplar { t, v, labels: Some(labels) }),
        Err(LabelError::Empty) => Ok(Exemplar { t, v, labels: None }),
        Err(why) => Err(RefusedExemplar { t, why: why.into() }),
    })
}

/// What the message has.
struct Fields<'a> {
    labels: LabelsBuilder<'a>,
    v: f64,
    t: i64,
}

impl<'a> Fields<'a> {
    fn read(&mut self, mut message: Cursor<'a>) -> Result<(), DecodeError> {
        while !message.is_at_end() {
            let key = message.key()?;
            match key.field {
                1 => {
                    message.expect(key, WireType::Length)?;
                    let (name, value) = decode_label(message.message()?);
                    self.labels.add(name, value);
                }
                2 => {
                    message.expect(key, WireType::Fixed64)?;
                    self.v = f64::from_bits(message.fixed64()?);
                }
                3 => {
                    message.expect(key, WireType::Varint)?;
                    self.t = message.varint()? as i64;
                }
                _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
            }
        }
        Ok(())
    }
}

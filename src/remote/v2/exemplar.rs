//! An exemplar of a remote write 2.0 request as a value: the message `Exemplar` decoded where it stands.
//!
//! Invariant: its labels are put together only where they may be short enough to be stored; in few bytes of references a request could
//! say any number of them.

use crate::model::exemplar::Exemplar;
use crate::model::labels::{LabelError, LabelsBuilder};
use crate::remote::bad_refs::BadRefs;
use crate::remote::exemplar::{BadExemplar, RefusedExemplar};
use crate::remote::protobuf::{Cursor, DecodeError, MAX_DEPTH, WireType};
use crate::remote::schema::FIELD_LEVEL;
use crate::remote::v2::refs::{LABELS_REFS, Refs, check_refs};
use crate::remote::v2::symbols::Symbols;
use crate::tsdb::head::exemplars::MAX_LABEL_CHARACTERS;

/// Labels with more bytes have more characters than may be: none has more than four bytes.
const MAX_LABEL_BYTES: usize = 4 * MAX_LABEL_CHARACTERS;
/// No more labels than this are looked at, empty ones included.
const MAX_LABELS: usize = MAX_LABEL_BYTES;

/// Decodes an exemplar. `None` for bytes that are no such message.
pub(crate) fn decode_exemplar(
    body: &[u8],
    symbols: &Symbols,
    message: Cursor<'_>,
) -> Option<Result<Exemplar, RefusedExemplar>> {
    let Scalars { v, t } = scalars(message.clone()).ok()?;
    let refs = Refs::of_message(message, FIELD_LEVEL);
    Some(match labels(body, symbols, refs) {
        Ok(mut labels) => match labels.build() {
            Ok(labels) => Ok(Exemplar { t, v, labels: Some(labels) }),
            Err(LabelError::Empty) => Ok(Exemplar { t, v, labels: None }),
            Err(why) => Err(RefusedExemplar { t, why: why.into() }),
        },
        Err(why) => Err(RefusedExemplar { t, why }),
    })
}

fn labels<'a>(body: &'a [u8], symbols: &Symbols, mut refs: Refs<'_>) -> Result<LabelsBuilder<'a>, BadExemplar> {
    let mut builder = LabelsBuilder::new();
    let (mut count, mut bytes) = (0, 0);
    while let Some(name) = refs.next() {
        let Some(value) = refs.next() else { return Err(BadRefs::Odd(2 * count + 1).into()) };
        let (name, value) = (symbols.text(body, name)?, symbols.text(body, value)?);
        count += 1;
        bytes += if value.is_empty() { 0 } else { name.len() + value.len() };
        if count > MAX_LABELS || bytes > MAX_LABEL_BYTES {
            return Err(BadExemplar::TooLong);
        }
        builder.add(name, value);
    }
    Ok(builder)
}

/// Value and timestamp, ms.
#[derive(Default)]
struct Scalars {
    v: f64,
    t: i64,
}

fn scalars(mut message: Cursor<'_>) -> Result<Scalars, DecodeError> {
    let mut found = Scalars::default();
    while !message.is_at_end() {
        let key = message.key()?;
        match key.field {
            LABELS_REFS => drop(check_refs(&mut message, key)?),
            2 => {
                message.expect(key, WireType::Fixed64)?;
                found.v = f64::from_bits(message.fixed64()?);
            }
            3 => {
                message.expect(key, WireType::Varint)?;
                found.t = message.varint()? as i64;
            }
            _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
        }
    }
    Ok(found)
}

//! Decoder of the 2.0 message `Exemplar`.
//!
//! Invariant: labels are resolved only up to the maximum size of stored ones, since a few bytes of
//! references can mean labels of any size.

use crate::ingest::item_error::InvalidItem;
use crate::model::exemplar::Exemplar;
use crate::model::labels::{BuildLabelsError, LabelsBuilder};
use crate::remote::wire::exemplar::ExemplarError;
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::wire::schema::FIELD_LEVEL;
use crate::remote::wire::symbol_ref_error::SymbolRefError;
use crate::remote::write::v2::refs::{LABELS_REFS, SymbolRefs, check_refs};
use crate::remote::write::v2::symbols::SymbolIndex;
use crate::tsdb::db::MAX_LABEL_CHARACTERS;

/// Maximum size of the labels, bytes: a character has at most four bytes.
const MAX_LABEL_BYTES: usize = 4 * MAX_LABEL_CHARACTERS;
/// Maximum number of labels that are resolved, empty ones included.
const MAX_LABELS: usize = MAX_LABEL_BYTES;

/// Decodes an exemplar. Returns `None` if the bytes are not such a message.
pub(crate) fn decode_exemplar(
    body: &[u8],
    symbols: &SymbolIndex,
    message: MessageCursor<'_>,
) -> Option<Result<Exemplar, InvalidItem<ExemplarError>>> {
    let ExemplarScalars { v, t } = scalars(message.clone()).ok()?;
    let refs = SymbolRefs::from_message(message, FIELD_LEVEL);
    Some(match labels(body, symbols, refs) {
        Ok(mut labels) => match labels.build() {
            Ok(labels) => Ok(Exemplar { t, v, labels: Some(labels) }),
            Err(BuildLabelsError::Empty) => Ok(Exemplar { t, v, labels: None }),
            Err(error) => Err(InvalidItem { t, reason: error.into() }),
        },
        Err(error) => Err(InvalidItem { t, reason: error }),
    })
}

fn labels<'a>(
    body: &'a [u8],
    symbols: &SymbolIndex,
    mut refs: SymbolRefs<'_>,
) -> Result<LabelsBuilder<'a>, ExemplarError> {
    let mut builder = LabelsBuilder::new();
    let (mut count, mut bytes) = (0, 0);
    while let Some(name) = refs.next() {
        let Some(value) = refs.next() else {
            return Err(SymbolRefError::Odd(2 * count + 1).into());
        };
        let (name, value) = (symbols.get(body, name)?, symbols.get(body, value)?);
        count += 1;
        bytes += if value.is_empty() { 0 } else { name.len() + value.len() };
        if count > MAX_LABELS || bytes > MAX_LABEL_BYTES {
            return Err(ExemplarError::TooLong);
        }
        builder.add(name, value);
    }
    Ok(builder)
}

/// Value and timestamp (ms) of an exemplar.
#[derive(Default)]
struct ExemplarScalars {
    v: f64,
    t: i64,
}

fn scalars(mut message: MessageCursor<'_>) -> Result<ExemplarScalars, DecodeMessageError> {
    let mut scalars = ExemplarScalars::default();
    while !message.is_at_end() {
        let key = message.key()?;
        match key.field {
            LABELS_REFS => drop(check_refs(&mut message, key)?),
            2 => {
                message.expect_wire_type(key, WireType::Fixed64)?;
                scalars.v = f64::from_bits(message.fixed64()?);
            }
            3 => {
                message.expect_wire_type(key, WireType::Varint)?;
                scalars.t = message.varint()? as i64;
            }
            _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
        }
    }
    Ok(scalars)
}

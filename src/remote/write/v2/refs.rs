//! Lists of symbol references (`labels_refs`), packed or not, in one field or in several.
//!
//! Only the lower 32 bits of a reference count, as in prost.

use crate::remote::wire::protobuf::{
    DecodeMessageError, FieldKey, MAX_DEPTH, MessageCursor, WireType,
};

/// Field number of the list, in a series and in an exemplar.
pub(crate) const LABELS_REFS: u32 = 1;
/// Key of a packed list, as a byte.
pub(crate) const LABELS_REFS_KEY: u8 = 0x0a;

/// Checks one field of a list after its key. Returns the number of references.
#[inline]
pub(crate) fn check_refs(
    message: &mut MessageCursor<'_>,
    key: FieldKey,
) -> Result<usize, DecodeMessageError> {
    if key.wire != WireType::Length {
        message.expect_wire_type(key, WireType::Varint)?;
        return message.varint().map(|_| 1);
    }
    check_run(message.message()?)
}

/// Checks a packed run. Returns the number of references.
#[inline]
pub(crate) fn check_run(mut run: MessageCursor<'_>) -> Result<usize, DecodeMessageError> {
    let mut count = 0;
    while !run.is_at_end() {
        run.varint()?;
        count += 1;
    }
    Ok(count)
}

/// Iterator over the references of a checked message.
#[derive(Debug, Clone)]
pub(crate) struct SymbolRefs<'a> {
    run: MessageCursor<'a>,
    /// Fields after the current run.
    fields: MessageCursor<'a>,
    level: u32,
}

impl<'a> SymbolRefs<'a> {
    /// Iterates over the references of a message at nesting depth `level`.
    pub(crate) fn from_message(fields: MessageCursor<'a>, level: u32) -> Self {
        Self { run: MessageCursor::new(&[]), fields, level }
    }

    /// Iterates over the references of one run.
    #[inline]
    pub(crate) fn from_run(run: MessageCursor<'a>) -> Self {
        Self { run, fields: MessageCursor::new(&[]), level: 0 }
    }
}

impl Iterator for SymbolRefs<'_> {
    type Item = u32;

    /// Returns the next reference. The message was checked, so an error means its end.
    #[inline]
    fn next(&mut self) -> Option<u32> {
        while self.run.is_at_end() {
            if self.fields.is_at_end() {
                return None;
            }
            let key = self.fields.key().ok()?;
            match (key.field, key.wire) {
                (LABELS_REFS, WireType::Length) => self.run = self.fields.message().ok()?,
                (LABELS_REFS, _) => {
                    return self.fields.varint().ok().map(|reference| reference as u32);
                }
                _ => self.fields.skip_value(key, MAX_DEPTH - self.level).ok()?,
            }
        }
        self.run.varint().ok().map(|reference| reference as u32)
    }
}

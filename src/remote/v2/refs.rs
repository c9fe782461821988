//! Lists of references to the texts of a request (`labels_refs`): in one piece or in many, packed or one by one.
//!
//! Of a reference the lower 32 bits count, as prost has it.

use crate::remote::protobuf::{DecodeMessageError, FieldKey, MAX_DEPTH, MessageCursor, WireType};

/// The field of the list, of a series as of an exemplar.
pub(crate) const LABELS_REFS: u32 = 1;
/// Its key where it is packed, as a byte.
pub(crate) const LABELS_REFS_KEY: u8 = 0x0a;

/// Checks a piece of a list, behind its key; says how many references it has.
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

/// Checks references that stand together; says how many they are.
#[inline]
pub(crate) fn check_run(mut run: MessageCursor<'_>) -> Result<usize, DecodeMessageError> {
    let mut count = 0;
    while !run.is_at_end() {
        run.varint()?;
        count += 1;
    }
    Ok(count)
}

/// The references of a checked message.
#[derive(Debug, Clone)]
pub(crate) struct SymbolRefs<'a> {
    run: MessageCursor<'a>,
    /// The fields behind the run.
    fields: MessageCursor<'a>,
    level: u32,
}

impl<'a> SymbolRefs<'a> {
    /// Those of a message that stands `level` messages deep.
    pub(crate) fn from_message(fields: MessageCursor<'a>, level: u32) -> Self {
        Self { run: MessageCursor::new(&[]), fields, level }
    }

    /// Those of one run.
    #[inline]
    pub(crate) fn from_run(run: MessageCursor<'a>) -> Self {
        Self { run, fields: MessageCursor::new(&[]), level: 0 }
    }
}

impl Iterator for SymbolRefs<'_> {
    type Item = u32;

    /// The message was checked, so an error can only be its end.
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

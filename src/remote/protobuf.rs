//! Reading protobuf in place: a cursor over borrowed bytes.
//!
//! It accepts what prost accepts and refuses what prost refuses, down to overlong varints, unknown groups and their
//! depth; `reader_tests.rs` proves that. A nested message is a cursor that ends where the message ends.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// How deep messages and groups may stand in each other: prost's limit.
pub(crate) const MAX_DEPTH: u32 = 100;

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct DecodeMessageError {
    /// What is wrong.
    pub what: &'static str,
    /// Where, counted from the start of the message.
    pub offset: usize,
}

/// How a field's value is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Length,
    StartGroup,
    EndGroup,
    Fixed32,
}

/// Number and layout of the field that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldKey {
    pub(crate) field: u32,
    pub(crate) wire: WireType,
}

/// A place in a message; offsets are those of the whole.
#[derive(Debug, Clone)]
pub(crate) struct MessageCursor<'a> {
    /// Everything up to the end of the message that is read.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MessageCursor<'a> {
    /// The start of a whole message.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A message that lies at `start..end` of a whole; empty where that is not inside.
    pub(crate) fn within(whole: &'a [u8], start: usize, end: usize) -> Self {
        let bytes = whole.get(..end).unwrap_or_default();
        Self { bytes, at: start.min(bytes.len()) }
    }

    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// What is left of the message.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Goes on by `len` bytes, at most to the end.
    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        self.at = self.bytes.len().min(self.at + len);
    }

    pub(crate) fn error(&self, what: &'static str) -> DecodeMessageError {
        DecodeMessageError { what, offset: self.at }
    }

    /// A varint of up to ten bytes and 64 bits; a longer form than needed is fine.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeMessageError> {
        match self.rest().first() {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeMessageError> {
        let mut value = 0;
        for (i, &byte) in self.rest().iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    break;
                }
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.error("cut off or too long varint"))
    }

    #[inline]
    pub(crate) fn key(&mut self) -> Result<FieldKey, DecodeMessageError> {
        let key = self.varint()?;
        let Ok(key) = u32::try_from(key) else {
            return Err(self.error("field number too large"));
        };
        let wire = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Length,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return Err(self.error("unknown wire type")),
        };
        let field = key >> 3;
        if field == 0 { Err(self.error("field number 0")) } else { Ok(FieldKey { field, wire }) }
    }

    /// The bytes of a value that carries its length.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeMessageError> {
        let end = self.value_end()?;
        let value = &self.bytes[self.at..end];
        self.at = end;
        Ok(value)
    }

    /// A nested message; this cursor goes on behind it.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<MessageCursor<'a>, DecodeMessageError> {
        let end = self.value_end()?;
        let nested = MessageCursor { bytes: &self.bytes[..end], at: self.at };
        self.at = end;
        Ok(nested)
    }

    /// Reads a length and says where the value ends that follows it.
    #[inline]
    fn value_end(&mut self) -> Result<usize, DecodeMessageError> {
        let len = self.varint()?;
        let left = self.bytes.len() - self.at;
        match usize::try_from(len) {
            Ok(len) if len <= left => Ok(self.at + len),
            _ => Err(self.error("length beyond the end of the message")),
        }
    }

    /// A string, which must be UTF-8.
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeMessageError> {
        let start = self.at;
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|_| DecodeMessageError { what: "text that is not valid UTF-8", offset: start })
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, DecodeMessageError> {
        let Some(bytes) = self.rest().first_chunk::<8>() else {
            return Err(self.error("cut off 64-bit value"));
        };
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Leaves out the value of a field that is not known.
    pub(crate) fn skip_value(
        &mut self,
        key: FieldKey,
        depth: u32,
    ) -> Result<(), DecodeMessageError> {
        if depth == 0 {
            return Err(self.error("groups within groups without end"));
        }
        match key.wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Length => self.bytes().map(drop),
            WireType::Fixed32 if self.rest().len() >= 4 => {
                self.at += 4;
                Ok(())
            }
            WireType::Fixed32 => Err(self.error("cut off 32-bit value")),
            WireType::StartGroup => loop {
                let inner = self.key()?;
                if inner.wire != WireType::EndGroup {
                    self.skip_value(inner, depth - 1)?;
                } else if inner.field == key.field {
                    return Ok(());
                } else {
                    return Err(self.error("group ended by another's end"));
                }
            },
            WireType::EndGroup => Err(self.error("end of a group that did not begin")),
        }
    }

    /// Refuses a known field in a layout that is not its own.
    #[inline]
    pub(crate) fn expect_wire_type(
        &self,
        key: FieldKey,
        wire: WireType,
    ) -> Result<(), DecodeMessageError> {
        if key.wire == wire {
            Ok(())
        } else {
            Err(self.error("known field with a wrong wire type"))
        }
    }
}

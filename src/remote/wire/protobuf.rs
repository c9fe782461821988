//! Cursor over borrowed protobuf bytes.
//!
//! It accepts exactly what prost accepts, including overlong varints and unknown groups up to the
//! depth limit; the tests of the request indexes prove that. A nested message is a cursor that ends
//! at the end of the message.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// Maximum nesting depth of messages and groups: prost's limit.
pub(crate) const MAX_DEPTH: u32 = 100;

/// Error of decoding a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct DecodeMessageError {
    /// Description of the defect.
    pub what: &'static str,
    /// Offset from the start of the outermost message, bytes.
    pub offset: usize,
}

/// Wire type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Length,
    StartGroup,
    EndGroup,
    Fixed32,
}

/// Field number and wire type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldKey {
    pub(crate) field: u32,
    pub(crate) wire: WireType,
}

/// Position in a message. Offsets are relative to the outermost message.
#[derive(Debug, Clone)]
pub(crate) struct MessageCursor<'a> {
    /// Bytes up to the end of the current message.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MessageCursor<'a> {
    /// Creates a cursor at the start of an outermost message.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Creates a cursor over the message at `start..end` of `whole`; empty if that is out of
    /// bounds.
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

    /// Returns the unread bytes of the message.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Advances by `len` bytes, at most to the end.
    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        self.at = self.bytes.len().min(self.at + len);
    }

    pub(crate) fn error(&self, what: &'static str) -> DecodeMessageError {
        DecodeMessageError { what, offset: self.at }
    }

    /// Reads a varint of up to ten bytes and 64 bits. Overlong encodings are accepted.
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
        Err(self.error("truncated or overlong varint"))
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

    /// Reads a length-delimited value.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeMessageError> {
        let end = self.value_end()?;
        let value = &self.bytes[self.at..end];
        self.at = end;
        Ok(value)
    }

    /// Reads a nested message and moves this cursor to its end.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<MessageCursor<'a>, DecodeMessageError> {
        let end = self.value_end()?;
        let nested = MessageCursor { bytes: &self.bytes[..end], at: self.at };
        self.at = end;
        Ok(nested)
    }

    /// Reads a length and returns the offset of the end of the value that follows.
    #[inline]
    fn value_end(&mut self) -> Result<usize, DecodeMessageError> {
        let len = self.varint()?;
        let remaining = self.bytes.len() - self.at;
        match usize::try_from(len) {
            Ok(len) if len <= remaining => Ok(self.at + len),
            _ => Err(self.error("length beyond the end of the message")),
        }
    }

    /// Reads a string, which must be UTF-8.
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeMessageError> {
        let start = self.at;
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| DecodeMessageError {
            what: "string that is not valid UTF-8",
            offset: start,
        })
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, DecodeMessageError> {
        let Some(bytes) = self.rest().first_chunk::<8>() else {
            return Err(self.error("truncated 64-bit value"));
        };
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Skips the value of an unknown field.
    pub(crate) fn skip_value(
        &mut self,
        key: FieldKey,
        depth: u32,
    ) -> Result<(), DecodeMessageError> {
        if depth == 0 {
            return Err(self.error("groups nested too deeply"));
        }
        match key.wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Length => self.bytes().map(drop),
            WireType::Fixed32 if self.rest().len() >= 4 => {
                self.at += 4;
                Ok(())
            }
            WireType::Fixed32 => Err(self.error("truncated 32-bit value")),
            WireType::StartGroup => loop {
                let inner = self.key()?;
                if inner.wire != WireType::EndGroup {
                    self.skip_value(inner, depth - 1)?;
                } else if inner.field == key.field {
                    return Ok(());
                } else {
                    return Err(self.error("mismatched end of group"));
                }
            },
            WireType::EndGroup => Err(self.error("end of group without start")),
        }
    }

    /// Checks that a known field has its wire type.
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

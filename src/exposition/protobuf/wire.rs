//! Cursor over borrowed protobuf bytes, with the rules of Prometheus's generated decoder.
//!
//! Unlike prost, it ignores bits of a varint beyond 64, reads field numbers as 32 bits, and does
//! not compare the ends of groups with their starts. Lists that are packed must end with a value.
//!
//! Source: `prompb/io/prometheus/client` of Prometheus.

use crate::exposition::protobuf_problem::ProtobufProblem;

/// Problem of a body with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecodeError {
    pub(crate) problem: ProtobufProblem,
    /// Offset in the body, bytes.
    pub(crate) offset: usize,
}

/// Position in a message. Offsets are relative to the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// The body up to the end of the message.
    bytes: &'a [u8],
    at: usize,
}

/// Field of a message with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) number: i32,
    value: FieldValue<'a>,
    /// Offset of the field, bytes.
    pub(crate) offset: usize,
}

#[derive(Debug, Clone, Copy)]
enum FieldValue<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Message<'a>),
    /// A group or 32 bits, which no known field has.
    Skipped,
}

impl<'a> Message<'a> {
    /// Creates a cursor at `at` over `bytes`, which end with the message.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns the unread bytes of the message.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns a cursor over the bytes from here to `end`, and moves to `end`.
    pub(crate) fn split_to(&mut self, end: usize) -> Self {
        let end = end.clamp(self.at, self.bytes.len());
        let start = Self { bytes: self.bytes.get(..end).unwrap_or_default(), at: self.at };
        self.at = end;
        start
    }

    pub(crate) fn error(&self, problem: ProtobufProblem) -> DecodeError {
        DecodeError { problem, offset: self.at }
    }

    /// Reads a varint of up to ten bytes. Bits beyond 64 are ignored.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest().first() {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (i, &byte) in self.rest().iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.error(ProtobufProblem::Varint))
    }

    /// Reads a length and the message after it, and moves to its end.
    #[inline]
    fn nested(&mut self) -> Result<Self, DecodeError> {
        let len = self.varint()?;
        let remaining = self.bytes.len() - self.at;
        match usize::try_from(len) {
            Ok(len) if len <= remaining => Ok(self.split_to(self.at + len)),
            _ => Err(self.error(ProtobufProblem::Truncated)),
        }
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, DecodeError> {
        let Some(bytes) = self.rest().first_chunk::<8>() else {
            return Err(self.error(ProtobufProblem::Truncated));
        };
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn skip(&mut self, len: usize) -> Result<(), DecodeError> {
        if self.rest().len() < len {
            return Err(self.error(ProtobufProblem::Truncated));
        }
        self.at += len;
        Ok(())
    }

    /// Reads the next field, or returns `None` at the end of the message.
    #[inline]
    pub(crate) fn next_field(&mut self) -> Result<Option<Field<'a>>, DecodeError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let offset = self.at;
        let key = self.varint()?;
        let number = (key >> 3) as i32;
        if number <= 0 {
            return Err(DecodeError { problem: ProtobufProblem::FieldNumber, offset });
        }
        let value = match key & 7 {
            0 => FieldValue::Varint(self.varint()?),
            1 => FieldValue::Fixed64(self.fixed64()?),
            2 => FieldValue::Bytes(self.nested()?),
            3 => {
                self.skip_group()?;
                FieldValue::Skipped
            }
            5 => {
                self.skip(4)?;
                FieldValue::Skipped
            }
            _ => return Err(DecodeError { problem: ProtobufProblem::WireType, offset }),
        };
        Ok(Some(Field { number, value, offset }))
    }

    /// Skips a group after its start. Groups can be nested, so this must not recurse.
    fn skip_group(&mut self) -> Result<(), DecodeError> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.varint()? & 7 {
                0 => drop(self.varint()?),
                1 => self.skip(8)?,
                2 => drop(self.nested()?),
                3 => depth += 1,
                4 => depth -= 1,
                5 => self.skip(4)?,
                _ => return Err(self.error(ProtobufProblem::WireType)),
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    /// Returns an error at this field.
    pub(crate) fn error(&self, problem: ProtobufProblem) -> DecodeError {
        DecodeError { problem, offset: self.offset }
    }

    fn wrong_type<T>(&self) -> Result<T, DecodeError> {
        Err(self.error(ProtobufProblem::WrongType { field: self.number }))
    }

    #[inline]
    pub(crate) fn varint(&self) -> Result<u64, DecodeError> {
        if let FieldValue::Varint(value) = self.value { Ok(value) } else { self.wrong_type() }
    }

    /// Returns the value of a `sint32`; only the lower 32 bits of the varint count.
    #[inline]
    pub(crate) fn sint32(&self) -> Result<i32, DecodeError> {
        let value = self.varint()? as u32;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    #[inline]
    pub(crate) fn double(&self) -> Result<f64, DecodeError> {
        if let FieldValue::Fixed64(bits) = self.value {
            Ok(f64::from_bits(bits))
        } else {
            self.wrong_type()
        }
    }

    #[inline]
    pub(crate) fn message(&self) -> Result<Message<'a>, DecodeError> {
        if let FieldValue::Bytes(message) = self.value { Ok(message) } else { self.wrong_type() }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> Result<&'a [u8], DecodeError> {
        Ok(self.message()?.rest())
    }

    /// Passes the values of a repeated `sint64` to `push`: one value, or a packed list.
    pub(crate) fn sint64s(
        &self,
        mut push: impl FnMut(i64) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut push = |value: u64| push((value >> 1) as i64 ^ -((value & 1) as i64));
        match self.value {
            FieldValue::Varint(value) => push(value),
            FieldValue::Bytes(mut packed) => {
                while !packed.is_at_end() {
                    push(packed.varint()?)?;
                }
                Ok(())
            }
            _ => self.wrong_type(),
        }
    }

    /// Passes the values of a repeated `double` to `push`: one value, or a packed list.
    pub(crate) fn doubles(
        &self,
        mut push: impl FnMut(f64) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.value {
            FieldValue::Fixed64(bits) => push(f64::from_bits(bits)),
            FieldValue::Bytes(mut packed) => {
                while !packed.is_at_end() {
                    push(f64::from_bits(packed.fixed64()?))?;
                }
                Ok(())
            }
            _ => self.wrong_type(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Message;
    use crate::exposition::protobuf_problem::ProtobufProblem;

    /// Returns the numbers of all fields, or the first problem with its offset.
    fn numbers(bytes: &[u8]) -> Result<Vec<i32>, (ProtobufProblem, usize)> {
        let mut message = Message::new(bytes, 0);
        let mut numbers = Vec::new();
        loop {
            match message.next_field() {
                Ok(Some(field)) => numbers.push(field.number),
                Ok(None) => return Ok(numbers),
                Err(error) => return Err((error.problem, error.offset)),
            }
        }
    }

    #[test]
    fn fields_of_all_wire_types_are_read() {
        let bytes = b"\x08\x01\x11\x01\x02\x03\x04\x05\x06\x07\x08\x1a\x02ab\x2d\x01\x02\x03\x04";
        assert_eq!(numbers(bytes), Ok(vec![1, 2, 3, 5]));
        // A group with a nested group and a value of each type; the last end has another number.
        let group =
            b"\x1b\x08\x01\x13\x0d\x01\x02\x03\x04\x14\x0a\x01x\x09\0\0\0\0\0\0\0\0\x2c\x08\x05";
        assert_eq!(numbers(group), Ok(vec![3, 1]));
    }

    #[test]
    fn varints_are_cut_to_their_size() {
        let mut message = Message::new(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 0);
        assert_eq!(message.varint(), Ok(u64::MAX));
        assert_eq!(numbers(b"\x88\x80\x80\x80\x80\x01\x07"), Ok(vec![1]));
        let mut message = Message::new(b"\x08\xff\xff\xff\xff\x1f", 0);
        assert_eq!(message.next_field().unwrap().unwrap().sint32(), Ok(i32::MIN));
    }

    #[test]
    fn malformed_fields_are_rejected() {
        let cases: [(&[u8], ProtobufProblem, usize); 14] = [
            (b"\x80", ProtobufProblem::Varint, 0),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ProtobufProblem::Varint, 0),
            (b"\x08\x80", ProtobufProblem::Varint, 1),
            (b"\x00\x01", ProtobufProblem::FieldNumber, 0),
            (b"\x80\x80\x80\x80\x40\x01", ProtobufProblem::FieldNumber, 0),
            (b"\x09\x01\x02", ProtobufProblem::Truncated, 1),
            (b"\x0a\x02a", ProtobufProblem::Truncated, 2),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a", ProtobufProblem::Truncated, 11),
            (b"\x0d\x01\x02\x03", ProtobufProblem::Truncated, 1),
            (b"\x08\x01\x0c", ProtobufProblem::WireType, 2),
            (b"\x0e\x01", ProtobufProblem::WireType, 0),
            (b"\x0b\x08\x01", ProtobufProblem::Varint, 3),
            (b"\x0b\x0f", ProtobufProblem::WireType, 2),
            (b"\x0b\x0b\x0c", ProtobufProblem::Varint, 3),
        ];
        for (bytes, problem, offset) in cases {
            assert_eq!(numbers(bytes), Err((problem, offset)), "{bytes:?}");
        }
    }

    #[test]
    fn deeply_nested_groups_need_no_stack() {
        let mut bytes = vec![0x0b; 1 << 20];
        bytes.extend(std::iter::repeat_n(0x0c, 1 << 20));
        assert_eq!(numbers(&bytes), Ok(vec![1]));
    }
}

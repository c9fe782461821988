//! Reading and appending whole bytes: big-endian integers, varints, length-prefixed strings.
//!
//! Varints are those of Go's `encoding/binary`: seven bits a byte, least significant group first; signed ones are
//! zig-zag encoded. Not for bit streams (chunks), which have readers of their own.
//!
//! Invariant: a [`ByteReader`] never reads beyond its slice, and a length it hands out never exceeds what is left of it.

/// Why bytes could not be read. Offsets count from the beginning of the reader's slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteError {
    /// The slice ends before the value does.
    #[error("{needed} bytes needed at offset {offset}, {left} left")]
    UnexpectedEnd {
        /// Where the value begins.
        offset: usize,
        /// How many bytes it takes.
        needed: u64,
        /// How many there are.
        left: usize,
    },
    /// A varint that ends nowhere, or holds more than 64 bits.
    #[error("bad varint at offset {offset}")]
    Varint {
        /// Where the varint begins.
        offset: usize,
    },
    /// A string that is not UTF-8.
    #[error("text at offset {offset} is not valid UTF-8")]
    NotUtf8 {
        /// Where the string begins.
        offset: usize,
    },
}

/// Reads values off the front of a slice.
#[derive(Clone, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> ByteReader<'a> {
    /// A reader at the beginning of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// How many bytes were read so far.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// How many bytes are left.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] where fewer are left.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], ByteError> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(self.short(n as u64));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, ByteError> {
        Ok(self.array::<1>()?[0])
    }

    /// A big-endian `u32`.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] where fewer than four bytes are left.
    #[inline]
    pub fn be_u32(&mut self) -> Result<u32, ByteError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian `u64`.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] where fewer than eight bytes are left.
    #[inline]
    pub fn be_u64(&mut self) -> Result<u64, ByteError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A big-endian `i64`.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] where fewer than eight bytes are left.
    #[inline]
    pub fn be_i64(&mut self) -> Result<i64, ByteError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A float as its 64 bits, big-endian. Every bit pattern is kept.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] where fewer than eight bytes are left.
    #[inline]
    pub fn be_f64(&mut self) -> Result<f64, ByteError> {
        self.be_u64().map(f64::from_bits)
    }

    /// An unsigned varint.
    ///
    /// # Errors
    /// [`ByteError::Varint`] where it is cut short or too big for 64 bits. Forms longer than needed are read, as Go reads them.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u64, ByteError> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u64, ByteError> {
        let mut value = 0;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            if i == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(ByteError::Varint { offset: self.offset() })
    }

    /// A signed varint (zig-zag).
    ///
    /// # Errors
    /// As [`ByteReader::uvarint`].
    #[inline]
    pub fn varint(&mut self) -> Result<i64, ByteError> {
        let zigzag = self.uvarint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// A number of things that follow, each at least `least` bytes long (1 or more): never more than can follow, so it is
    /// safe to allocate for.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] where so many can't follow, else as [`ByteReader::uvarint`].
    pub fn bounded_count(&mut self, least: usize) -> Result<usize, ByteError> {
        let start = self.clone();
        let count = self.uvarint()?;
        let needed = count.saturating_mul(least as u64);
        if needed > self.rest.len() as u64 {
            let error = self.short(needed);
            *self = start;
            return Err(error);
        }
        Ok(count as usize)
    }

    /// Bytes with their length before them as a varint.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] or [`ByteError::Varint`].
    #[inline]
    pub fn uvarint_bytes(&mut self) -> Result<&'a [u8], ByteError> {
        let len = self.uvarint()?;
        match usize::try_from(len) {
            Ok(len) => self.bytes(len),
            Err(_) => Err(self.short(len)),
        }
    }

    /// Text with its length before it as a varint.
    ///
    /// # Errors
    /// [`ByteError::NotUtf8`], else as [`ByteReader::uvarint_bytes`].
    #[inline]
    pub fn uvarint_str(&mut self) -> Result<&'a str, ByteError> {
        let bytes = self.uvarint_bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|_| ByteError::NotUtf8 { offset: self.offset() - bytes.len() })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ByteError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.short(N as u64));
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[cold]
    fn short(&self, needed: u64) -> ByteError {
        ByteError::UnexpectedEnd { offset: self.offset(), needed, left: self.rest.len() }
    }
}

/// Appends an unsigned varint.
#[inline]
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed varint (zig-zag).
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a `u32`, big-endian.
#[inline]
pub fn put_be_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a `u64`, big-endian.
#[inline]
pub fn put_be_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an `i64`, big-endian.
#[inline]
pub fn put_be_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends bytes with their length before them as a varint.
#[inline]
pub fn put_uvarint_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::{
        ByteError, ByteReader, put_be_i64, put_be_u32, put_be_u64, put_uvarint, put_uvarint_bytes,
        put_varint,
    };
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn varints_have_the_bytes_of_gos() {
        let mut out = Vec::new();
        put_uvarint(&mut out, 300);
        put_varint(&mut out, -1);
        put_varint(&mut out, 1);
        put_varint(&mut out, i64::MIN);
        assert_eq!(out, [0xac, 2, 1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    #[test]
    fn a_varint_over_64_bits_or_without_end_is_an_error_and_a_long_form_is_none() {
        let read = |bytes: &[u8]| ByteReader::new(bytes).uvarint();
        assert_eq!(
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            Err(ByteError::Varint { offset: 0 })
        );
        assert_eq!(read(&[0x80; 11]), Err(ByteError::Varint { offset: 0 }));
        assert_eq!(read(&[0x80]), Err(ByteError::Varint { offset: 0 }));
        assert_eq!(read(&[]), Err(ByteError::Varint { offset: 0 }));
        assert_eq!(read(&[0x81, 0x80, 0]), Ok(1));
    }

    #[test]
    fn a_count_never_exceeds_what_can_follow() {
        assert_eq!(ByteReader::new(&[2, 0, 0, 0, 0]).bounded_count(2), Ok(2));
        assert_eq!(
            ByteReader::new(&[3, 0, 0, 0, 0]).bounded_count(2),
            Err(ByteError::UnexpectedEnd { offset: 1, needed: 6, left: 4 })
        );
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(ByteReader::new(&huge).bounded_count(1).is_err());
        assert!(ByteReader::new(&huge).uvarint_bytes().is_err());
    }

    proptest! {
        #[test]
        fn what_is_appended_is_read(u in any::<u64>(), i in any::<i64>(), w in any::<u32>(), text in ".{0,300}") {
            let mut out = Vec::new();
            put_uvarint(&mut out, u);
            put_varint(&mut out, i);
            put_be_u32(&mut out, w);
            put_be_u64(&mut out, u);
            put_be_i64(&mut out, i);
            put_uvarint_bytes(&mut out, text.as_bytes());
            let mut reader = ByteReader::new(&out);
            prop_assert_eq!(reader.uvarint(), Ok(u));
            prop_assert_eq!(reader.varint(), Ok(i));
            prop_assert_eq!(reader.be_u32(), Ok(w));
            prop_assert_eq!(reader.be_u64(), Ok(u));
            prop_assert_eq!(reader.be_i64(), Ok(i));
            prop_assert_eq!(reader.uvarint_str(), Ok(text.as_str()));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(reader.offset(), out.len());
        }
    }
}

//! Decoding and appending of whole bytes: big-endian integers, varints, length-prefixed strings.
//!
//! Varints are those of Go's `encoding/binary`: seven bits per byte, least significant group
//! first; signed ones are zigzag-encoded. Chunks are bit streams and use
//! [`crate::tsdb::encoding::bits`].
//!
//! Invariant: a [`ByteReader`] never reads past its slice, and no count or slice that it returns
//! exceeds the remaining bytes.

/// Error of decoding bytes. Offsets count from the start of the reader's slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteError {
    /// The slice ends before the value does.
    #[error("{needed} bytes needed at offset {offset}, {left} remain")]
    UnexpectedEnd {
        /// Offset of the value, bytes.
        offset: usize,
        /// Length of the value, bytes.
        needed: u64,
        /// Remaining bytes of the slice.
        left: usize,
    },
    /// The varint has no end or holds more than 64 bits.
    #[error("invalid varint at offset {offset}")]
    Varint {
        /// Offset of the varint, bytes.
        offset: usize,
    },
    /// The string is not UTF-8.
    #[error("string at offset {offset} is not valid UTF-8")]
    NotUtf8 {
        /// Offset of the string after its length prefix, bytes.
        offset: usize,
    },
}

/// Decoder that consumes a slice from the front.
#[derive(Clone, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> ByteReader<'a> {
    /// Returns a reader at the start of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// Number of bytes read.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Number of unread bytes.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Returns `true` if all bytes were read.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next `n` bytes.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] if fewer remain.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], ByteError> {
        let Some((bytes, rest)) = self.rest.split_at_checked(n) else {
            return Err(self.unexpected_end(n as u64));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, ByteError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads a big-endian `u32`.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] if fewer than four bytes remain.
    #[inline]
    pub fn be_u32(&mut self) -> Result<u32, ByteError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a big-endian `u64`.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] if fewer than eight bytes remain.
    #[inline]
    pub fn be_u64(&mut self) -> Result<u64, ByteError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a big-endian `i64`.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] if fewer than eight bytes remain.
    #[inline]
    pub fn be_i64(&mut self) -> Result<i64, ByteError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Reads a float from its 64 bits, big-endian. Every bit pattern is preserved, also of NaNs.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] if fewer than eight bytes remain.
    #[inline]
    pub fn be_f64(&mut self) -> Result<f64, ByteError> {
        self.be_u64().map(f64::from_bits)
    }

    /// Reads an unsigned varint. Encodings longer than necessary are accepted, as in Go.
    ///
    /// # Errors
    /// [`ByteError::Varint`] if it is cut short or exceeds 64 bits.
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

    /// Reads a signed varint (zigzag).
    ///
    /// # Errors
    /// As [`ByteReader::uvarint`].
    #[inline]
    pub fn varint(&mut self) -> Result<i64, ByteError> {
        let zigzag = self.uvarint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// Reads the number of items that follow, each at min_len `min_len` bytes long (1 or more).
    ///
    /// The result never exceeds the number of items for which bytes remain, so it is safe to
    /// allocate for it.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] if the remaining bytes cannot hold that many items, else as
    /// [`ByteReader::uvarint`].
    pub fn bounded_count(&mut self, min_len: usize) -> Result<usize, ByteError> {
        let start = self.clone();
        let count = self.uvarint()?;
        let needed = count.saturating_mul(min_len as u64);
        if needed > self.rest.len() as u64 {
            let error = self.unexpected_end(needed);
            *self = start;
            return Err(error);
        }
        Ok(count as usize)
    }

    /// Reads a varint length and that many bytes.
    ///
    /// # Errors
    /// [`ByteError::UnexpectedEnd`] or [`ByteError::Varint`].
    #[inline]
    pub fn uvarint_bytes(&mut self) -> Result<&'a [u8], ByteError> {
        let len = self.uvarint()?;
        match usize::try_from(len) {
            Ok(len) => self.bytes(len),
            Err(_) => Err(self.unexpected_end(len)),
        }
    }

    /// Reads a varint length and that many bytes of UTF-8.
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
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.unexpected_end(N as u64));
        };
        self.rest = rest;
        Ok(*bytes)
    }

    #[cold]
    fn unexpected_end(&self, needed: u64) -> ByteError {
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

/// Appends a signed varint (zigzag).
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

/// Appends `bytes` after their length as a varint.
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
    fn varints_encode_as_in_go() {
        let mut out = Vec::new();
        put_uvarint(&mut out, 300);
        put_varint(&mut out, -1);
        put_varint(&mut out, 1);
        put_varint(&mut out, i64::MIN);
        assert_eq!(out, [0xac, 2, 1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    #[test]
    fn overlong_varint_is_rejected_and_padded_one_accepted() {
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
    fn count_above_remaining_bytes_is_rejected() {
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
        fn appended_values_are_read_back(
            u in any::<u64>(),
            i in any::<i64>(),
            w in any::<u32>(),
            string in ".{0,300}",
        ) {
            let mut out = Vec::new();
            put_uvarint(&mut out, u);
            put_varint(&mut out, i);
            put_be_u32(&mut out, w);
            put_be_u64(&mut out, u);
            put_be_i64(&mut out, i);
            put_uvarint_bytes(&mut out, string.as_bytes());
            let mut reader = ByteReader::new(&out);
            prop_assert_eq!(reader.uvarint(), Ok(u));
            prop_assert_eq!(reader.varint(), Ok(i));
            prop_assert_eq!(reader.be_u32(), Ok(w));
            prop_assert_eq!(reader.be_u64(), Ok(u));
            prop_assert_eq!(reader.be_i64(), Ok(i));
            prop_assert_eq!(reader.uvarint_str(), Ok(string.as_str()));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(reader.offset(), out.len());
        }
    }
}

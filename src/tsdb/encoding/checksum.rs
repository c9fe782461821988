//! CRC-32C (Castagnoli), the checksum of Prometheus's files.
//!
//! WAL fragments, head chunks, block chunks, index sections and tombstones use this polynomial
//! (0x1EDC6F41). The `crc32fast` crate computes the IEEE polynomial (0x04C11DB7, as in gzip) and
//! cannot check any of these files. All code takes the checksum from this module.

/// Returns the CRC-32C of `bytes`.
#[inline]
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32C of data that arrives in parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crc32c(u32);

impl Crc32c {
    /// Returns the checksum of an empty input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes to the checksummed data.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }

    /// Returns the checksum of the data of `self` followed by the `len` bytes
    /// that `next` covers.
    #[must_use]
    pub fn combine(self, next: Self, len: u64) -> Self {
        Self(crc32c::crc32c_combine(self.0, next.0, len as usize))
    }

    /// Returns the checksum of all bytes appended so far.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Crc32c, crc32c};

    #[test]
    fn checksum_uses_the_castagnoli_polynomial() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn incremental_checksum_equals_one_pass_checksum() {
        let mut checksum = Crc32c::new();
        checksum.update(b"1234");
        checksum.update(b"");
        checksum.update(b"56789");
        assert_eq!(checksum.finish(), crc32c(b"123456789"));
        assert_eq!(checksum.finish(), 0xe306_9283);
    }

    #[test]
    fn combined_checksum_equals_one_pass_checksum() {
        let crc_of = |bytes: &[u8]| {
            let mut checksum = Crc32c::new();
            checksum.update(bytes);
            checksum
        };
        assert_eq!(crc_of(b"1234").combine(crc_of(b"56789"), 5).finish(), crc32c(b"123456789"));
        assert_eq!(crc_of(b"1234").combine(crc_of(b""), 0).finish(), crc32c(b"1234"));
    }
}

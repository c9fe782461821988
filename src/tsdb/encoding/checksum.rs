//! The checksum of Prometheus's files: CRC-32C (Castagnoli).
//!
//! WAL fragments, head chunks, block chunks, index sections and tombstones all carry this polynomial (0x1EDC6F41). The
//! `crc32fast` crate computes the IEEE polynomial (0x04C11DB7, that of gzip), which gives other numbers for the same
//! bytes: it can't check a single one of these files. This module is the one place that decides which one is used.

/// The CRC-32C of `bytes`.
#[inline]
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// A CRC-32C over bytes that come piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crc32c(u32);

impl Crc32c {
    /// The checksum of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece in.
    pub fn update(&mut self, piece: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, piece);
    }

    /// The checksum of these pieces and then the `len` bytes that `next` is the checksum of.
    #[must_use]
    pub fn combine(self, next: Self, len: u64) -> Self {
        Self(crc32c::crc32c_combine(self.0, next.0, len as usize))
    }

    /// The checksum of all pieces so far.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Crc32c, crc32c};

    #[test]
    fn the_polynomial_is_castagnolis() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn pieces_give_the_checksum_of_the_whole() {
        let mut sum = Crc32c::new();
        sum.update(b"1234");
        sum.update(b"");
        sum.update(b"56789");
        assert_eq!(sum.finish(), crc32c(b"123456789"));
        assert_eq!(sum.finish(), 0xe306_9283);
    }

    #[test]
    fn checksums_of_two_halves_give_that_of_the_whole() {
        let of = |bytes: &[u8]| {
            let mut sum = Crc32c::new();
            sum.update(bytes);
            sum
        };
        assert_eq!(of(b"1234").combine(of(b"56789"), 5).finish(), crc32c(b"123456789"));
        assert_eq!(of(b"1234").combine(of(b""), 0).finish(), crc32c(b"1234"));
    }
}

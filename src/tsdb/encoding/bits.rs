//! Bit streams, most significant bit first: [`BitWriter`] appends, [`BitReader`] decodes.
//!
//! Both process 64-bit words, not single bits. They hold no locks and do no I/O.
//!
//! # Invariant
//! In a stream that is being written, all bits of the buffer after the end of the stream are zero.
//! So the used bytes are valid on-disk content at any time, and appending zeros only adds to the
//! length.

/// Number of bytes that the buffer must have from the byte in which a value starts: one word, and
/// one byte for the bits that spill over when the word is shifted.
const WORD_SLACK: usize = 9;

/// Appender to a bit stream whose buffer and length belong to the caller.
///
/// The parts are borrowed because up to a million streams exist: the owner can lay them out without
/// padding.
pub struct BitWriter<'a> {
    /// Bytes of the stream and its slack: up to 9 bytes plus the last growth step.
    pub buffer: &'a mut Box<[u8]>,
    /// Length of the stream in bits.
    pub len: &'a mut u32,
}

impl BitWriter<'_> {
    /// Appends the `n` low bits of `value`, most significant first.
    ///
    /// `n` is 1 to 64; the bits of `value` above them are zero.
    #[inline]
    pub fn push(&mut self, value: u64, n: u32) {
        debug_assert!((1..=64).contains(&n) && (n == 64 || value >> n == 0));
        let first = (*self.len >> 3) as usize;
        let Some(window) =
            self.buffer.get_mut(first..).and_then(|rest| rest.first_chunk_mut::<WORD_SLACK>())
        else {
            grow(self.buffer, first + WORD_SLACK);
            return self.push(value, n);
        };
        let used = *self.len & 7;
        let aligned = value << (64 - n);
        // Only the first byte holds older bits. Reading back just that byte lets the CPU forward it
        // from the previous store.
        let word = u64::from(window[0]) << 56 | aligned >> used;
        let spill = (aligned << 1) << (63 - used);
        window[..8].copy_from_slice(&word.to_be_bytes());
        window[8] = (spill >> 56) as u8;
        *self.len += n;
    }

    /// Appends `n` zero bits.
    #[inline]
    pub fn push_zeros(&mut self, n: u32) {
        *self.len += n;
        let used = self.len.div_ceil(8) as usize;
        if used > self.buffer.len() {
            grow(self.buffer, used + WORD_SLACK);
        }
    }

    /// Appends an unsigned varint: groups of seven bits, lowest group first. The high bit of each
    /// byte is set in all but the last one.
    pub fn push_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.push(value, 8);
    }

    /// Appends a signed varint, zigzag-encoded as [`Self::push_uvarint`].
    pub fn push_varint(&mut self, value: i64) {
        self.push_uvarint(((value << 1) ^ (value >> 63)) as u64);
    }
}

/// Returns a buffer with the first `end` bits of `bytes`, to which a [`BitWriter`] can append.
///
/// # Panics
/// If `bytes` has fewer than `end` bits.
#[must_use]
pub fn truncate_to_bits(bytes: &[u8], end: usize) -> Box<[u8]> {
    let mut kept = bytes[..end.div_ceil(8)].to_vec();
    if let Some(last) = kept.last_mut().filter(|_| !end.is_multiple_of(8)) {
        *last &= 0xff << (8 - end % 8);
    }
    kept.into()
}

/// Returns the first `len` bytes of the buffer in an allocation of exactly that size.
#[must_use]
pub fn into_exact_len(buffer: Box<[u8]>, len: usize) -> Box<[u8]> {
    let mut bytes = buffer.into_vec();
    bytes.truncate(len);
    bytes.into_boxed_slice()
}

/// Grows `buffer` to at least `needed` bytes, and by at least a quarter or 32 bytes.
///
/// The step is small because there are many buffers and few of them fill up.
#[cold]
fn grow(buffer: &mut Box<[u8]>, needed: usize) {
    let mut bytes = std::mem::take(buffer).into_vec();
    let wanted = needed.max(bytes.len() + (bytes.len() / 4).max(32));
    // The usual allocator returns blocks of 8 bytes less than a multiple of 16. Request all of it.
    let len = (wanted + 7) & !15 | 8;
    bytes.reserve_exact(len - bytes.len());
    bytes.resize(len, 0);
    *buffer = bytes.into_boxed_slice();
}

/// Decoder for a bit stream.
///
/// Past the end it reads zeros, never other memory; [`BitReader::is_overrun`] reports that.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Last 8 bytes as a big-endian number. A shorter stream is right-aligned.
    tail: u64,
    /// Offset of the next bit.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Returns a reader at the first bit of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let tail = bytes[bytes.len().saturating_sub(8)..]
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        Self { bytes, tail, at: 0 }
    }

    /// Number of bits that were read or skipped, including those past the end.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Number of unread bits; 0 past the end.
    #[must_use]
    pub fn remaining(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// Returns `true` if more bits were read or skipped than the stream has.
    #[inline]
    #[must_use]
    pub fn is_overrun(&self) -> bool {
        self.at > self.bytes.len() * 8
    }

    /// Returns the next 57 or more bits without consuming them, the first bit in the most
    /// significant position. The low bits of the result are zero.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> u64 {
        let first = self.at >> 3;
        let word = match self.bytes.get(first..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(word) => u64::from_be_bytes(*word),
            None => self.peek_tail(first),
        };
        word << (self.at & 7)
    }

    /// Returns the word at byte `first`, which is less than 8 bytes before the end.
    #[inline]
    fn peek_tail(&self, first: usize) -> u64 {
        let missing = first + 8 - self.bytes.len();
        if missing < 8 { self.tail << (8 * missing) } else { 0 }
    }

    /// Consumes `n` bits, usually after [`Self::peek`].
    #[inline]
    pub fn skip(&mut self, n: u32) {
        self.at += n as usize;
    }

    /// Reads the next `n` bits (1 to 64) as the low bits of a number.
    #[inline]
    pub fn read(&mut self, n: u32) -> u64 {
        debug_assert!((1..=64).contains(&n));
        if n <= 57 {
            let value = self.peek() >> (64 - n);
            self.skip(n);
            return value;
        }
        let high = self.peek() >> 32;
        self.skip(32);
        let low = self.peek() >> (96 - n);
        self.skip(n - 32);
        high << (n - 32) | low
    }

    /// Reads an unsigned varint. Returns `None` if it has more than 64 bits.
    pub fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.read(8);
            if shift == 63 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a signed varint. Returns `None` if it has more than 64 bits.
    pub fn varint(&mut self) -> Option<i64> {
        let zigzag = self.uvarint()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter, WORD_SLACK};
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    /// Model of a stream: a string of binary digits.
    fn to_digits(values: &[(u64, u32)]) -> String {
        values.iter().map(|&(v, n)| format!("{v:064b}")[64 - n as usize..].to_owned()).collect()
    }

    fn masked((value, n): (u64, u32)) -> (u64, u32) {
        (value >> (64 - n), n)
    }

    proptest! {
        #[test]
        fn pushed_values_are_read_back(
            values in proptest::collection::vec(
                (prop_oneof![2 => any::<u64>(), 1 => Just(0)], 1..=64u32),
                0..60,
            ),
        ) {
            let values: Vec<_> = values.into_iter().map(masked).collect();
            let (mut buffer, mut len) = (Box::default(), 0);
            for &(value, n) in &values {
                let mut writer = BitWriter { buffer: &mut buffer, len: &mut len };
                if value == 0 { writer.push_zeros(n) } else { writer.push(value, n) }
            }
            let digits = to_digits(&values);
            prop_assert_eq!(len as usize, digits.len());
            let used = digits.len().div_ceil(8);
            let seen: String = buffer[..used].iter().map(|b| format!("{b:08b}")).collect();
            prop_assert_eq!(&seen[..digits.len()], &digits);
            prop_assert!(seen[digits.len()..].bytes().all(|b| b == b'0'));
            prop_assert!(buffer.len() <= used + WORD_SLACK + 16 + (used / 4).max(32));

            let mut reader = BitReader::new(&buffer[..used]);
            for &(value, n) in &values {
                prop_assert_eq!(reader.read(n), value);
                prop_assert!(!reader.is_overrun());
            }
            prop_assert_eq!(reader.position(), digits.len());
        }

        #[test]
        fn reader_past_the_end_reads_zeros(
            bytes in proptest::collection::vec(any::<u8>(), 0..20),
            n in 1..=64u32,
        ) {
            let mut reader = BitReader::new(&bytes);
            let mut digits: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
            digits.push_str(&"0".repeat(1000));
            let mut at = 0;
            while at < bytes.len() * 8 + 200 {
                let expected = u64::from_str_radix(&digits[at..at + n as usize], 2).unwrap();
                prop_assert_eq!(reader.read(n), expected);
                at += n as usize;
                prop_assert_eq!(reader.is_overrun(), at > bytes.len() * 8);
            }
        }
    }
}

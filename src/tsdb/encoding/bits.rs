//! Streams of bits, most significant first: [`BitWriter`] writes one, [`BitReader`] reads it back.
//!
//! Pure and without locks. Neither knows what the bits mean. Both work on whole 64-bit words: no step goes bit by bit.
//!
//! Invariant of a stream that is being written: the bits after its end are zero, to the end of the buffer. So the bytes that
//! the stream touches are at every moment the stream as it belongs on disk, and zeros are appended by counting them.

/// How many bytes a stream's buffer must reach beyond the byte in which a value starts: a word and the byte that a
/// shifted word spills into.
const WORD_SLACK: usize = 9;

/// Writes at the end of a stream of bits whose buffer and length its owner keeps.
///
/// The parts are borrowed so that the owner, of whom there may be a million, can lay them out without padding.
pub struct BitWriter<'a> {
    /// The buffer; longer than the stream by up to 9 bytes and the step in which it grows.
    pub buffer: &'a mut Box<[u8]>,
    /// The length of the stream in bits.
    pub len: &'a mut u32,
}

impl BitWriter<'_> {
    /// Appends the `n` low bits of `value`, most significant first; `n` is 1 to 64 and the bits above them are zero.
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
        // Only the first byte holds older bits. Reading no more than that byte back lets the processor take it from the
        // store before.
        let word = u64::from(window[0]) << 56 | aligned >> used;
        let spill = (aligned << 1) << (63 - used);
        window[..8].copy_from_slice(&word.to_be_bytes());
        window[8] = (spill >> 56) as u8;
        *self.len += n;
    }

    /// Appends `n` zeros.
    #[inline]
    pub fn push_zeros(&mut self, n: u32) {
        *self.len += n;
        let used = self.len.div_ceil(8) as usize;
        if used > self.buffer.len() {
            grow(self.buffer, used + WORD_SLACK);
        }
    }

    /// Appends an unsigned varint: groups of seven bits, the lowest first, each but the last with a 1 before it.
    pub fn push_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.push(value, 8);
    }

    /// Appends a signed varint: zigzag, then as [`Self::push_uvarint`].
    pub fn push_varint(&mut self, value: i64) {
        self.push_uvarint(((value << 1) ^ (value >> 63)) as u64);
    }
}

/// The first `end` bits of `bytes`, which has them, as the buffer of a stream that goes on there.
#[must_use]
pub fn truncate_to_bits(bytes: &[u8], end: usize) -> Box<[u8]> {
    let mut kept = bytes[..end.div_ceil(8)].to_vec();
    if let Some(last) = kept.last_mut().filter(|_| !end.is_multiple_of(8)) {
        *last &= 0xff << (8 - end % 8);
    }
    kept.into()
}

/// The first `len` bytes of the buffer of a stream, and no more allocated than they take.
#[must_use]
pub fn into_exact_len(buffer: Box<[u8]>, len: usize) -> Box<[u8]> {
    let mut bytes = buffer.into_vec();
    bytes.truncate(len);
    bytes.into_boxed_slice()
}

/// Makes `buffer` at least `needed` bytes long, by a quarter or 32 bytes more: many buffers exist and few get full.
#[cold]
fn grow(buffer: &mut Box<[u8]>, needed: usize) {
    let mut bytes = std::mem::take(buffer).into_vec();
    let wanted = needed.max(bytes.len() + (bytes.len() / 4).max(32));
    // The usual allocator hands out 8 bytes less than a multiple of 16; ask for all of it.
    let len = (wanted + 7) & !15 | 8;
    bytes.reserve_exact(len - bytes.len());
    bytes.resize(len, 0);
    *buffer = bytes.into_boxed_slice();
}

/// Reads a stream of bits. It never reads outside its bytes; beyond their end it sees zeros and says so by [`BitReader::is_overrun`].
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// The last 8 bytes as a big-endian number; of a shorter stream all of them, in the low bytes.
    tail: u64,
    /// The next bit to be read.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let tail = bytes[bytes.len().saturating_sub(8)..]
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        Self { bytes, tail, at: 0 }
    }

    /// How many bits were read or skipped, also beyond the end.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bits are left to be read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// Whether more bits were taken than there are.
    #[inline]
    #[must_use]
    pub fn is_overrun(&self) -> bool {
        self.at > self.bytes.len() * 8
    }

    /// The next bits without taking them, the first in the most significant place: at least 57 of them, then zeros.
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

    /// The word that begins at byte `first`, less than 8 bytes before the end.
    #[inline]
    fn peek_tail(&self, first: usize) -> u64 {
        let missing = first + 8 - self.bytes.len();
        if missing < 8 { self.tail << (8 * missing) } else { 0 }
    }

    /// Takes `n` bits that were looked at.
    #[inline]
    pub fn skip(&mut self, n: u32) {
        self.at += n as usize;
    }

    /// Takes the next `n` bits, 1 to 64, as the low bits of a number.
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

    /// Takes an unsigned varint; `None` where it has more than 64 bits.
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

    /// Takes a signed varint; `None` where it has more than 64 bits.
    pub fn varint(&mut self) -> Option<i64> {
        let zigzag = self.uvarint()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter, WORD_SLACK};
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    /// The stream as a string of digits, the plainest model.
    fn digits(values: &[(u64, u32)]) -> String {
        values.iter().map(|&(v, n)| format!("{v:064b}")[64 - n as usize..].to_owned()).collect()
    }

    fn masked((value, n): (u64, u32)) -> (u64, u32) {
        (value >> (64 - n), n)
    }

    proptest! {
        #[test]
        fn what_is_pushed_is_read_and_the_bytes_are_the_bits(
            values in proptest::collection::vec((prop_oneof![2 => any::<u64>(), 1 => Just(0)], 1..=64u32), 0..60),
        ) {
            let values: Vec<_> = values.into_iter().map(masked).collect();
            let (mut buffer, mut len) = (Box::default(), 0);
            for &(value, n) in &values {
                let mut sink = BitWriter { buffer: &mut buffer, len: &mut len };
                if value == 0 { sink.push_zeros(n) } else { sink.push(value, n) }
            }
            let text = digits(&values);
            prop_assert_eq!(len as usize, text.len());
            let used = text.len().div_ceil(8);
            let seen: String = buffer[..used].iter().map(|b| format!("{b:08b}")).collect();
            prop_assert_eq!(&seen[..text.len()], &text);
            prop_assert!(seen[text.len()..].bytes().all(|b| b == b'0'));
            prop_assert!(buffer.len() <= used + WORD_SLACK + 16 + (used / 4).max(32));

            let mut reader = BitReader::new(&buffer[..used]);
            for &(value, n) in &values {
                prop_assert_eq!(reader.read(n), value);
                prop_assert!(!reader.is_overrun());
            }
            prop_assert_eq!(reader.position(), text.len());
        }

        #[test]
        fn beyond_the_end_there_are_zeros(bytes in proptest::collection::vec(any::<u8>(), 0..20), n in 1..=64u32) {
            let mut reader = BitReader::new(&bytes);
            let mut text: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
            text.push_str(&"0".repeat(1000));
            let mut at = 0;
            while at < bytes.len() * 8 + 200 {
                prop_assert_eq!(reader.read(n), u64::from_str_radix(&text[at..at + n as usize], 2).unwrap());
                at += n as usize;
                prop_assert_eq!(reader.is_overrun(), at > bytes.len() * 8);
            }
        }
    }
}

//! Codec of the start timestamps of a histogram chunk.
//!
//! The format is that of XOR2 chunks; see [`crate::tsdb::chunk::xor2`].

use crate::tsdb::chunk::varbit;
use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// Bit of the ST header: the first sample has a start timestamp.
const FIRST_HAS_START: u8 = 0x80;

/// Maximum index of the first changed start timestamp in the ST header.
const LAST_START_CHANGE: u8 = 0x7f;

/// Start timestamp of the last sample, and the encoder and decoder state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StCodec {
    /// Start timestamp, ms; 0 if unknown.
    pub(super) st: i64,
    /// ST header, third byte of the chunk.
    pub(super) byte: u8,
    /// Timestamp of the last sample but one less `st`, ms; set from the first changed start
    /// timestamp on.
    st_delta: i64,
}

/// Index of a sample in its chunk, its timestamp, and the previous one (unused for the first
/// sample).
#[derive(Clone, Copy, Debug)]
pub(super) struct SamplePosition {
    pub(super) number: u16,
    pub(super) t: i64,
    pub(super) previous_t: i64,
}

impl StCodec {
    /// Creates the state for decoding a chunk with this ST header.
    pub(super) fn from_header(byte: u8) -> Self {
        Self { byte, ..Self::default() }
    }

    /// Returns the index of the first sample with a changed start timestamp, or 0 if there is none.
    pub(super) fn first_change(&self) -> u16 {
        u16::from(self.byte & LAST_START_CHANGE)
    }

    /// Returns `true` if the header is valid for a chunk of `samples` samples. Otherwise nothing
    /// may be appended, because the header would then refer to another sample.
    pub(super) fn fits_sample_count(&self, samples: u16) -> bool {
        let first = self.first_change();
        first < samples && (first != 0 || samples <= u16::from(LAST_START_CHANGE))
    }

    /// Writes the start timestamp of a sample, if the format requires it.
    pub(super) fn push(&mut self, sink: &mut BitWriter<'_>, position: SamplePosition, st: i64) {
        if position.number == 0 {
            if st != 0 {
                sink.push_varint(position.t.wrapping_sub(st));
                self.byte = FIRST_HAS_START;
            }
        } else {
            self.push_following(sink, position, st);
        }
        self.st = st;
    }

    fn push_following(&mut self, sink: &mut BitWriter<'_>, position: SamplePosition, st: i64) {
        let distance = position.previous_t.wrapping_sub(st);
        if self.first_change() != 0 {
            varbit::push_signed(sink, distance.wrapping_sub(self.st_delta));
        } else if st != self.st || position.number == u16::from(LAST_START_CHANGE) {
            self.byte |= position.number as u8;
            varbit::push_signed(sink, distance);
        } else {
            return;
        }
        self.st_delta = distance;
    }

    /// Reads the start timestamp of a sample. Returns `None` if it has more than 64 bits.
    pub(super) fn read(
        &mut self,
        bits: &mut BitReader<'_>,
        position: SamplePosition,
    ) -> Option<()> {
        if position.number == 0 {
            if self.byte & FIRST_HAS_START != 0 {
                self.st = position.t.wrapping_sub(bits.varint()?);
            }
            return Some(());
        }
        let first = self.first_change();
        if first == 0 || position.number < first {
            return Some(());
        }
        let change = varbit::read_signed(bits);
        self.st_delta =
            if position.number == first { change } else { self.st_delta.wrapping_add(change) };
        self.st = position.previous_t.wrapping_sub(self.st_delta);
        Some(())
    }
}

//! When the counts of a chunk's samples began: what stands behind each sample, and the header's byte that says from where on.
//!
//! The form is that of XOR2 chunks; see [`crate::tsdb::chunk::xor2`].

use crate::tsdb::chunk::varbit;
use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// In the header's byte: the first sample has a start time.
const FIRST_HAS_START: u8 = 0x80;

/// The greatest number of a sample that fits beside [`FIRST_HAS_START`].
const LAST_START_CHANGE: u8 = 0x7f;

/// The start of the newest sample, and how it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StCodec {
    /// In milliseconds; 0 where none is known.
    pub(super) st: i64,
    /// The header's byte.
    pub(super) byte: u8,
    /// Time of the sample before the newest less the newest one's start, from the first change of start on.
    st_delta: i64,
}

/// A sample's number in its chunk, its time, and that of the sample before (anything for the first).
#[derive(Clone, Copy, Debug)]
pub(super) struct SamplePosition {
    pub(super) number: u16,
    pub(super) t: i64,
    pub(super) before: i64,
}

impl StCodec {
    /// Nothing is known but the header's byte.
    pub(super) fn from_header(byte: u8) -> Self {
        Self { byte, ..Self::default() }
    }

    /// The number of the sample from which on starts are written; 0 where none is, but perhaps that of the first.
    pub(super) fn first_change(&self) -> u16 {
        u16::from(self.byte & LAST_START_CHANGE)
    }

    /// Whether a chunk of so many samples can say this. Where not, nothing can be added to it: the header would speak of another sample then.
    pub(super) fn fits_sample_count(&self, samples: u16) -> bool {
        let first = self.first_change();
        first < samples && (first != 0 || samples <= u16::from(LAST_START_CHANGE))
    }

    /// Writes the start of the sample at `place`, where it has to be said.
    pub(super) fn push(&mut self, sink: &mut BitWriter<'_>, place: SamplePosition, start: i64) {
        if place.number == 0 {
            if start != 0 {
                sink.push_varint(place.t.wrapping_sub(start));
                self.byte = FIRST_HAS_START;
            }
        } else {
            self.push_following(sink, place, start);
        }
        self.st = start;
    }

    fn push_following(&mut self, sink: &mut BitWriter<'_>, place: SamplePosition, start: i64) {
        let distance = place.before.wrapping_sub(start);
        if self.first_change() != 0 {
            varbit::push_signed(sink, distance.wrapping_sub(self.st_delta));
        } else if start != self.st || place.number == u16::from(LAST_START_CHANGE) {
            self.byte |= place.number as u8;
            varbit::push_signed(sink, distance);
        } else {
            return;
        }
        self.st_delta = distance;
    }

    /// Reads the start of the sample at `place`; `None` where it has more than 64 bits.
    pub(super) fn read(&mut self, bits: &mut BitReader<'_>, place: SamplePosition) -> Option<()> {
        if place.number == 0 {
            if self.byte & FIRST_HAS_START != 0 {
                self.st = place.t.wrapping_sub(bits.varint()?);
            }
            return Some(());
        }
        let first = self.first_change();
        if first == 0 || place.number < first {
            return Some(());
        }
        let change = varbit::read_signed(bits);
        self.st_delta =
            if place.number == first { change } else { self.st_delta.wrapping_add(change) };
        self.st = place.before.wrapping_sub(self.st_delta);
        Some(())
    }
}

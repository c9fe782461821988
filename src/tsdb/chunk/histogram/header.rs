//! The three bytes before a chunk's layout, in their two forms, and what they say of counter resets.
//!
//! The picture stands in the module above.

use crate::model::histogram::CounterResetHint;

/// Length in bytes.
pub(super) const LEN: usize = 3;

/// Which encoding's form a header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderLayout {
    /// Of 2 and 3: 16 bits of the number of samples.
    WithoutSt,
    /// Of 5 and 6: 14 bits of the number of samples, and a byte about start times.
    WithSt,
}

impl HeaderLayout {
    /// How many samples a chunk can count.
    pub(super) fn max_samples(self) -> u16 {
        match self {
            Self::WithoutSt => u16::MAX,
            Self::WithSt => 0x3fff,
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    pub(super) samples: u16,
    /// What is known of a counter reset before the chunk's first sample; of the others it is known that there was none.
    pub(super) reset: CounterResetHint,
    /// The byte about start times; 0 where the form has none.
    pub(super) st_header: u8,
}

impl ChunkHeader {
    pub(super) fn to_bytes(self, form: HeaderLayout) -> [u8; LEN] {
        let [high, low] = self.samples.to_be_bytes();
        let reset = reset_bits(self.reset) << 6;
        match form {
            HeaderLayout::WithoutSt => [high, low, reset],
            HeaderLayout::WithSt => [reset | high & 0x3f, low, self.st_header],
        }
    }

    pub(super) fn from_bytes(form: HeaderLayout, [first, second, third]: [u8; LEN]) -> Self {
        match form {
            HeaderLayout::WithoutSt => Self {
                samples: u16::from_be_bytes([first, second]),
                reset: reset_from_bits(third >> 6),
                st_header: 0,
            },
            HeaderLayout::WithSt => Self {
                samples: u16::from_be_bytes([first & 0x3f, second]),
                reset: reset_from_bits(first >> 6),
                st_header: third,
            },
        }
    }
}

fn reset_bits(reset: CounterResetHint) -> u8 {
    match reset {
        CounterResetHint::Unknown => 0b00,
        CounterResetHint::NotReset => 0b01,
        CounterResetHint::Reset => 0b10,
        CounterResetHint::Gauge => 0b11,
    }
}

fn reset_from_bits(bits: u8) -> CounterResetHint {
    match bits & 0b11 {
        0b00 => CounterResetHint::Unknown,
        0b01 => CounterResetHint::NotReset,
        0b10 => CounterResetHint::Reset,
        _ => CounterResetHint::Gauge,
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkHeader, HeaderLayout};

    #[test]
    fn what_a_header_says_is_read_from_it() {
        for form in [HeaderLayout::WithoutSt, HeaderLayout::WithSt] {
            for reset in 0..4 {
                let reset = super::reset_from_bits(reset);
                for samples in [0, 1, 255, 256, form.max_samples()] {
                    let starts = if form == HeaderLayout::WithSt { 0x81 } else { 0 };
                    let header = ChunkHeader { samples, reset, st_header: starts };
                    assert_eq!(ChunkHeader::from_bytes(form, header.to_bytes(form)), header);
                }
            }
        }
        assert_eq!(
            ChunkHeader::from_bytes(HeaderLayout::WithoutSt, [0xff, 0xff, 0x3f])
                .to_bytes(HeaderLayout::WithoutSt),
            [255, 255, 0]
        );
    }
}

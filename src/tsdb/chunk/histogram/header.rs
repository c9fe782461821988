//! Header of a histogram chunk: three bytes in two layouts. Format:
//! [`crate::tsdb::chunk::histogram`].

use crate::model::histogram::CounterResetHint;

/// Length of the header, bytes.
pub(super) const LEN: usize = 3;

/// Layout of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderLayout {
    /// Encodings 2 and 3: 16 bits for the number of samples.
    WithoutSt,
    /// Encodings 5 and 6: 14 bits for the number of samples, and the ST header.
    WithSt,
}

impl HeaderLayout {
    /// Returns the maximum number of samples of a chunk.
    pub(super) fn max_samples(self) -> u16 {
        match self {
            Self::WithoutSt => u16::MAX,
            Self::WithSt => 0x3fff,
        }
    }
}

/// Fields of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    pub(super) samples: u16,
    /// Counter reset hint of the first sample. There is no reset before any other sample.
    pub(super) reset: CounterResetHint,
    /// Byte about start timestamps; 0 if the layout has none.
    pub(super) st_header: u8,
}

impl ChunkHeader {
    pub(super) fn to_bytes(self, header_layout: HeaderLayout) -> [u8; LEN] {
        let [high, low] = self.samples.to_be_bytes();
        let reset = reset_bits(self.reset) << 6;
        match header_layout {
            HeaderLayout::WithoutSt => [high, low, reset],
            HeaderLayout::WithSt => [reset | high & 0x3f, low, self.st_header],
        }
    }

    pub(super) fn from_bytes(
        header_layout: HeaderLayout,
        [first, second, third]: [u8; LEN],
    ) -> Self {
        match header_layout {
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
    fn header_round_trips() {
        for header_layout in [HeaderLayout::WithoutSt, HeaderLayout::WithSt] {
            for reset in 0..4 {
                let reset = super::reset_from_bits(reset);
                for samples in [0, 1, 255, 256, header_layout.max_samples()] {
                    let st_header = if header_layout == HeaderLayout::WithSt { 0x81 } else { 0 };
                    let header = ChunkHeader { samples, reset, st_header };
                    assert_eq!(
                        ChunkHeader::from_bytes(header_layout, header.to_bytes(header_layout)),
                        header
                    );
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

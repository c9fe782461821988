//! The three bytes before a chunk's layout, in their two forms, and what they say of counter resets.
//!
//! The picture stands in the module above.

use crate::model::histogram::CounterResetHint;

/// Length in bytes.
pub(super) const LEN: usize = 3;

/// Which encoding's form a header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Of 2 and 3: 16 bits of the number of samples.
    WithoutStarts,
    /// Of 5 and 6: 14 bits of the number of samples, and a byte about start times.
    WithStarts,
}

impl Form {
    /// How many samples a chunk can count.
    pub(super) fn most_samples(self) -> u16 {
        match self {
            Self::WithoutStarts => u16::MAX,
            Self::WithStarts => 0x3fff,
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) samples: u16,
    /// What is known of a counter reset before the chunk's first sample; of the others it is known that there was none.
    pub(super) reset: CounterResetHint,
    /// The byte about start times; 0 where the form has none.
    pub(super) starts: u8,
}

impl Header {
    pub(super) fn to_bytes(self, form: Form) -> [u8; LEN] {
        let [high, low] = self.samples.to_be_bytes();
        let reset = reset_bits(self.reset) << 6;
        match form {
            Form::WithoutStarts => [high, low, reset],
            Form::WithStarts => [reset | high & 0x3f, low, self.starts],
        }
    }

    pub(super) fn from_bytes(form: Form, [first, second, third]: [u8; LEN]) -> Self {
        match form {
            Form::WithoutStarts => {
                Self { samples: u16::from_be_bytes([first, second]), reset: reset_of(third >> 6), starts: 0 }
            }
            Form::WithStarts => {
                Self { samples: u16::from_be_bytes([first & 0x3f, second]), reset: reset_of(first >> 6), starts: third }
            }
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

fn reset_of(bits: u8) -> CounterResetHint {
    match bits & 0b11 {
        0b00 => CounterResetHint::Unknown,
        0b01 => CounterResetHint::NotReset,
        0b10 => CounterResetHint::Reset,
        _ => CounterResetHint::Gauge,
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Header};

    #[test]
    fn what_a_header_says_is_read_from_it() {
        for form in [Form::WithoutStarts, Form::WithStarts] {
            for reset in 0..4 {
                let reset = super::reset_of(reset);
                for samples in [0, 1, 255, 256, form.most_samples()] {
                    let starts = if form == Form::WithStarts { 0x81 } else { 0 };
                    let header = Header { samples, reset, starts };
                    assert_eq!(Header::from_bytes(form, header.to_bytes(form)), header);
                }
            }
        }
        assert_eq!(
            Header::from_bytes(Form::WithoutStarts, [0xff, 0xff, 0x3f]).to_bytes(Form::WithoutStarts),
            [255, 255, 0]
        );
    }
}

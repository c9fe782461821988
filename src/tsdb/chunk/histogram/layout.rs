//! What all histograms of a chunk have in common: schema, zero threshold, which buckets there are, bounds of custom buckets.
//!
//! The picture stands in the module above.

use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span, is_known_schema};
use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// Stands for a zero threshold whose 64 bits follow.
const EXPLICIT_THRESHOLD: u8 = 255;

/// The byte of a zero threshold that is a power of two, plus this, is the exponent in the bits of the number.
const THRESHOLD_BIAS: u64 = 779;

/// The greatest custom bound, times 1000, that is written short.
const MAX_COMPACT_BOUND: f64 = 33_554_430.0;

/// What all histograms of a chunk have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkLayout {
    /// As [`crate::model::histogram::Histogram::schema`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// The positive buckets.
    pub positive: Vec<Span>,
    /// The negative buckets.
    pub negative: Vec<Span>,
    /// The upper bounds of custom buckets; empty of another schema.
    pub custom_values: Vec<f64>,
}

/// How many buckets the spans have.
pub fn bucket_count(spans: &[Span]) -> usize {
    spans.iter().fold(0, |count: usize, span| count.saturating_add(span.length as usize))
}

impl ChunkLayout {
    /// Writes it.
    pub(super) fn push(&self, sink: &mut BitWriter<'_>) {
        push_zero_threshold(sink, self.zero_threshold);
        varbit::push_signed(sink, i64::from(self.schema));
        push_spans(sink, &self.positive);
        push_spans(sink, &self.negative);
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            varbit::push_unsigned(sink, self.custom_values.len() as u64);
            self.custom_values.iter().for_each(|bound| push_bound(sink, *bound));
        }
    }

    /// Reads one. No list is longer than the bits that are left can fill.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = read_zero_threshold(bits);
        // As in Go the high bits are cut off.
        let schema = varbit::read_signed(bits) as i32;
        let positive = read_spans(bits)?;
        let negative = read_spans(bits)?;
        let custom_values =
            if schema == CUSTOM_BUCKETS_SCHEMA { read_bounds(bits)? } else { Vec::new() };
        if bits.is_overrun() {
            return Err(ChunkError::Truncated { sample: 0 });
        }
        if !is_known_schema(schema) {
            return Err(ChunkError::UnknownSchema { schema });
        }
        Ok(Self { schema, zero_threshold, positive, negative, custom_values })
    }
}

fn push_zero_threshold(sink: &mut BitWriter<'_>, threshold: f64) {
    if threshold == 0.0 {
        return sink.push_zeros(8);
    }
    let bits = threshold.to_bits();
    let short = (bits >> 52).wrapping_sub(THRESHOLD_BIAS);
    if bits << 12 == 0 && (1..u64::from(EXPLICIT_THRESHOLD)).contains(&short) {
        return sink.push(short, 8);
    }
    sink.push(u64::from(EXPLICIT_THRESHOLD), 8);
    sink.push(bits, 64);
}

fn read_zero_threshold(bits: &mut BitReader<'_>) -> f64 {
    match bits.read(8) as u8 {
        0 => 0.0,
        EXPLICIT_THRESHOLD => f64::from_bits(bits.read(64)),
        short => f64::from_bits((u64::from(short) + THRESHOLD_BIAS) << 52),
    }
}

fn push_spans(sink: &mut BitWriter<'_>, spans: &[Span]) {
    varbit::push_unsigned(sink, spans.len() as u64);
    for span in spans {
        varbit::push_unsigned(sink, u64::from(span.length));
        varbit::push_signed(sink, i64::from(span.offset));
    }
}

fn read_spans(bits: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    // Each takes two bits or more, each of its buckets one.
    let count = read_bounded_count(bits, 2)?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let length = read_bounded_count(bits, 1)?;
        let length = u32::try_from(length).map_err(|_| ChunkError::Truncated { sample: 0 })?;
        spans.push(Span { length, offset: varbit::read_signed(bits) as i32 });
    }
    Ok(spans)
}

fn read_bounds(bits: &mut BitReader<'_>) -> Result<Vec<f64>, ChunkError> {
    // Each takes a code of two bits and three more, or a bit and 64 more.
    let count = read_bounded_count(bits, 5)?;
    Ok((0..count).map(|_| read_bound(bits)).collect())
}

/// Reads the number of things that take `width` bits or more each.
fn read_bounded_count(bits: &mut BitReader<'_>, width: usize) -> Result<usize, ChunkError> {
    let count = usize::try_from(varbit::read_unsigned(bits)).unwrap_or(usize::MAX);
    if count > bits.remaining() / width {
        return Err(ChunkError::Truncated { sample: 0 });
    }
    Ok(count)
}

fn push_bound(sink: &mut BitWriter<'_>, bound: f64) {
    let thousandfold = bound * 1000.0;
    let whole = thousandfold.round();
    if (0.0..=MAX_COMPACT_BOUND).contains(&thousandfold) && whole / 1000.0 == bound {
        return varbit::push_unsigned(sink, whole as u64 + 1);
    }
    sink.push_zeros(1);
    sink.push(bound.to_bits(), 64);
}

fn read_bound(bits: &mut BitReader<'_>) -> f64 {
    match varbit::read_unsigned(bits) {
        0 => f64::from_bits(bits.read(64)),
        short => (short - 1) as f64 / 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkLayout, bucket_count};
    use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};
    use crate::tsdb::chunk::xor::ChunkError;
    use crate::tsdb::encoding::bits::{BitReader, BitWriter};
    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

    fn written(layout: &ChunkLayout) -> Vec<u8> {
        let (mut buffer, mut len) = (Box::default(), 0);
        layout.push(&mut BitWriter { buffer: &mut buffer, len: &mut len });
        buffer[..len.div_ceil(8) as usize].to_vec()
    }

    #[test]
    fn thresholds_that_are_powers_of_two_take_a_byte() {
        let first_bytes = |zero_threshold| {
            let bytes = written(&ChunkLayout { zero_threshold, ..ChunkLayout::default() });
            (bytes[0], bytes.len())
        };
        assert_eq!(first_bytes(0.0), (0, 2));
        assert_eq!(first_bytes(2f64.powi(-128)), (116, 2));
        assert_eq!([first_bytes(2f64.powi(-243)), first_bytes(2f64.powi(10))], [(1, 2), (254, 2)]);
        for other in [2f64.powi(-244), 2f64.powi(11), 0.001, -0.5, f64::NAN, f64::INFINITY, 5e-324]
        {
            assert_eq!(first_bytes(other), (255, 10), "{other}");
        }
    }

    #[test]
    fn a_list_longer_than_the_bytes_is_refused_before_it_is_made() {
        let spans = vec![Span { offset: 0, length: u32::MAX }];
        let layout = ChunkLayout { positive: spans, ..ChunkLayout::default() };
        assert_eq!(
            ChunkLayout::read(&mut BitReader::new(&written(&layout))),
            Err(ChunkError::Truncated { sample: 0 })
        );
        let unknown = ChunkLayout { schema: 53, ..ChunkLayout::default() };
        assert_eq!(
            ChunkLayout::read(&mut BitReader::new(&written(&unknown))),
            Err(ChunkError::UnknownSchema { schema: 53 })
        );
        assert_eq!(
            bucket_count(&[Span { offset: -3, length: 4 }, Span { offset: 1, length: 0 }]),
            4
        );
    }

    fn bounds() -> impl Strategy<Value = f64> {
        prop_oneof![
            (0..40_000_000u32).prop_map(|n| f64::from(n) / 1000.0),
            any::<f64>().prop_map(|x| if x == 0.0 { 0.0 } else { x })
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            spans in proptest::collection::vec((any::<i32>(), 0..20u32), 0..10), negative in 0..10usize,
            threshold in prop_oneof![(-250..20i32).prop_map(|e| 2f64.powi(e)), bounds()],
            bounds in proptest::collection::vec(bounds(), 0..10),
        ) {
            let spans: Vec<Span> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
            let negative = spans[..negative.min(spans.len())].to_vec();
            let layout = ChunkLayout {
                schema: CUSTOM_BUCKETS_SCHEMA, zero_threshold: threshold, positive: spans, negative, custom_values: bounds,
            };
            let mut bytes = written(&layout);
            // Room for the buckets.
            bytes.resize(bytes.len() + 400, 0);
            let read = ChunkLayout::read(&mut BitReader::new(&bytes)).unwrap();
            prop_assert_eq!(read.zero_threshold.to_bits(), threshold.to_bits());
            prop_assert_eq!(format!("{read:?}"), format!("{layout:?}"));
        }
    }
}

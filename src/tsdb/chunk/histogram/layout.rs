//! Layout shared by all histograms of a chunk: schema, zero threshold, buckets and custom values.
//!
//! Format: [`crate::tsdb::chunk::histogram`].

use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span, is_known_schema};
use crate::tsdb::chunk::varbit;
use crate::tsdb::chunk::xor::ChunkError;
use crate::tsdb::encoding::bits::{BitReader, BitWriter};

/// First byte of a zero threshold that follows in 64 bits.
const EXPLICIT_THRESHOLD: u8 = 255;

/// Difference of the exponent bits of a threshold, if it is a power of two, and its byte.
const THRESHOLD_BIAS: u64 = 779;

/// Maximum of 1000 times a custom value in the short form.
const MAX_COMPACT_BOUND: f64 = 33_554_430.0;

/// Fields shared by all histograms of a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkLayout {
    /// Resolution of the buckets, as [`crate::model::histogram::Histogram::schema`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Spans of the positive buckets.
    pub positive: Vec<Span>,
    /// Spans of the negative buckets.
    pub negative: Vec<Span>,
    /// Upper bounds of custom buckets; empty for other schemas.
    pub custom_values: Vec<f64>,
}

/// Returns the number of buckets in the spans, saturating.
pub fn bucket_count(spans: &[Span]) -> usize {
    spans.iter().fold(0, |count: usize, span| count.saturating_add(span.length as usize))
}

impl ChunkLayout {
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

    /// Reads a layout. The number of elements in a list is bounded by the remaining bits.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = read_zero_threshold(bits);
        // The high bits are dropped, as in Go.
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
    // A span takes at least two bits, and each of its buckets at least one.
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
    // A bound takes at least a code of two bits and three more bits, or one bit and 64 more.
    let count = read_bounded_count(bits, 5)?;
    Ok((0..count).map(|_| read_bound(bits)).collect())
}

/// Reads the number of elements that take at least `width` bits each.
fn read_bounded_count(bits: &mut BitReader<'_>, width: usize) -> Result<usize, ChunkError> {
    let count = usize::try_from(varbit::read_unsigned(bits)).unwrap_or(usize::MAX);
    if count > bits.remaining() / width {
        return Err(ChunkError::Truncated { sample: 0 });
    }
    Ok(count)
}

fn push_bound(sink: &mut BitWriter<'_>, bound: f64) {
    let thousandfold = bound * 1000.0;
    let rounded = thousandfold.round();
    if (0.0..=MAX_COMPACT_BOUND).contains(&thousandfold) && rounded / 1000.0 == bound {
        return varbit::push_unsigned(sink, rounded as u64 + 1);
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

    fn encode(layout: &ChunkLayout) -> Vec<u8> {
        let (mut buffer, mut len) = (Box::default(), 0);
        layout.push(&mut BitWriter { buffer: &mut buffer, len: &mut len });
        buffer[..len.div_ceil(8) as usize].to_vec()
    }

    #[test]
    fn power_of_two_threshold_takes_one_byte() {
        let first_bytes = |zero_threshold| {
            let bytes = encode(&ChunkLayout { zero_threshold, ..ChunkLayout::default() });
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
    fn oversized_list_is_rejected_before_allocation() {
        let spans = vec![Span { offset: 0, length: u32::MAX }];
        let layout = ChunkLayout { positive: spans, ..ChunkLayout::default() };
        assert_eq!(
            ChunkLayout::read(&mut BitReader::new(&encode(&layout))),
            Err(ChunkError::Truncated { sample: 0 })
        );
        let unknown = ChunkLayout { schema: 53, ..ChunkLayout::default() };
        assert_eq!(
            ChunkLayout::read(&mut BitReader::new(&encode(&unknown))),
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
        fn layout_round_trips(
            spans in proptest::collection::vec((any::<i32>(), 0..20u32), 0..10),
            negative in 0..10usize,
            threshold in prop_oneof![(-250..20i32).prop_map(|e| 2f64.powi(e)), bounds()],
            bounds in proptest::collection::vec(bounds(), 0..10),
        ) {
            let spans: Vec<Span> =
                spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
            let negative = spans[..negative.min(spans.len())].to_vec();
            let layout = ChunkLayout {
                schema: CUSTOM_BUCKETS_SCHEMA,
                zero_threshold: threshold,
                positive: spans,
                negative,
                custom_values: bounds,
            };
            let mut bytes = encode(&layout);
            // Space for the buckets.
            bytes.resize(bytes.len() + 400, 0);
            let read = ChunkLayout::read(&mut BitReader::new(&bytes)).unwrap();
            prop_assert_eq!(read.zero_threshold.to_bits(), threshold.to_bits());
            prop_assert_eq!(format!("{read:?}"), format!("{layout:?}"));
        }
    }
}

//! Encoder of out-of-order samples: one chunk for each run of one type, and a new chunk if a
//! histogram cannot follow the previous one.
//!
//! Source: `ToEncodedChunks` in `tsdb/ooo_head.go` of Prometheus.

use crate::model::sample::Sample;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS;
use crate::tsdb::chunk::reencode::{
    MAX_SAMPLES, ReencodeOptions, ReencodedChunk, Reencoder, StPolicy,
};

/// Encodes samples with strictly increasing timestamps into chunks of at max 120 samples.
#[must_use]
pub fn encode<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    encodings: EncodingPolicy,
) -> Vec<ReencodedChunk> {
    let mut done = Vec::with_capacity(1);
    let mut reencoder = Reencoder::new(ReencodeOptions {
        encodings,
        starts: StPolicy::Discard,
        max_samples: MAX_SAMPLES,
    });
    for sample in samples {
        // Maximum span of an m-mapped chunk.
        if reencoder.begins_at().is_some_and(|begin| sample.t.abs_diff(begin) > MAX_SPAN_MS) {
            done.extend(reencoder.finish());
        }
        done.extend(reencoder.push(sample));
    }
    done.extend(reencoder.finish());
    done
}

#[cfg(test)]
mod tests {
    use super::{MAX_SPAN_MS, encode};
    use crate::model::histogram::{FloatHistogram, Histogram, Span};
    use crate::model::sample::{Sample, SampleValue};
    use crate::tsdb::chunk::ChunkEncoding::{
        self, FloatHistogram as Float, Histogram as Whole, Xor,
    };
    use crate::tsdb::chunk::any_chunk::{AnyChunkIter, EncodingPolicy};
    use crate::tsdb::chunk::reencode::{MAX_SAMPLES, ReencodedChunk};

    fn histogram(count: u64, buckets: u32) -> SampleValue {
        let positive_buckets =
            (0..buckets).map(|nth| if nth == 0 { count as i64 } else { 0 }).collect();
        SampleValue::Histogram(Box::new(Histogram {
            count: count * u64::from(buckets),
            sum: 1.5,
            positive_spans: vec![Span { offset: 0, length: buckets }],
            positive_buckets,
            ..Histogram::default()
        }))
    }

    /// Encodes values at one-second steps, checks the round trip, and returns the chunk bounds.
    fn chunks(values: Vec<SampleValue>) -> Vec<(ChunkEncoding, i64, i64, u16)> {
        let samples: Vec<Sample> =
            (0..).zip(values).map(|(t, value)| Sample::new(t, value)).collect();
        let chunks = encode(&samples, EncodingPolicy::default());
        let decoded = |chunk: &ReencodedChunk| {
            AnyChunkIter::new(chunk.encoding, &chunk.bytes).collect::<Result<Vec<_>, _>>()
        };
        let decoded: Vec<Sample> =
            chunks.iter().flat_map(|chunk| decoded(chunk).unwrap()).collect();
        assert_eq!(decoded.len(), samples.len());
        assert!(
            samples
                .iter()
                .zip(&decoded)
                .all(|(a, b)| a.t == b.t && a.value.is_equivalent(&b.value)),
            "{decoded:?}"
        );
        chunks.iter().map(|chunk| (chunk.encoding, chunk.mint, chunk.maxt, chunk.samples)).collect()
    }

    #[test]
    fn value_type_change_starts_new_chunk() {
        let float_histogram = SampleValue::FloatHistogram(Box::new(FloatHistogram {
            count: 0.5,
            ..FloatHistogram::default()
        }));
        let values = vec![
            SampleValue::Float(1.0),
            SampleValue::Float(2.0),
            histogram(1, 2),
            histogram(2, 2),
            float_histogram,
            SampleValue::Float(3.0),
        ];
        assert_eq!(
            chunks(values),
            [(Xor, 0, 1, 2), (Whole, 2, 3, 2), (Float, 4, 4, 1), (Xor, 5, 5, 1)]
        );
    }

    #[test]
    fn counter_reset_starts_new_chunk_and_new_buckets_do_not() {
        assert_eq!(
            chunks(vec![histogram(5, 1), histogram(6, 3), histogram(2, 3)]),
            [(Whole, 0, 1, 2), (Whole, 2, 2, 1)]
        );
    }

    #[test]
    fn chunk_span_is_at_most_max_span() {
        let times = [
            i64::MIN,
            i64::MIN + MAX_SPAN_MS as i64,
            i64::MIN + MAX_SPAN_MS as i64 + 1,
            0,
            1,
            i64::MAX,
        ];
        let samples = times.map(|t| Sample::new(t, SampleValue::Float(1.0)));
        let spans: Vec<_> =
            encode(&samples, EncodingPolicy::default()).iter().map(|c| (c.mint, c.maxt)).collect();
        assert_eq!(
            spans,
            [(times[0], times[1]), (times[2], times[2]), (0, 1), (i64::MAX, i64::MAX)]
        );
    }

    #[test]
    fn more_than_max_samples_become_several_chunks() {
        let max = i64::from(MAX_SAMPLES);
        let values = (0..max + 1).map(|v| SampleValue::Float(v as f64)).collect();
        assert_eq!(chunks(values), [(Xor, 0, max - 1, MAX_SAMPLES), (Xor, max, max, 1)]);
    }
}

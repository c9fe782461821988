//! Late points as chunks of bytes: one chunk for each run of one kind, and a new one where a histogram can't follow the one before
//! (`ToEncodedChunks` in `tsdb/ooo_head.go` of Prometheus). Pure.

use crate::model::sample::Sample;
use crate::tsdb::chunk::any_chunk::EncodingPolicy;
use crate::tsdb::chunk::mapped_chunk::MAX_SPAN_MS;
use crate::tsdb::chunk::reencode::{
    MAX_SAMPLES, ReencodeOptions, ReencodedChunk, Reencoder, StPolicy,
};

/// Encodes points, which are sorted by time and have each time once. No chunk has more than 120 points; an open chunk has more only if it
/// could not be written for a while.
#[must_use]
pub fn encode<'a>(
    points: impl IntoIterator<Item = &'a Sample>,
    encodings: EncodingPolicy,
) -> Vec<ReencodedChunk> {
    let mut done = Vec::with_capacity(1);
    let mut recoder = Reencoder::new(ReencodeOptions {
        encodings,
        starts: StPolicy::Discard,
        max_samples: MAX_SAMPLES,
    });
    for point in points {
        // No mapped chunk lasts longer.
        if recoder.begins_at().is_some_and(|begin| point.t.abs_diff(begin) > MAX_SPAN_MS) {
            done.extend(recoder.finish());
        }
        done.extend(recoder.push(point));
    }
    done.extend(recoder.finish());
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

    /// Encodes values, one a second, checks that they come back, and gives what the chunks are.
    fn chunks(values: Vec<SampleValue>) -> Vec<(ChunkEncoding, i64, i64, u16)> {
        let points: Vec<Sample> =
            (0..).zip(values).map(|(t, value)| Sample::new(t, value)).collect();
        let chunks = encode(&points, EncodingPolicy::default());
        let decoded = |chunk: &ReencodedChunk| {
            AnyChunkIter::new(chunk.encoding, &chunk.bytes).collect::<Result<Vec<_>, _>>()
        };
        let decoded: Vec<Sample> =
            chunks.iter().flat_map(|chunk| decoded(chunk).unwrap()).collect();
        assert_eq!(decoded.len(), points.len());
        assert!(
            points.iter().zip(&decoded).all(|(a, b)| a.t == b.t && a.value.is_equivalent(&b.value)),
            "{decoded:?}"
        );
        chunks.iter().map(|chunk| (chunk.encoding, chunk.mint, chunk.maxt, chunk.samples)).collect()
    }

    #[test]
    fn a_chunk_has_a_run_of_one_kind() {
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
    fn a_histogram_that_can_t_follow_begins_a_chunk_and_one_with_more_buckets_does_not() {
        assert_eq!(
            chunks(vec![histogram(5, 1), histogram(6, 3), histogram(2, 3)]),
            [(Whole, 0, 1, 2), (Whole, 2, 2, 1)]
        );
    }

    #[test]
    fn chunk_lasts_no_longer_than_a_mapped_one_may() {
        let times = [
            i64::MIN,
            i64::MIN + MAX_SPAN_MS as i64,
            i64::MIN + MAX_SPAN_MS as i64 + 1,
            0,
            1,
            i64::MAX,
        ];
        let points = times.map(|t| Sample::new(t, SampleValue::Float(1.0)));
        let found: Vec<_> =
            encode(&points, EncodingPolicy::default()).iter().map(|c| (c.mint, c.maxt)).collect();
        assert_eq!(
            found,
            [(times[0], times[1]), (times[2], times[2]), (0, 1), (i64::MAX, i64::MAX)]
        );
    }

    #[test]
    fn what_could_not_be_written_for_long_becomes_several_chunks() {
        let most = i64::from(MAX_SAMPLES);
        let values = (0..most + 1).map(|v| SampleValue::Float(v as f64)).collect();
        assert_eq!(chunks(values), [(Xor, 0, most - 1, MAX_SAMPLES), (Xor, most, most, 1)]);
    }
}

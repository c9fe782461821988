//! Histogram chunks of the encoding that the first byte selects: a bounded number of histograms or
//! an error.
//!
//! A valid chunk can be continued, and its histograms survive a rewrite.

use narthex::model::sample::{Sample, SampleValue};
use narthex::tsdb::chunk::ChunkEncoding;
use narthex::tsdb::chunk::any_chunk::{AnyChunk, AnyChunkIter, EncodingPolicy, HistogramStMode};
use narthex::tsdb::chunk::histogram::append::AppendOutcome;
use narthex::tsdb::chunk::xor::ChunkError;

const ENCODINGS: [ChunkEncoding; 4] = [
    ChunkEncoding::Histogram,
    ChunkEncoding::FloatHistogram,
    ChunkEncoding::HistogramSt,
    ChunkEncoding::FloatHistogramSt,
];

/// Panics if read, write and resume disagree.
pub(crate) fn check(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*choice) % ENCODINGS.len()];
    let (samples, error) = read(encoding, bytes);
    let resumed = match (AnyChunk::resume(encoding, bytes), error) {
        (Ok(resumed), None) => resumed,
        (Err(found), Some(error)) => return assert_eq!(found, error),
        // No sample, or a header whose first start timestamp change is after the last sample:
        // resuming is rejected.
        (Err(_), None) => return,
        (Ok(resumed), Some(error)) => panic!("{resumed:?} of bytes that end with {error:?}"),
    };
    // The remaining bytes are unchanged, except for the bits after the last sample.
    let len = resumed.num_bytes();
    assert!(bytes.starts_with(&resumed.bytes()[..len - 1]));
    check_samples(&resumed, &samples);
    check_append(resumed, samples.clone());
    check_rewrite(encodings(encoding), &samples);
}

fn encodings(encoding: ChunkEncoding) -> EncodingPolicy {
    let with_starts =
        matches!(encoding, ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt);
    let histogram_st_mode =
        if with_starts { HistogramStMode::WithSt } else { HistogramStMode::WithoutSt };
    EncodingPolicy { histogram_st_mode, ..EncodingPolicy::default() }
}

/// Returns the histograms and the error that ends them. Both are bounded by the size of the bytes.
fn read(encoding: ChunkEncoding, bytes: &[u8]) -> (Vec<Sample>, Option<ChunkError>) {
    let mut iter = AnyChunkIter::new(encoding, bytes);
    let mut samples = Vec::new();
    let error = loop {
        match iter.next() {
            None => break None,
            Some(Ok(sample)) => samples.push(sample),
            Some(Err(error)) => {
                assert!(iter.next().is_none());
                break Some(error);
            }
        }
    };
    assert!(
        samples.len() <= 8 * bytes.len(),
        "{} histograms in {} bytes",
        samples.len(),
        bytes.len()
    );
    let buckets: usize = samples.iter().map(buckets).sum();
    assert!(buckets <= 8 * bytes.len(), "{buckets} buckets in {} bytes", bytes.len());
    (samples, error)
}

fn buckets(sample: &Sample) -> usize {
    match &sample.value {
        SampleValue::Float(_) => 0,
        SampleValue::Histogram(value) => {
            value.positive_buckets.len() + value.negative_buckets.len()
        }
        SampleValue::FloatHistogram(value) => {
            value.positive_buckets.len() + value.negative_buckets.len()
        }
    }
}

fn are_same(read: &[Sample], written: &[Sample]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        assert_eq!((read.start_timestamp, read.t), (written.start_timestamp, written.t));
        assert!(read.value.is_equivalent(&written.value), "{read:?}\n{written:?}");
    }
}

/// Checks that the chunk has these histograms.
fn check_samples(chunk: &AnyChunk, samples: &[Sample]) {
    assert_eq!(usize::from(chunk.num_samples()), samples.len());
    assert_eq!(chunk.bytes().len(), chunk.num_bytes());
    assert_eq!(chunk.last_t(), samples.last().map(|last| last.t));
    let (read, error) = read(chunk.encoding(), chunk.bytes());
    assert_eq!(error, None);
    are_same(&read, samples);
    are_same(chunk.last_sample().as_slice(), &samples[samples.len() - 1..]);
}

/// Checks that a chunk can be continued.
fn check_append(mut chunk: AnyChunk, mut samples: Vec<Sample>) {
    for mut sample in [samples[samples.len() / 2].clone(), samples[samples.len() - 1].clone()] {
        sample.start_timestamp =
            if encodings(chunk.encoding()).histogram_st_mode == HistogramStMode::WithSt {
                99
            } else {
                0
            };
        if chunk.append(&sample) != AppendOutcome::NeedsNewChunk {
            samples.push(sample);
            check_samples(&chunk, &samples);
        }
    }
}

/// Checks that the histograms survive a rewrite to new chunks, each interrupted once.
fn check_rewrite(encodings: EncodingPolicy, samples: &[Sample]) {
    let mut rest = samples;
    while let Some((first, following)) = rest.split_first() {
        let mut chunk = AnyChunk::with_first_sample(encodings, first, None);
        let taken = following
            .iter()
            .take_while(|sample| chunk.append(sample) != AppendOutcome::NeedsNewChunk)
            .count();
        check_samples(&chunk, &rest[..=taken]);
        let mut halves = AnyChunk::with_first_sample(encodings, first, None);
        for (i, sample) in following[..taken].iter().enumerate() {
            if i == taken / 2 {
                halves = AnyChunk::resume(halves.encoding(), halves.bytes())
                    .expect("written chunk must be valid");
            }
            assert_ne!(halves.append(sample), AppendOutcome::NeedsNewChunk);
        }
        assert_eq!(halves.bytes(), chunk.bytes());
        rest = &following[taken..];
    }
}

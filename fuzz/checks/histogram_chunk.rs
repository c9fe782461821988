//! Any bytes as a chunk of native histograms, of the encoding that the first byte chooses: a bounded number of histograms or an error; a
//! whole chunk survives being continued, and its histograms being written again.

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

/// Panics where reading, writing and continuing do not agree.
pub(crate) fn check(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*choice) % ENCODINGS.len()];
    let (points, error) = read(encoding, bytes);
    let resumed = match (AnyChunk::resume(encoding, bytes), error) {
        (Ok(resumed), None) => resumed,
        (Err(found), Some(error)) => return assert_eq!(found, error),
        // It has no sample, or the header names one behind the last for the first change of start: nothing can be added to it.
        (Err(_), None) => return,
        (Ok(resumed), Some(error)) => panic!("{resumed:?} of bytes that end with {error:?}"),
    };
    // What is left of the bytes is what they began with, but for the bits after the last sample.
    let len = resumed.num_bytes();
    assert!(bytes.starts_with(&resumed.bytes()[..len - 1]));
    holds(&resumed, &points);
    goes_on(resumed, points.clone());
    survives(encodings(encoding), &points);
}

fn encodings(encoding: ChunkEncoding) -> EncodingPolicy {
    let with_starts =
        matches!(encoding, ChunkEncoding::HistogramSt | ChunkEncoding::FloatHistogramSt);
    let histogram_st_mode =
        if with_starts { HistogramStMode::WithSt } else { HistogramStMode::WithoutSt };
    EncodingPolicy { histogram_st_mode, ..EncodingPolicy::default() }
}

/// The histograms, and the error with which they end; both within what the bytes can hold.
fn read(encoding: ChunkEncoding, bytes: &[u8]) -> (Vec<Sample>, Option<ChunkError>) {
    let mut iter = AnyChunkIter::new(encoding, bytes);
    let mut points = Vec::new();
    let error = loop {
        match iter.next() {
            None => break None,
            Some(Ok(point)) => points.push(point),
            Some(Err(error)) => {
                assert!(iter.next().is_none());
                break Some(error);
            }
        }
    };
    assert!(
        points.len() <= 8 * bytes.len(),
        "{} histograms in {} bytes",
        points.len(),
        bytes.len()
    );
    let buckets: usize = points.iter().map(buckets).sum();
    assert!(buckets <= 8 * bytes.len(), "{buckets} buckets in {} bytes", bytes.len());
    (points, error)
}

fn buckets(point: &Sample) -> usize {
    match &point.value {
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

/// The chunk has these histograms.
fn holds(chunk: &AnyChunk, points: &[Sample]) {
    assert_eq!(usize::from(chunk.num_samples()), points.len());
    assert_eq!(chunk.bytes().len(), chunk.num_bytes());
    assert_eq!(chunk.last_t(), points.last().map(|last| last.t));
    let (read, error) = read(chunk.encoding(), chunk.bytes());
    assert_eq!(error, None);
    are_same(&read, points);
    are_same(chunk.last_sample().as_slice(), &points[points.len() - 1..]);
}

/// A chunk that was found takes more, and has it then.
fn goes_on(mut chunk: AnyChunk, mut points: Vec<Sample>) {
    for mut point in [points[points.len() / 2].clone(), points[points.len() - 1].clone()] {
        point.start_timestamp =
            if encodings(chunk.encoding()).histogram_st_mode == HistogramStMode::WithSt {
                99
            } else {
                0
            };
        if chunk.append(&point) != AppendOutcome::NeedsNewChunk {
            points.push(point);
            holds(&chunk, &points);
        }
    }
}

/// Written into as many chunks as it takes, each interrupted once, the histograms are the same.
fn survives(encodings: EncodingPolicy, points: &[Sample]) {
    let mut rest = points;
    while let Some((first, following)) = rest.split_first() {
        let mut chunk = AnyChunk::with_first_sample(encodings, first, None);
        let taken = following
            .iter()
            .take_while(|point| chunk.append(point) != AppendOutcome::NeedsNewChunk)
            .count();
        holds(&chunk, &rest[..=taken]);
        let mut halves = AnyChunk::with_first_sample(encodings, first, None);
        for (i, point) in following[..taken].iter().enumerate() {
            if i == taken / 2 {
                halves = AnyChunk::resume(halves.encoding(), halves.bytes())
                    .expect("what was written is whole");
            }
            assert_ne!(halves.append(point), AppendOutcome::NeedsNewChunk);
        }
        assert_eq!(halves.bytes(), chunk.bytes());
        rest = &following[taken..];
    }
}

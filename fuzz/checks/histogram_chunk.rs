//! Any bytes as a chunk of native histograms, of the encoding that the first byte chooses: a bounded number of histograms or an error; a
//! whole chunk survives being continued, and its histograms being written again.

use narthex::model::value::{Point, Value};
use narthex::tsdb::chunk::Encoding;
use narthex::tsdb::chunk::any_chunk::{AnyChunk, AnyIter, ChunkEncodings, HistogramStarts};
use narthex::tsdb::chunk::histogram::append::Appended;
use narthex::tsdb::chunk::xor::ChunkError;

const ENCODINGS: [Encoding; 4] =
    [Encoding::Histogram, Encoding::FloatHistogram, Encoding::HistogramSt, Encoding::FloatHistogramSt];

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

fn encodings(encoding: Encoding) -> ChunkEncodings {
    let with_starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    let histogram_starts = if with_starts { HistogramStarts::Kept } else { HistogramStarts::Dropped };
    ChunkEncodings { histogram_starts, ..ChunkEncodings::default() }
}

/// The histograms, and the error with which they end; both within what the bytes can hold.
fn read(encoding: Encoding, bytes: &[u8]) -> (Vec<Point>, Option<ChunkError>) {
    let mut iter = AnyIter::new(encoding, bytes);
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
    assert!(points.len() <= 8 * bytes.len(), "{} histograms in {} bytes", points.len(), bytes.len());
    let buckets: usize = points.iter().map(buckets).sum();
    assert!(buckets <= 8 * bytes.len(), "{buckets} buckets in {} bytes", bytes.len());
    (points, error)
}

fn buckets(point: &Point) -> usize {
    match &point.value {
        Value::Float(_) => 0,
        Value::Histogram(value) => value.positive_buckets.len() + value.negative_buckets.len(),
        Value::FloatHistogram(value) => value.positive_buckets.len() + value.negative_buckets.len(),
    }
}

fn are_same(read: &[Point], written: &[Point]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        assert_eq!((read.start, read.t), (written.start, written.t));
        assert!(read.value.is_same(&written.value), "{read:?}\n{written:?}");
    }
}

/// The chunk has these histograms.
fn holds(chunk: &AnyChunk, points: &[Point]) {
    assert_eq!(usize::from(chunk.num_samples()), points.len());
    assert_eq!(chunk.bytes().len(), chunk.num_bytes());
    assert_eq!(chunk.last_t(), points.last().map(|last| last.t));
    let (read, error) = read(chunk.encoding(), chunk.bytes());
    assert_eq!(error, None);
    are_same(&read, points);
    are_same(chunk.last_point().as_slice(), &points[points.len() - 1..]);
}

/// A chunk that was found takes more, and has it then.
fn goes_on(mut chunk: AnyChunk, mut points: Vec<Point>) {
    for mut point in [points[points.len() / 2].clone(), points[points.len() - 1].clone()] {
        point.start = if encodings(chunk.encoding()).histogram_starts == HistogramStarts::Kept { 99 } else { 0 };
        if chunk.append(&point) != Appended::NotTaken {
            points.push(point);
            holds(&chunk, &points);
        }
    }
}

/// Written into as many chunks as it takes, each interrupted once, the histograms are the same.
fn survives(encodings: ChunkEncodings, points: &[Point]) {
    let mut rest = points;
    while let Some((first, following)) = rest.split_first() {
        let mut chunk = AnyChunk::begin(encodings, first, None);
        let taken = following.iter().take_while(|point| chunk.append(point) != Appended::NotTaken).count();
        holds(&chunk, &rest[..=taken]);
        let mut halves = AnyChunk::begin(encodings, first, None);
        for (i, point) in following[..taken].iter().enumerate() {
            if i == taken / 2 {
                halves = AnyChunk::resume(halves.encoding(), halves.bytes()).expect("what was written is whole");
            }
            assert_ne!(halves.append(point), Appended::NotTaken);
        }
        assert_eq!(halves.bytes(), chunk.bytes());
        rest = &following[taken..];
    }
}

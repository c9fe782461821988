//! XOR chunks: a bounded number of samples or an error; a valid chunk can be rewritten and
//! continued.

use narthex::model::float_sample::FloatSample;
use narthex::tsdb::chunk::xor::{ChunkError, XorChunk, XorIter};

/// Panics if read, write and resume disagree.
pub(crate) fn check(bytes: &[u8]) {
    let (samples, error) = read(bytes);
    let resumed = XorChunk::resume(bytes);
    let resumed = match (resumed, error) {
        (Ok(resumed), None) => resumed,
        (Err(found), Some(error)) => return assert_eq!(found, error),
        (resumed, error) => panic!("{resumed:?} of bytes that end with {error:?}"),
    };
    // The remaining bytes are unchanged, except for the bits after the last sample.
    let len = resumed.num_bytes();
    assert!(bytes.starts_with(&resumed.bytes()[..len - 1]));
    check_samples(&resumed, &samples);

    let fresh = chunk_of(&samples);
    check_samples(&fresh, &samples);
    check_resume(&fresh, &samples);
    check_append(resumed, samples);
}

/// Returns the samples and the error that ends them. Both are bounded by the size of the bytes.
fn read(bytes: &[u8]) -> (Vec<FloatSample>, Option<ChunkError>) {
    let mut iter = XorIter::new(bytes);
    let total = bytes.first_chunk().map_or(0, |header| usize::from(u16::from_be_bytes(*header)));
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
    assert!(samples.len() <= total && (error.is_some() || samples.len() == total));
    // The first sample has at least 9 bytes, the second 9 bits, any other 2 bits.
    let least = match samples.len() {
        0 => 0,
        1 => 72,
        n => 72 + 9 + 2 * (n - 2),
    };
    assert!(8 * bytes.len() >= least, "{} samples in {} bytes", samples.len(), bytes.len());
    (samples, error)
}

fn chunk_of(samples: &[FloatSample]) -> XorChunk {
    let mut chunk = XorChunk::new();
    samples.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    chunk
}

/// Checks that the chunk has exactly these samples, bit for bit.
fn check_samples(chunk: &XorChunk, samples: &[FloatSample]) {
    assert_eq!(usize::from(chunk.num_samples()), samples.len());
    assert_eq!(chunk.last(), samples.last().copied());
    assert_eq!(chunk.bytes().len(), chunk.num_bytes());
    assert_eq!(read(chunk.bytes()), (samples.to_vec(), None));
}

/// Checks that an interrupted chunk equals one that was not interrupted.
fn check_resume(whole: &XorChunk, samples: &[FloatSample]) {
    let (before, after) = samples.split_at(samples.len() / 2);
    let mut chunk =
        XorChunk::resume(chunk_of(before).bytes()).expect("written chunk must be valid");
    after.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    assert_eq!(chunk.bytes(), whole.bytes());
}

/// Appends the samples of a chunk to it once more.
fn check_append(mut chunk: XorChunk, mut samples: Vec<FloatSample>) {
    let more: Vec<FloatSample> =
        samples.iter().copied().take(usize::from(u16::MAX) - samples.len()).collect();
    more.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    samples.extend(more);
    check_samples(&chunk, &samples);
}

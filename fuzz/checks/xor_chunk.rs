//! Any bytes as an XOR chunk: a bounded number of samples or an error; a whole chunk survives being written again and continued.

use narthex::model::float_sample::FloatSample;
use narthex::tsdb::chunk::xor::{ChunkError, XorChunk, XorIter};

/// Panics where reading, writing and continuing do not agree.
pub(crate) fn check(bytes: &[u8]) {
    let (samples, error) = read(bytes);
    let resumed = XorChunk::resume(bytes);
    let resumed = match (resumed, error) {
        (Ok(resumed), None) => resumed,
        (Err(found), Some(error)) => return assert_eq!(found, error),
        (resumed, error) => panic!("{resumed:?} of bytes that end with {error:?}"),
    };
    // What is left of the bytes is what they began with, but for the bits after the last sample.
    let len = resumed.num_bytes();
    assert!(bytes.starts_with(&resumed.bytes()[..len - 1]));
    holds(&resumed, &samples);

    let fresh = chunk_of(&samples);
    holds(&fresh, &samples);
    continued_in_the_middle(&fresh, &samples);
    continued(resumed, samples);
}

/// The samples, and the error with which they end; both within what the bytes can hold.
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
    // The first takes 9 bytes, the second 9 bits, any other 2.
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

/// The chunk has exactly these samples, bit for bit.
fn holds(chunk: &XorChunk, samples: &[FloatSample]) {
    assert_eq!(usize::from(chunk.num_samples()), samples.len());
    assert_eq!(chunk.last(), samples.last().copied());
    assert_eq!(chunk.bytes().len(), chunk.num_bytes());
    assert_eq!(read(chunk.bytes()), (samples.to_vec(), None));
}

/// A chunk that was interrupted halfway is the same as one that was not.
fn continued_in_the_middle(whole: &XorChunk, samples: &[FloatSample]) {
    let (before, after) = samples.split_at(samples.len() / 2);
    let mut chunk = XorChunk::resume(chunk_of(before).bytes()).expect("what was written is whole");
    after.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    assert_eq!(chunk.bytes(), whole.bytes());
}

/// A chunk of whatever origin takes its own samples once more.
fn continued(mut chunk: XorChunk, mut samples: Vec<FloatSample>) {
    let more: Vec<FloatSample> =
        samples.iter().copied().take(usize::from(u16::MAX) - samples.len()).collect();
    more.iter().for_each(|sample| chunk.append(sample.t, sample.v));
    samples.extend(more);
    holds(&chunk, &samples);
}

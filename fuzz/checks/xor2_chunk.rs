//! XOR2 chunks: a bounded number of samples or an error; a valid chunk can be rewritten and
//! continued.

use narthex::model::float_sample::FloatSample;
use narthex::tsdb::chunk::xor::ChunkError;
use narthex::tsdb::chunk::xor2::decode::Xor2Iter;
use narthex::tsdb::chunk::xor2::encode::Xor2Chunk;

/// Sample with its start timestamp.
type Started = (i64, FloatSample);

/// Panics if read, write and resume disagree.
pub(crate) fn check(bytes: &[u8]) {
    let (samples, error) = read(bytes);
    let resumed = match (Xor2Chunk::resume(bytes), error) {
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
    let (before, after) = samples.split_at(samples.len() / 2);
    let mut halves =
        Xor2Chunk::resume(chunk_of(before).bytes()).expect("written chunk must be valid");
    append(&mut halves, after);
    assert_eq!(halves.bytes(), fresh.bytes());
}

/// Returns the samples and the error that ends them. Both are bounded by the size of the bytes.
fn read(bytes: &[u8]) -> (Vec<Started>, Option<ChunkError>) {
    let mut iter = Xor2Iter::new(bytes);
    let total = bytes.first_chunk().map_or(0, |header| usize::from(u16::from_be_bytes(*header)));
    let mut samples = Vec::new();
    let error = loop {
        match iter.next() {
            None => break None,
            Some(Ok(sample)) => samples.push((iter.start_timestamp(), sample)),
            Some(Err(error)) => {
                assert!(iter.next().is_none());
                break Some(error);
            }
        }
    };
    assert!(samples.len() <= total && (error.is_some() || samples.len() == total));
    // A sample has at least one bit.
    assert!(samples.len() <= 8 * bytes.len(), "{} samples in {} bytes", samples.len(), bytes.len());
    (samples, error)
}

fn append(chunk: &mut Xor2Chunk, samples: &[Started]) {
    samples.iter().for_each(|(start, sample)| chunk.append_with_st(*start, sample.t, sample.v));
}

fn chunk_of(samples: &[Started]) -> Xor2Chunk {
    let mut chunk = Xor2Chunk::new();
    append(&mut chunk, samples);
    chunk
}

/// Checks that the chunk has exactly these samples, bit for bit.
fn check_samples(chunk: &Xor2Chunk, samples: &[Started]) {
    assert_eq!(usize::from(chunk.num_samples()), samples.len());
    assert_eq!(chunk.last(), samples.last().map(|(_, sample)| *sample));
    assert_eq!(chunk.bytes().len(), chunk.num_bytes());
    assert_eq!(read(chunk.bytes()), (samples.to_vec(), None));
}

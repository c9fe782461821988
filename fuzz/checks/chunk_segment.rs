//! Chunk segment of a block: chunks within the bytes or an error; a chunk survives a rewrite.
//!
//! The bytes are read twice: unchanged, and with correct magic number and checksums.

use narthex::tsdb::chunk::chunk_segments::format::{
    ChunkLocation, FILE_HEADER, check_header, encode_chunk, num_samples, read_chunk_at,
};
use narthex::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use narthex::tsdb::encoding::checksum::crc32c;

/// Panics if a returned chunk is out of bounds or does not survive a rewrite.
pub(crate) fn check(data: &[u8]) {
    if check_header(data).is_ok() {
        walk(data);
    }
    let repaired = with_checksums(data);
    assert_eq!(check_header(&repaired), Ok(()));
    walk(&repaired);
    // A reference may be any number.
    for at in 0..repaired.len() + 2 {
        if let Ok(chunk) = read_chunk_at(&repaired, at) {
            check_chunk(&repaired, at, &chunk);
        }
    }
}

fn walk(file: &[u8]) {
    let mut at = FILE_HEADER.len();
    while let Ok(chunk) = read_chunk_at(file, at) {
        check_chunk(file, at, &chunk);
        at = chunk.end;
    }
}

/// Checks that the chunk is within the file after `at` and can be read from its offset.
fn check_chunk(file: &[u8], at: usize, chunk: &ChunkLocation) {
    assert!(at < chunk.data.start && chunk.data.end + 4 == chunk.end && chunk.end <= file.len());
    let data = &file[chunk.data.clone()];
    let samples = num_samples(chunk.encoding, data);
    if let Some(encoding) = FloatEncoding::from_chunk_encoding(chunk.encoding) {
        assert!(
            FloatIter::new(encoding, data).take_while(Result::is_ok).count()
                <= usize::from(samples)
        );
    }
    let mut again = FILE_HEADER.to_vec();
    encode_chunk(&mut again, chunk.encoding, data);
    let found = read_chunk_at(&again, FILE_HEADER.len()).expect("what was written is whole");
    assert_eq!(
        (&again[found.data.clone()], found.encoding, found.end),
        (data, chunk.encoding, again.len())
    );
    // The input may encode the length with more bytes than needed.
    assert!(again.len() - FILE_HEADER.len() <= chunk.end - at);
}

/// Returns the bytes after a magic number, with the correct checksum for every chunk that ends
/// within them.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    file.resize(file.len().max(FILE_HEADER.len()), 0);
    file[..FILE_HEADER.len()].copy_from_slice(&FILE_HEADER);
    let mut at = FILE_HEADER.len();
    while let Some(covered) = checksum_range(&file, at) {
        let sum = crc32c(&file[covered.clone()]).to_be_bytes();
        let Some(place) = file.get_mut(covered.end..covered.end + sum.len()) else {
            break;
        };
        place.copy_from_slice(&sum);
        at = covered.end + sum.len();
    }
    file
}

/// Returns the range that the checksum of the chunk at `at` covers; `None` if the chunk ends
/// outside the file.
fn checksum_range(file: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let mut data = 0usize;
    for (i, byte) in file.get(at..)?.iter().take(5).enumerate() {
        data |= usize::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            let start = at + i + 1;
            return (start + 1 + data <= file.len()).then_some(start..start + 1 + data);
        }
    }
    None
}

//! Any bytes as a segment file of a block's `chunks/`: whole chunks within the bytes or an error; a chunk survives being written again.
//!
//! The bytes are read twice: as they are, and with magic number and checksums put right.

use narthex::tsdb::block::chunk_segments::format::{
    ChunkLocation, FILE_HEADER, check_header, encode_chunk, num_samples, read_chunk_at,
};
use narthex::tsdb::chunk::float_chunk::{FloatEncoding, FloatIter};
use narthex::tsdb::encoding::checksum::crc32c;

/// Panics where a chunk is handed out that is not whole, or does not survive.
pub(crate) fn check(data: &[u8]) {
    if check_header(data).is_ok() {
        walk(data);
    }
    let sealed = sealed(data);
    assert_eq!(check_header(&sealed), Ok(()));
    walk(&sealed);
    // A reference may point anywhere.
    for at in 0..sealed.len() + 2 {
        if let Ok(chunk) = read_chunk_at(&sealed, at) {
            holds(&sealed, at, &chunk);
        }
    }
}

fn walk(file: &[u8]) {
    let mut at = FILE_HEADER.len();
    while let Ok(chunk) = read_chunk_at(file, at) {
        holds(file, at, &chunk);
        at = chunk.end;
    }
}

/// The chunk lies within the file behind its place, and is found again where it is put.
fn holds(file: &[u8], at: usize, chunk: &ChunkLocation) {
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
    // A length may have been longer than it needs to be.
    assert!(again.len() - FILE_HEADER.len() <= chunk.end - at);
}

/// The bytes with the magic number in front, and with the checksum of every chunk that ends within them.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    file.resize(file.len().max(FILE_HEADER.len()), 0);
    file[..FILE_HEADER.len()].copy_from_slice(&FILE_HEADER);
    let mut at = FILE_HEADER.len();
    while let Some(covered) = covered(&file, at) {
        let sum = crc32c(&file[covered.clone()]).to_be_bytes();
        let Some(place) = file.get_mut(covered.end..covered.end + sum.len()) else { break };
        place.copy_from_slice(&sum);
        at = covered.end + sum.len();
    }
    file
}

/// What the checksum of the chunk at `at` covers; `None` where it does not end within the file.
fn covered(file: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
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

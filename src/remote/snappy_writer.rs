//! A snappy block that is written piece by piece, so that an answer is never in memory uncompressed.
//!
//! ```text
//! ┌──────────────────────┬─────────────────────┬─────────────────────┬─────┐
//! │ length when unpacked │ elements of piece 1 │ elements of piece 2 │ ... │
//! │ (varint)             │ (at most 64 KiB)    │                     │     │
//! └──────────────────────┴─────────────────────┴─────────────────────┴─────┘
//! ```
//!
//! Invariant: the elements of a piece refer to that piece only, so pieces can be compressed one by one, and a piece whose
//! content is known later (the length in front of a nested message) can be put in between.
//!
//! Source: <https://github.com/google/snappy/blob/main/format_description.txt>.

use crate::remote::response_writer::{Placeholder, ResponseTooLong, ResponseWriter};
use bytes::Bytes;

/// Snappy looks for repetitions within that many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// What a block can say of its length.
const MAX_BYTES: u64 = u32::MAX as u64;

/// Writes a block.
#[derive(Debug, Default)]
pub(crate) struct SnappyWriter {
    /// Not compressed yet.
    pending: Vec<u8>,
    pieces: Vec<Bytes>,
    /// Bytes of the content so far.
    content: u64,
    /// Bytes of all pieces.
    packed: usize,
}

impl ResponseWriter for SnappyWriter {
    fn write(&mut self, mut bytes: &[u8]) {
        self.content += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == PIECE_BYTES {
                self.flush();
            }
        }
    }

    fn reserve_placeholder(&mut self) -> Placeholder {
        self.flush();
        self.pieces.push(Bytes::new());
        Placeholder(self.pieces.len() - 1)
    }

    fn fill_placeholder(&mut self, gap: Placeholder, bytes: &[u8]) {
        debug_assert!((1..=60).contains(&bytes.len()));
        self.content += bytes.len() as u64;
        // A literal element: its length less one above the two bits of its tag, which are 0.
        let mut piece = vec![((bytes.len() - 1) << 2) as u8];
        piece.extend_from_slice(bytes);
        self.packed += piece.len();
        self.pieces[gap.0] = piece.into();
    }

    fn content_len(&self) -> u64 {
        self.content
    }

    fn written_len(&self) -> usize {
        self.packed
    }

    fn finish(mut self) -> Result<Vec<Bytes>, ResponseTooLong> {
        if self.content > MAX_BYTES {
            return Err(ResponseTooLong);
        }
        self.flush();
        let mut preamble = Vec::with_capacity(5);
        prost::encoding::encode_varint(self.content, &mut preamble);
        self.pieces.insert(0, preamble.into());
        Ok(self.pieces)
    }
}

impl SnappyWriter {
    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut block = vec![0; snap::raw::max_compress_len(self.pending.len())];
        // It fails only for an output that is too small.
        let len = snap::raw::Encoder::new().compress(&self.pending, &mut block).unwrap_or_default();
        // The encoder's own length in front is left out.
        let elements = &block[prost::encoding::encoded_len_varint(self.pending.len() as u64)..len];
        self.packed += elements.len();
        self.pieces.push(Bytes::copy_from_slice(elements));
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE_BYTES, SnappyWriter};
    use crate::remote::response_writer::ResponseWriter;

    #[test]
    fn a_block_of_many_pieces_and_gaps_is_read_by_any_decoder() {
        let mut writer = SnappyWriter::default();
        let mut expected = Vec::new();
        for round in 0..5usize {
            let gap = writer.reserve_placeholder();
            let filling = vec![b'g'; round + 1];
            expected.extend_from_slice(&filling);
            let content: Vec<u8> =
                (0..PIECE_BYTES * round / 2 + 7).map(|i| (i * i / 100) as u8).collect();
            writer.write(&content);
            expected.extend_from_slice(&content);
            writer.fill_placeholder(gap, &filling);
        }
        assert_eq!(writer.content_len(), expected.len() as u64);
        let block = writer.finish().unwrap().concat();
        assert!(block.len() < expected.len());
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&block).unwrap(), expected);
    }

    #[test]
    fn an_empty_block_is_one() {
        let block = SnappyWriter::default().finish().unwrap().concat();
        assert_eq!(block, [0]);
    }
}

//! Snappy block that is written in pieces, so that a response is never in memory uncompressed.
//!
//! ```text
//! ┌─────────────────────┬─────────────────────┬─────────────────────┬─────┐
//! │ uncompressed length │ elements of piece 1 │ elements of piece 2 │ ... │
//! │ (varint)            │ (at most 64 KiB)    │                     │     │
//! └─────────────────────┴─────────────────────┴─────────────────────┴─────┘
//! ```
//!
//! Invariant: the elements of a piece refer to that piece only. So pieces are compressed one by
//! one, and a placeholder (the length in front of a nested message) can be filled later.
//!
//! Source: <https://github.com/google/snappy/blob/main/format_description.txt>.

use crate::remote::read::response_writer::{Placeholder, ResponseTooLong, ResponseWriter};
use bytes::Bytes;

/// Size of a piece before compression, bytes: snappy searches for repetitions within as many.
const PIECE_BYTES: usize = 64 << 10;
/// Maximum uncompressed length of a block, bytes.
const MAX_BYTES: u64 = u32::MAX as u64;

/// Writer of a snappy block.
#[derive(Debug, Default)]
pub(crate) struct SnappyWriter {
    /// Content that is not compressed yet.
    pending: Vec<u8>,
    pieces: Vec<Bytes>,
    /// Length of the content so far, bytes.
    content: u64,
    /// Length of all compressed pieces, bytes.
    compressed: usize,
}

impl ResponseWriter for SnappyWriter {
    fn write(&mut self, mut bytes: &[u8]) {
        self.content += bytes.len() as u64;
        while !bytes.is_empty() {
            let free = PIECE_BYTES - self.pending.len();
            let (now, later) = bytes.split_at(free.min(bytes.len()));
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

    fn fill_placeholder(&mut self, placeholder: Placeholder, bytes: &[u8]) {
        debug_assert!((1..=60).contains(&bytes.len()));
        self.content += bytes.len() as u64;
        // A literal element of up to 60 bytes: its tag holds the length less one above two zero
        // bits.
        let mut piece = vec![((bytes.len() - 1) << 2) as u8];
        piece.extend_from_slice(bytes);
        self.compressed += piece.len();
        self.pieces[placeholder.0] = piece.into();
    }

    fn content_len(&self) -> u64 {
        self.content
    }

    fn written_len(&self) -> usize {
        self.compressed
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
        // Compression fails only if the output buffer is too small.
        let len = snap::raw::Encoder::new().compress(&self.pending, &mut block).unwrap_or_default();
        // Skip the length that the encoder writes.
        let elements = &block[prost::encoding::encoded_len_varint(self.pending.len() as u64)..len];
        self.compressed += elements.len();
        self.pieces.push(Bytes::copy_from_slice(elements));
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE_BYTES, SnappyWriter};
    use crate::remote::read::response_writer::ResponseWriter;

    #[test]
    fn pieces_and_placeholders_form_one_block() {
        let mut writer = SnappyWriter::default();
        let mut expected = Vec::new();
        for round in 0..5usize {
            let placeholder = writer.reserve_placeholder();
            let filling = vec![b'g'; round + 1];
            expected.extend_from_slice(&filling);
            let content: Vec<u8> =
                (0..PIECE_BYTES * round / 2 + 7).map(|i| (i * i / 100) as u8).collect();
            writer.write(&content);
            expected.extend_from_slice(&content);
            writer.fill_placeholder(placeholder, &filling);
        }
        assert_eq!(writer.content_len(), expected.len() as u64);
        let block = writer.finish().unwrap().concat();
        assert!(block.len() < expected.len());
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&block).unwrap(), expected);
    }

    #[test]
    fn empty_block_is_valid() {
        let block = SnappyWriter::default().finish().unwrap().concat();
        assert_eq!(block, [0]);
    }
}

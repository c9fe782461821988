//! Uncompressed message that is written in pieces.

use crate::remote::read::response_writer::{Placeholder, ResponseTooLong, ResponseWriter};
use bytes::Bytes;

/// Size of a piece, bytes, unless a placeholder ends it earlier.
const PIECE_BYTES: usize = 64 << 10;
/// Maximum length of a gRPC message, bytes.
const MAX_BYTES: u64 = u32::MAX as u64;

/// Writer of an uncompressed message.
#[derive(Debug, Default)]
pub(crate) struct PlainWriter {
    pending: Vec<u8>,
    pieces: Vec<Bytes>,
    /// Length of the content so far, bytes.
    content: u64,
    /// Length of all finished pieces, bytes.
    written: usize,
}

impl ResponseWriter for PlainWriter {
    fn write(&mut self, mut bytes: &[u8]) {
        self.content += bytes.len() as u64;
        while !bytes.is_empty() {
            let free = PIECE_BYTES - self.pending.len();
            let (now, later) = bytes.split_at(free.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == PIECE_BYTES {
                self.flush_piece();
            }
        }
    }

    fn reserve_placeholder(&mut self) -> Placeholder {
        self.flush_piece();
        self.pieces.push(Bytes::new());
        Placeholder(self.pieces.len() - 1)
    }

    fn fill_placeholder(&mut self, placeholder: Placeholder, bytes: &[u8]) {
        self.content += bytes.len() as u64;
        self.written += bytes.len();
        self.pieces[placeholder.0] = Bytes::copy_from_slice(bytes);
    }

    fn content_len(&self) -> u64 {
        self.content
    }

    fn written_len(&self) -> usize {
        self.written + self.pending.len()
    }

    fn finish(mut self) -> Result<Vec<Bytes>, ResponseTooLong> {
        if self.content > MAX_BYTES {
            return Err(ResponseTooLong);
        }
        self.flush_piece();
        Ok(self.pieces)
    }
}

impl PlainWriter {
    fn flush_piece(&mut self) {
        if !self.pending.is_empty() {
            self.written += self.pending.len();
            self.pieces.push(Bytes::copy_from_slice(&self.pending));
            self.pending.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE_BYTES, PlainWriter};
    use crate::remote::read::response_writer::ResponseWriter;

    #[test]
    fn pieces_and_placeholders_form_one_message() {
        let mut writer = PlainWriter::default();
        let placeholder = writer.reserve_placeholder();
        let content: Vec<u8> = (0..PIECE_BYTES * 2 + 7).map(|i| (i % 251) as u8).collect();
        writer.write(&content);
        writer.fill_placeholder(placeholder, b"gap");
        assert_eq!(writer.content_len(), content.len() as u64 + 3);
        assert_eq!(writer.written_len(), content.len() + 3);
        assert_eq!(writer.finish().unwrap().concat(), [b"gap", &content[..]].concat());
        assert!(PlainWriter::default().finish().unwrap().is_empty());
    }
}

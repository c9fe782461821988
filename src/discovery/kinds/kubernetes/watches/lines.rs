//! Pieces of a body as lines.

use bytes::{Bytes, BytesMut};

/// Error of a line that is longer than the limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line of watch exceeds {limit} bytes")]
pub(super) struct LineTooLong {
    /// Maximum length, bytes.
    pub(super) limit: usize,
}

/// Buffer that collects pieces and returns lines.
#[derive(Debug)]
pub(super) struct LineBuffer {
    buffer: BytesMut,
    /// Number of bytes at the beginning without a newline.
    searched: usize,
    limit: usize,
}

impl LineBuffer {
    /// Returns an empty buffer. `limit`: maximum length of a line, bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, limit }
    }

    /// Adds a piece. Take all lines before the next one, so that the buffer has at most one line
    /// and one piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Returns the next complete line that is not empty, without its newline.
    ///
    /// # Errors
    /// The line is too long, complete or not. The buffer is useless then.
    pub(super) fn next_line(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        loop {
            let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) else {
                self.searched = self.buffer.len();
                self.check(self.searched)?;
                return Ok(None);
            };
            let length = self.searched + at;
            self.check(length)?;
            let line = self.buffer.split_to(length + 1).freeze().slice(..length);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Returns `true` if there is no incomplete line.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn check(&self, length: usize) -> Result<(), LineTooLong> {
        if length > self.limit { Err(LineTooLong { limit: self.limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{LineBuffer, LineTooLong};
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

    /// Returns the lines, and the error that ended them.
    fn lines(pieces: &[Vec<u8>], limit: usize) -> (Vec<Vec<u8>>, Option<LineTooLong>) {
        let (mut buffer, mut found) = (LineBuffer::new(limit), Vec::new());
        for piece in pieces {
            buffer.push(piece);
            loop {
                match buffer.next_line() {
                    Ok(Some(line)) => found.push(line.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None)
    }

    #[test]
    fn too_long_line_is_an_error_before_its_end() {
        let too_long = Some(LineTooLong { limit: 3 });
        assert_eq!(lines(&[b"abc\n\n \nde".to_vec(), b"f\n".to_vec()], 3).0, [b"abc", b"def"]);
        assert_eq!(lines(&[b"a\nabcd\n".to_vec()], 3), (vec![b"a".to_vec()], too_long));
        let too_long = Some(LineTooLong { limit: 3 });
        assert_eq!(lines(&[b"ab".to_vec(), b"cd".to_vec()], 3), (Vec::new(), too_long));
    }

    fn bytes() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = any::<u8>().prop_map(|byte| if byte < 40 { b'\n' } else { byte });
        prop::collection::vec(prop::collection::vec(byte, 0..20), 0..20)
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_pieces(pieces in bytes()) {
            let whole = pieces.concat();
            let cut = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let expected: Vec<Vec<u8>> = whole[..cut]
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
                .map(<[u8]>::to_vec)
                .collect();
            prop_assert_eq!(lines(&pieces, 1_000).0, expected);
        }
    }
}

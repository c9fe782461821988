//! Output of a read response in pieces, with placeholders for lengths that are known later.
//!
//! Implementations: [`crate::remote::read::snappy_writer`] for HTTP, and
//! [`crate::remote::read::plain_writer`] for gRPC.

use bytes::Bytes;

/// The content exceeds the maximum length of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("longer than 4 GiB, the maximum of one message")]
pub struct ResponseTooLong;

/// Piece of the response whose content is not known yet, by its index.
#[derive(Debug)]
pub(crate) struct Placeholder(pub(crate) usize);

/// Writer of a response.
pub(crate) trait ResponseWriter: Default {
    /// Appends `bytes` to the content.
    fn write(&mut self, bytes: &[u8]);

    /// Reserves a placeholder at the current position.
    fn reserve_placeholder(&mut self) -> Placeholder;

    /// Fills a placeholder with 1 to 60 bytes.
    fn fill_placeholder(&mut self, placeholder: Placeholder, bytes: &[u8]);

    /// Returns the length of the content so far, without unfilled placeholders, bytes.
    fn content_len(&self) -> u64;

    /// Returns the memory of the response so far, bytes. It may leave out content that is not
    /// compressed yet.
    fn written_len(&self) -> usize;

    /// Returns the complete response, in pieces.
    fn finish(self) -> Result<Vec<Bytes>, ResponseTooLong>;
}

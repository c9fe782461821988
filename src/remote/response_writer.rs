//! Where the answer to a read goes while it is made: pieces, with gaps for what is known later.
//!
//! Two implement it: [`crate::remote::snappy_writer`] for HTTP, which wants a snappy block, and [`crate::remote::plain_writer`] for gRPC.

use bytes::Bytes;

/// The content would be longer than an answer can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("longer than the 4 GiB that one message can have")]
pub struct ResponseTooLong;

/// A place in the answer whose content is not known yet; its piece.
#[derive(Debug)]
pub(crate) struct Placeholder(pub(crate) usize);

/// Writes an answer.
pub(crate) trait ResponseWriter: Default {
    /// Appends content.
    fn write(&mut self, bytes: &[u8]);

    /// Leaves a gap here.
    fn reserve_placeholder(&mut self) -> Placeholder;

    /// Fills a gap; at most 60 bytes.
    fn fill_placeholder(&mut self, gap: Placeholder, bytes: &[u8]);

    /// Bytes of content so far, gaps that are not filled left out.
    fn content_len(&self) -> u64;

    /// Bytes of memory that the answer takes so far; what is not compressed yet need not be among them.
    fn written_len(&self) -> usize;

    /// The answer, in pieces.
    fn finish(self) -> Result<Vec<Bytes>, ResponseTooLong>;
}

//! The output of unpacking: what it may take, how it grows, and why it is not made.
//!
//! Invariant: the buffer grows only within the limit and one byte, and only after the memory was granted.

use crate::remote::body_compression::BodyCompression;

/// The first step where no size is declared.
const FIRST_STEP: usize = 64 << 10;
/// More than a snappy block can make of one byte: a copy of three bytes yields at most 64.
pub(super) const SNAPPY_MAX_RATIO: usize = 22;

/// The largest window of zstd that is allocated, bytes.
pub(super) const MAX_WINDOW: usize = 1 << MAX_WINDOW_LOG;
pub(super) const MAX_WINDOW_LOG: u32 = 23;

/// Why something was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// It can be seen to be packed in another way.
    #[error("the body is {found}, not {named}")]
    WrongCompression {
        /// What it begins as.
        found: &'static str,
        /// What was said of it.
        named: BodyCompression,
    },
    /// It is damaged, or not packed as was said.
    #[error("the body is not {named}: {why}")]
    Malformed {
        /// What was said of it.
        named: BodyCompression,
        /// What is wrong.
        why: String,
    },
    /// It is larger than it may be.
    #[error("the request has more than {limit} bytes after decompression, which is the limit")]
    TooLarge {
        /// Bytes that are taken.
        limit: usize,
    },
    /// To unpack it takes more memory than is given.
    #[error("the window of a zstd frame is larger than {} bytes", MAX_WINDOW)]
    Window,
    /// There is no memory for it now.
    #[error(transparent)]
    OutOfBudget(#[from] OutOfBudget),
}

/// There is no memory now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes in flight")]
pub struct OutOfBudget;

/// What unpacking may take.
pub struct DecompressBudget<'a> {
    /// Bytes of output.
    pub limit: usize,
    /// Asked for each step of memory before it is taken, in bytes.
    pub grant: &'a mut dyn FnMut(usize) -> Result<(), OutOfBudget>,
}

/// The error of a body that is not what was said of it.
pub(super) fn malformed(named: BodyCompression, why: impl std::fmt::Display) -> DecompressError {
    DecompressError::Malformed { named, why: why.to_string() }
}

/// What is unpacked so far, and what it may still take.
pub(super) struct DecompressBuffer<'a, 'b> {
    /// Only ever grown, so that what was used before is not cleared again.
    pub(super) buffer: &'a mut Vec<u8>,
    /// The bytes of it that are output.
    pub(super) len: usize,
    /// The bytes that were asked for.
    pub(super) granted: usize,
    pub(super) room: DecompressBudget<'b>,
}

impl DecompressBuffer<'_, '_> {
    /// Room for `more` bytes behind the output, to be filled and then counted with [`DecompressBuffer::advance`].
    pub(super) fn spare_capacity(&mut self, more: usize) -> Result<&mut [u8], DecompressError> {
        let size = self.len.saturating_add(more);
        if size > self.room.limit {
            return Err(DecompressError::TooLarge { limit: self.room.limit });
        }
        self.grow(size)?;
        Ok(&mut self.buffer[self.len..size])
    }

    /// More room where it is not known how much there will be: twice what there was. It may reach a byte behind the limit, so that one can see
    /// whether something comes there.
    pub(super) fn grow_spare(&mut self, first: usize) -> Result<&mut [u8], DecompressError> {
        if self.len > self.room.limit {
            return Err(DecompressError::TooLarge { limit: self.room.limit });
        }
        let size = self
            .len
            .saturating_mul(2)
            .max(first)
            .max(FIRST_STEP)
            .min(self.room.limit.saturating_add(1));
        self.grow(size)?;
        Ok(&mut self.buffer[self.len..size])
    }

    fn grow(&mut self, size: usize) -> Result<(), OutOfBudget> {
        if size > self.granted {
            (self.room.grant)(size - self.granted)?;
            self.granted = size;
        }
        if self.buffer.len() < size {
            self.buffer.reserve_exact(size - self.buffer.len());
            self.buffer.resize(size, 0);
        }
        Ok(())
    }

    /// Counts bytes that were written to the room.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.len += bytes;
    }

    /// The output is whole.
    pub(super) fn finish(&self) -> Result<(), DecompressError> {
        if self.len > self.room.limit {
            Err(DecompressError::TooLarge { limit: self.room.limit })
        } else {
            Ok(())
        }
    }
}

//! Decompression buffer: limit, growth and errors.
//!
//! Invariant: the buffer exceeds the limit by at most one byte, and grows only after the memory was
//! granted.

use crate::remote::body_compression::BodyCompression;

/// First step of growth without a declared size, bytes.
const FIRST_STEP: usize = 64 << 10;
/// Upper bound of the snappy compression ratio: a copy of three bytes yields at most 64.
pub(super) const SNAPPY_MAX_RATIO: usize = 22;

/// Maximum zstd window that is allocated, bytes.
pub(super) const MAX_WINDOW: usize = 1 << MAX_WINDOW_LOG;
pub(super) const MAX_WINDOW_LOG: u32 = 23;

/// Error of decompressing a body.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The magic number is that of another format.
    #[error("the body is {found}, not {named}")]
    WrongCompression {
        /// Format by the magic number.
        found: &'static str,
        /// Format that the sender named.
        named: BodyCompression,
    },
    /// The data are corrupted, or not in the named format.
    #[error("the body is not {named}: {why}")]
    Malformed {
        /// Format that the sender named.
        named: BodyCompression,
        /// Description of the defect.
        why: String,
    },
    /// The decompressed size exceeds the limit.
    #[error("request exceeds {limit} bytes after decompression")]
    TooLarge {
        /// Maximum decompressed size, bytes.
        limit: usize,
    },
    /// A zstd window exceeds the maximum size.
    #[error("window of a zstd frame exceeds {} bytes", MAX_WINDOW)]
    Window,
    /// The byte budget is exhausted.
    #[error(transparent)]
    OutOfBudget(#[from] OutOfBudget),
}

/// Error of an exhausted byte budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes in flight")]
pub struct OutOfBudget;

/// Limits of one decompression.
pub struct DecompressBudget<'a> {
    /// Maximum size of the output, bytes.
    pub limit: usize,
    /// Called with the bytes of each allocation before it is made.
    pub grant: &'a mut dyn FnMut(usize) -> Result<(), OutOfBudget>,
}

/// Returns the error of a body that is not in the named format.
pub(super) fn malformed(named: BodyCompression, why: impl std::fmt::Display) -> DecompressError {
    DecompressError::Malformed { named, why: why.to_string() }
}

/// Output of one decompression, and the budget for more.
pub(super) struct DecompressBuffer<'a, 'b> {
    /// Never shrinks, so that used bytes are not cleared again.
    pub(super) buffer: &'a mut Vec<u8>,
    /// Length of the output, bytes.
    pub(super) len: usize,
    /// Bytes granted so far.
    pub(super) granted: usize,
    pub(super) budget: DecompressBudget<'b>,
}

impl DecompressBuffer<'_, '_> {
    /// Returns `more` bytes behind the output. The caller fills them and calls
    /// [`DecompressBuffer::advance`].
    pub(super) fn spare_capacity(&mut self, more: usize) -> Result<&mut [u8], DecompressError> {
        let size = self.len.saturating_add(more);
        if size > self.budget.limit {
            return Err(DecompressError::TooLarge { limit: self.budget.limit });
        }
        self.grow(size)?;
        Ok(&mut self.buffer[self.len..size])
    }

    /// Returns more space if the size is unknown: the buffer doubles, from at least `first` bytes.
    ///
    /// It may reach one byte beyond the limit, so that output beyond the limit is noticed.
    pub(super) fn grow_spare(&mut self, first: usize) -> Result<&mut [u8], DecompressError> {
        if self.len > self.budget.limit {
            return Err(DecompressError::TooLarge { limit: self.budget.limit });
        }
        let size = self
            .len
            .saturating_mul(2)
            .max(first)
            .max(FIRST_STEP)
            .min(self.budget.limit.saturating_add(1));
        self.grow(size)?;
        Ok(&mut self.buffer[self.len..size])
    }

    fn grow(&mut self, size: usize) -> Result<(), OutOfBudget> {
        if size > self.granted {
            (self.budget.grant)(size - self.granted)?;
            self.granted = size;
        }
        if self.buffer.len() < size {
            self.buffer.reserve_exact(size - self.buffer.len());
            self.buffer.resize(size, 0);
        }
        Ok(())
    }

    /// Adds bytes that the caller wrote to the output.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.len += bytes;
    }

    /// Checks the size of the complete output.
    pub(super) fn finish(&self) -> Result<(), DecompressError> {
        if self.len > self.budget.limit {
            Err(DecompressError::TooLarge { limit: self.budget.limit })
        } else {
            Ok(())
        }
    }
}

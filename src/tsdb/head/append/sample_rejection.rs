//! Reasons for rejecting samples.

/// Reason for not storing a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SampleRejection {
    /// The series has another value at that timestamp.
    DuplicateTimestamp,
    /// Older than the newest sample of its series, without an out-of-order window.
    OutOfOrder,
    /// Older than the head accepts, without an out-of-order window.
    OutOfBounds,
    /// Older than the out-of-order window.
    TooOld,
    /// Timestamp outside of [`crate::model::time::TimeRange::STORABLE`].
    OutOfRange,
}

//! Errors of values that a protocol cannot make storable.
//!
//! The protocol returns them with the item; the message around it is well-formed. They name no wire
//! format, so that responses and metrics are the same for all protocols.

use crate::model::histogram::validate::InvalidHistogram;

/// Item that was decoded and has an invalid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidItem<E> {
    /// Timestamp of the item, ms; 0 if decoding ended before it.
    pub t: i64,
    /// Error of the value.
    pub reason: E,
}

/// Error of a native histogram.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// A list is longer than the decoder accepts (limit).
    #[error("more than {0} buckets, spans or custom values")]
    TooLong(usize),
    /// The histogram is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidHistogram),
}

//! What became of a write request that was one.

use crate::remote::refusal::Refusals;

/// How much is stored, and what is not.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Samples that are stored, those included that were stored before.
    pub samples: u64,
    /// What is not stored.
    pub refusals: Refusals,
}

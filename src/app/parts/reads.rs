//! Limits of reads.

use crate::remote::read::ReadLimits;
use std::time::Duration;

/// Limits of a read.
#[derive(Debug, Clone)]
pub(crate) struct ReadConfig {
    pub(crate) limits: ReadLimits,
    /// Maximum time to compute a response.
    pub(crate) timeout: Duration,
}

//! Result of the check.

/// Result of one scrape or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The scrape would be stored.
    Healthy,
    /// The scrape failed, or the target is invalid.
    Failed,
}

impl Verdict {
    /// Returns the result of both.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::Healthy { other } else { self }
    }
}

//! View of a read: the commits whose samples it sees.

use crate::tsdb::head::in_flight::batch_id::{BatchId, CommitNumber};

/// Commits that were published at one instant.
#[derive(Debug)]
pub struct CommitView {
    /// The commit that starts next. It and all later ones are not in the view.
    pub(super) next: CommitNumber,
    /// Earlier commits that were not published, ascending.
    pub(super) in_flight: Box<[CommitNumber]>,
}

impl CommitView {
    /// Returns `true` if the commit of `batch` was published.
    #[must_use]
    pub fn sees(&self, batch: BatchId) -> bool {
        let commit = batch.commit();
        commit < self.next && self.in_flight.binary_search(&commit).is_err()
    }

    /// Returns the oldest commit that is not in the view.
    pub(super) fn oldest_unseen(&self) -> CommitNumber {
        self.in_flight.first().copied().unwrap_or(self.next)
    }
}

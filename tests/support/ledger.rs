//! Record of what writers sent and a server acknowledged or rejected: what may and must be stored.

use std::sync::{Mutex, MutexGuard};

use super::points::Points;
use super::samples::LabelSet;
use super::wire::WriteRequest;

/// Ledger of a data directory, kept across kills and shared by all writers.
#[derive(Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: Points,
    acknowledged: Points,
    refused: Points,
}

impl Ledger {
    /// Records a request before it is sent.
    pub(crate) fn sending(&self, request: &WriteRequest) {
        self.state().sent.add_request(request);
    }

    /// Records a request with status 204.
    pub(crate) fn acknowledged(&self, request: &WriteRequest) {
        self.state().acknowledged.add_request(request);
    }

    /// Records a request that was rejected completely with status 400.
    pub(crate) fn refused(&self, request: &WriteRequest) {
        self.state().refused.add_request(request);
    }

    /// Number of acknowledged samples.
    pub(crate) fn acknowledged_count(&self) -> usize {
        self.state().acknowledged.count()
    }

    /// Returns the acknowledged samples, for a read that starts now.
    pub(crate) fn acknowledged_so_far(&self) -> Points {
        self.state().acknowledged.clone()
    }

    /// Returns `true` if a sample of the series was sent for `t`, regardless of its value.
    pub(crate) fn was_sent(&self, labels: &LabelSet, t: i64) -> bool {
        self.state().sent.get(labels, t).is_some()
    }

    /// Asserts that all acknowledged samples were returned, and none that were not sent or were
    /// rejected.
    pub(crate) fn check(&self, returned: &Points, when: &str) {
        let state = self.state();
        let lost = state.acknowledged.beyond(returned);
        assert!(lost.count() == 0, "{when}: acknowledged and lost: {lost:?}");
        returned.assert_within(&state.sent, when);
        let risen = returned.iter().find(|&(labels, t, _)| state.refused.get(labels, t).is_some());
        assert!(risen.is_none(), "{when}: refused, yet there: {risen:?}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no writer panicked")
    }
}

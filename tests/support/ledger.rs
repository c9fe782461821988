//! What writers sent to a server, what it acknowledged and what it refused: the measure of what may and must be there.

use std::sync::{Mutex, MutexGuard};

use super::points::Points;
use super::samples::LabelSet;
use super::wire::WriteRequest;

/// The account of one data directory, kept across kills; shared by all writers.
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
    /// To be called before a request goes out.
    pub(crate) fn sending(&self, request: &WriteRequest) {
        self.state().sent.add_request(request);
    }

    /// To be called when a request was answered with 204.
    pub(crate) fn acknowledged(&self, request: &WriteRequest) {
        self.state().acknowledged.add_request(request);
    }

    /// To be called when all of a request was answered with 400.
    pub(crate) fn refused(&self, request: &WriteRequest) {
        self.state().refused.add_request(request);
    }

    /// How many values were acknowledged so far.
    pub(crate) fn acknowledged_count(&self) -> usize {
        self.state().acknowledged.count()
    }

    /// Everything acknowledged so far, for a read that begins now.
    pub(crate) fn acknowledged_so_far(&self) -> Points {
        self.state().acknowledged.clone()
    }

    /// Whether a value of that series and time was sent; what it is is not looked at.
    pub(crate) fn was_sent(&self, labels: &LabelSet, t: i64) -> bool {
        self.state().sent.get(labels, t).is_some()
    }

    /// Panics unless everything acknowledged was returned exactly and nothing that was not sent, or was refused.
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

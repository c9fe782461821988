//! Sink of a provider for its groups.

use crate::discovery::groups::state::{ProviderId, Shared};
use crate::discovery::target_group::TargetGroup;
use std::sync::Arc;

/// Sink that adds, replaces and removes groups of one provider. After the provider has been
/// stopped, it ignores them.
#[derive(Debug, Clone)]
pub struct GroupSink {
    shared: Arc<Shared>,
    provider: ProviderId,
}

impl GroupSink {
    pub(in crate::discovery) fn new(shared: Arc<Shared>, provider: ProviderId) -> Self {
        Self { shared, provider }
    }

    /// Replaces the groups with the same sources. Groups without targets remove theirs.
    pub fn send(&self, groups: Vec<TargetGroup>) {
        self.shared.update(self.provider, groups);
    }
}

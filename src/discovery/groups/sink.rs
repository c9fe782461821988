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

#[cfg(test)]
impl GroupSink {
    /// Returns the sink of a provider without a task. Call it within a runtime.
    pub(crate) fn collecting() -> Self {
        use crate::config::file::discovery::DiscoveryConfig;
        use crate::discovery::groups::state::{Provider, State};
        use crate::discovery::metrics::DiscoveryMetrics;
        use crate::metrics::registry::Registry;
        let id = ProviderId(1);
        let mut state = State::default();
        state.providers.push(Provider {
            id,
            config: DiscoveryConfig::Static(Vec::new()),
            jobs: ["job".to_owned()].into(),
            groups: std::collections::BTreeMap::new(),
            is_inherited: false,
            task: tokio::spawn(async {}).abort_handle(),
        });
        let shared = Shared {
            state: parking_lot::Mutex::new(state),
            changed: tokio::sync::Notify::new(),
            metrics: DiscoveryMetrics::register(&mut Registry::new()),
        };
        Self::new(Arc::new(shared), id)
    }

    /// Returns the groups, sorted by source.
    pub(crate) fn groups(&self) -> Vec<Arc<TargetGroup>> {
        let state = self.shared.state.lock();
        state.providers.iter().flat_map(|provider| provider.groups.values().cloned()).collect()
    }
}

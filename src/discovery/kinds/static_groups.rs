//! Targets that the configuration lists.

use crate::config::file::discovery::static_groups::StaticGroup;
use crate::discovery::kinds::StartProvider;
use crate::discovery::target_group::{TargetGroup, address_labels};

/// Returns a provider of the groups. As in Prometheus, the source of a group is its position.
pub(crate) fn provider(groups: Vec<StaticGroup>) -> StartProvider {
    Box::new(|sink| {
        Box::pin(async move {
            let groups = groups.into_iter().zip(0usize..).map(|(group, i)| TargetGroup {
                source: i.to_string(),
                labels: group.labels,
                targets: group.targets.into_iter().map(address_labels).collect(),
            });
            sink.send(groups.collect());
        })
    })
}

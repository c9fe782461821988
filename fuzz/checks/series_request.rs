//! `thanos.SeriesRequest`: the selection is accepted or rejected without a panic; shards are
//! disjoint and complete.

use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::remote::external_labels::ExternalLabels;
use narthex::remote::pb::thanos as pb;
use narthex::remote::thanos::selection::{LabelRewrite, QueryShard, SeriesSelection};
use prost::Message;

/// Panics if the property does not hold.
pub(crate) fn check(message: &[u8]) {
    let Ok(request) = pb::SeriesRequest::decode(message) else { return };
    let Ok(external) = ExternalLabels::new([("cluster", "a"), ("replica", "0")]) else { return };
    if let Ok(SeriesSelection::Matching(left)) =
        SeriesSelection::from_wire(&request.matchers, &external)
    {
        assert!(left.len() <= request.matchers.len());
        assert!(
            left.iter().all(|matcher| matcher.name() != "cluster" && matcher.name() != "replica")
        );
    }
    let Some(series) = series() else { return };
    let naming = LabelRewrite::new(&external, &request.without_replica_labels);
    if let Some(named) = naming.apply(&series) {
        assert!(request.without_replica_labels.iter().all(|name| named.get(name).is_none()));
    }
    let Some(wire) = &request.shard_info else { return };
    if (1..=8).contains(&wire.total_shards) {
        let of = |shard_index| {
            QueryShard::from_wire(Some(&pb::ShardInfo { shard_index, ..wire.clone() }))
        };
        let shards: Result<Vec<_>, _> = (0..wire.total_shards).map(of).collect();
        if let Ok(shards) = shards {
            let having = shards
                .into_iter()
                .flatten()
                .filter_map(|mut shard| shard.contains(&series).then_some(()));
            assert_eq!(having.count(), 1);
        }
    } else if let Ok(Some(mut shard)) = QueryShard::from_wire(Some(wire)) {
        let _ = shard.contains(&series);
    }
}

fn series() -> Option<Labels> {
    [("__name__", "up"), ("cluster", "own"), ("job", "j"), ("zone", "é")]
        .into_iter()
        .collect::<LabelsBuilder<'_>>()
        .build()
        .ok()
}

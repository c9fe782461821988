//! Targets with equal labels, in one job or in several: their samples collide.

use crate::model::labels::Labels;
use crate::scrape::pool::job::TargetSpec;
use crate::scrape::pool::scrape_pool::ScrapePool;
use std::collections::HashMap;
use std::sync::Arc;

/// Targets of a pool whose labels another target has, too.
#[derive(Default)]
struct EqualTargets {
    count: usize,
    example: Option<(Arc<TargetSpec>, Arc<TargetSpec>)>,
}

/// Counts the targets with equal labels of each pool, and warns if their number is new. Of two
/// targets, the one of the later pool counts.
pub(in crate::scrape) fn report<'a>(pools: impl Iterator<Item = &'a mut ScrapePool>) {
    let mut pools: Vec<&mut ScrapePool> = pools.collect();
    let equal = find(&pools);
    for (pool, equal) in pools.iter_mut().zip(equal) {
        pool.note_equal_labels(equal.count, equal.example.as_ref());
    }
}

fn find(pools: &[&mut ScrapePool]) -> Vec<EqualTargets> {
    let mut known: HashMap<&Labels, &Arc<TargetSpec>> = HashMap::new();
    let mut found = Vec::with_capacity(pools.len());
    for pool in pools {
        let mut equal = EqualTargets::default();
        for target in pool.targets() {
            if let Some(other) = known.insert(&target.labels, target) {
                equal.count += 1;
                equal.example.get_or_insert_with(|| (Arc::clone(target), Arc::clone(other)));
            }
        }
        found.push(equal);
    }
    found
}

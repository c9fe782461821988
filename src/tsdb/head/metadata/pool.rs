//! Values of metadata that are shared: thousands of series have the same type, unit and help text.
//!
//! Lock: a mutex of its own, a leaf, held for one look-up; now and then for a walk over all values.

use crate::model::metadata::Metadata;
use hashbrown::HashSet;
use parking_lot::Mutex;
use std::sync::Arc;

/// Below this many values nothing is looked for that could go.
const MIN_SWEEP_LEN: usize = 1024;

/// Each value once.
#[derive(Debug, Default)]
pub struct MetadataPool {
    values: Mutex<PoolValues>,
}

#[derive(Debug, Default)]
struct PoolValues {
    shared: HashSet<Arc<Metadata>>,
    /// How many there were that are in use, when that was last looked for.
    in_use: usize,
}

impl MetadataPool {
    /// The shared value that equals this one.
    #[must_use]
    pub fn intern(&self, metadata: &Metadata) -> Arc<Metadata> {
        let mut values = self.values.lock();
        if let Some(shared) = values.shared.get(metadata) {
            return Arc::clone(shared);
        }
        if values.shared.len() >= MIN_SWEEP_LEN.max(2 * values.in_use) {
            values.shared.retain(|shared| Arc::strong_count(shared) > 1);
            values.in_use = values.shared.len();
        }
        let shared = Arc::new(metadata.clone());
        values.shared.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::{MIN_SWEEP_LEN, MetadataPool};
    use crate::model::metadata::Metadata;
    use std::sync::Arc;

    #[test]
    fn equal_values_are_one_and_unused_ones_go() {
        let pool = MetadataPool::default();
        let with = |help: usize| Metadata { help: help.to_string(), ..Metadata::default() };
        let kept: Vec<_> = (0..10).map(|help| pool.intern(&with(help))).collect();
        (0..10).for_each(|help| assert!(Arc::ptr_eq(&kept[help], &pool.intern(&with(help)))));
        (10..10 * MIN_SWEEP_LEN).for_each(|help| drop(pool.intern(&with(help))));
        let shared = pool.values.lock().shared.len();
        assert!((10..=MIN_SWEEP_LEN).contains(&shared), "{shared}");
        (0..10).for_each(|help| assert!(Arc::ptr_eq(&kept[help], &pool.intern(&with(help)))));
    }
}

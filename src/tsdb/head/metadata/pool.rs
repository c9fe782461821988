//! Pool of metadata values: thousands of series share the same type, unit and help text.
//!
//! The mutex is a leaf lock, held for one lookup and occasionally for a pass over all values.

use crate::model::metadata::Metadata;
use hashbrown::HashSet;
use parking_lot::Mutex;
use std::sync::Arc;

/// Number of values below which no unused ones are removed.
const MIN_SWEEP_LEN: usize = 1024;

/// Set of distinct values.
#[derive(Debug, Default)]
pub struct MetadataPool {
    values: Mutex<PoolValues>,
}

#[derive(Debug, Default)]
struct PoolValues {
    shared: HashSet<Arc<Metadata>>,
    /// Number of used values at the last sweep.
    in_use: usize,
}

impl MetadataPool {
    /// Returns the shared value equal to `metadata`, which is added if it does not exist.
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
    fn equal_values_are_shared_and_unused_removed() {
        let pool = MetadataPool::default();
        let with = |help: usize| Metadata { help: help.to_string(), ..Metadata::default() };
        let used: Vec<_> = (0..10).map(|help| pool.intern(&with(help))).collect();
        (0..10).for_each(|help| assert!(Arc::ptr_eq(&used[help], &pool.intern(&with(help)))));
        (10..10 * MIN_SWEEP_LEN).for_each(|help| drop(pool.intern(&with(help))));
        let shared = pool.values.lock().shared.len();
        assert!((10..=MIN_SWEEP_LEN).contains(&shared), "{shared}");
        (0..10).for_each(|help| assert!(Arc::ptr_eq(&used[help], &pool.intern(&with(help)))));
    }
}

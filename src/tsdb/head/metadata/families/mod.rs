//! Metadata of metric families, which remote write 1.0 sends every minute for all families of a
//! sender.
//!
//! A series gets the metadata of the family with its own name. Without one, it gets that of the
//! family whose type and name match its name ([`crate::model::metric_family`]): `a_count` gets that
//! of the summary `a` only while there is no family `a_count`. The order of arrival does not
//! matter, because a new family takes over its series.
//!
//! # Conflicts
//! Senders, or targets of different versions behind one sender, may disagree about a family. Each
//! change costs a record per series, so they must not alternate forever. A new value takes effect
//! at once. A previous value takes effect if it arrives twice and the current one does not arrive
//! in between. After `MAX_PREVIOUS` changes every value is treated as a previous one.
//!
//! # Limits
//! Beyond [`MAX_FAMILIES`] and [`MAX_FAMILY_BYTES`] a new family is rejected, for existing series
//! too, and families without series are removed from time to time.
//!
//! # Locking
//! The lock is a leaf, held for a lookup or a change, and for a pass over all families when there
//! are too many.

use crate::model::metadata::{Metadata, MetricType};
use crate::model::metric_family::{guess_family, is_member, suffix_family};
use crate::tsdb::head::metadata::pool::MetadataPool;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::RwLock;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum number of families.
pub const MAX_FAMILIES: usize = 100_000;
/// Maximum size of the names, units and help texts of all families, bytes.
pub const MAX_FAMILY_BYTES: usize = 64 << 20;

/// Maximum number of previous values, and of competing values, per family.
const MAX_PREVIOUS: usize = 8;
/// Number of rejections after which families without series are removed again.
const REJECTIONS_BETWEEN_SWEEPS: usize = 10_000;

/// Error of adding a family or a longer value when a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {MAX_FAMILIES} metric families with {MAX_FAMILY_BYTES} bytes is reached")]
pub struct FamilyLimitReached;

/// Effect of a received value on its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyUpdate {
    /// The current value stays.
    Unchanged,
    /// The value is current now and must be set on the series.
    Changed,
}

/// Metric families with their current metadata.
#[derive(Debug, Default)]
pub struct MetricFamilies {
    table: RwLock<FamilyTable>,
    hasher: RandomState,
    rejections: AtomicUsize,
}

#[derive(Debug, Default)]
struct FamilyTable {
    families: HashMap<Box<str>, Family>,
    bytes: usize,
}

/// Current value of a family, and hashes of other values.
#[derive(Debug)]
struct Family {
    metadata: Arc<Metadata>,
    /// Hashes of values that were current before.
    previous: Vec<u64>,
    /// Hashes of values received since the current one was received last.
    competing: Vec<u64>,
}

impl MetricFamilies {
    /// Updates a family with a received value.
    ///
    /// # Errors
    /// [`FamilyLimitReached`]; nothing has changed then.
    pub fn update(
        &self,
        pool: &MetadataPool,
        name: &str,
        metadata: &Metadata,
    ) -> Result<FamilyUpdate, FamilyLimitReached> {
        let agrees =
            self.table.read().families.get(name).map(|family| family.agrees_with(metadata));
        if agrees == Some(true) {
            return Ok(FamilyUpdate::Unchanged);
        }
        let hash = self.hasher.hash_one(metadata);
        let mut table = self.table.write();
        let Some(family) = table.families.get_mut(name) else {
            return table.add(name, pool.intern(metadata));
        };
        if !family.observe(metadata, hash) {
            return Ok(FamilyUpdate::Unchanged);
        }
        let (old, new) = (string_bytes(&family.metadata), string_bytes(metadata));
        let previous_hash = self.hasher.hash_one(&*family.metadata);
        family.replace(pool.intern(metadata), hash, previous_hash);
        table.bytes = table.bytes - old + new;
        Ok(FamilyUpdate::Changed)
    }

    /// Returns the metadata of a series with this name.
    #[must_use]
    pub fn for_series(&self, name: &str) -> Option<Arc<Metadata>> {
        let table = self.table.read();
        let family = table.families.get(name).or_else(|| {
            let parent = suffix_family(name)?;
            table
                .families
                .get(parent)
                .filter(|family| is_member(name, parent, family.metadata.metric_type))
        });
        family.map(|family| Arc::clone(&family.metadata))
    }

    /// Returns the metadata that a series with this name gets from this family; `None` if another
    /// family applies.
    #[must_use]
    pub fn for_series_in_family(&self, name: &str, family: &str) -> Option<Arc<Metadata>> {
        let table = self.table.read();
        if name != family && table.families.contains_key(name) {
            return None;
        }
        let candidate = table.families.get(family)?;
        let is_part = name == family || is_member(name, family, candidate.metadata.metric_type);
        is_part.then(|| Arc::clone(&candidate.metadata))
    }

    /// Returns the name of the family to which a series with metadata of this type belongs. A guess
    /// if the family is not stored.
    #[must_use]
    pub fn family_name<'n>(&self, series: &'n str, metric_type: MetricType) -> &'n str {
        let table = self.table.read();
        if table.families.contains_key(series) {
            return series;
        }
        match suffix_family(series) {
            Some(parent)
                if is_member(series, parent, metric_type)
                    && table.families.contains_key(parent) =>
            {
                parent
            }
            _ => guess_family(series, metric_type),
        }
    }

    /// Removes a family. If it arrives again, it counts as new.
    pub fn remove(&self, name: &str) {
        let mut table = self.table.write();
        if let Some((name, family)) = table.families.remove_entry(name) {
            table.bytes -= name.len() + string_bytes(&family.metadata);
        }
    }

    /// Counts a rejection. Returns `true` if [`Self::retain`] is due.
    #[must_use]
    pub fn is_sweep_due(&self) -> bool {
        self.rejections.fetch_add(1, Ordering::Relaxed).is_multiple_of(REJECTIONS_BETWEEN_SWEEPS)
    }

    /// Removes the families, by name and type, for which `has_series` returns `false`.
    pub fn retain(&self, has_series: impl Fn(&str, MetricType) -> bool) {
        let families: Vec<(Box<str>, MetricType)> = {
            let table = self.table.read();
            table
                .families
                .iter()
                .map(|(name, family)| (name.clone(), family.metadata.metric_type))
                .collect()
        };
        for (name, metric_type) in families {
            if !has_series(&name, metric_type) {
                self.remove(&name);
            }
        }
    }

    /// Number of stored families.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.read().families.len()
    }

    /// Returns `true` if there are no families.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FamilyTable {
    fn add(
        &mut self,
        name: &str,
        metadata: Arc<Metadata>,
    ) -> Result<FamilyUpdate, FamilyLimitReached> {
        let bytes = self.bytes + name.len() + string_bytes(&metadata);
        if self.families.len() >= MAX_FAMILIES || bytes > MAX_FAMILY_BYTES {
            return Err(FamilyLimitReached);
        }
        self.bytes = bytes;
        self.families
            .insert(name.into(), Family { metadata, previous: Vec::new(), competing: Vec::new() });
        Ok(FamilyUpdate::Changed)
    }
}

impl Family {
    /// Returns `true` if the value is current and no other was received since.
    fn agrees_with(&self, metadata: &Metadata) -> bool {
        *self.metadata == *metadata && self.competing.is_empty()
    }

    /// Records a received value. Returns `true` if it must become the current one.
    fn observe(&mut self, metadata: &Metadata, hash: u64) -> bool {
        if *self.metadata == *metadata {
            self.competing.clear();
            return false;
        }
        let is_new = self.previous.len() < MAX_PREVIOUS && !self.previous.contains(&hash);
        if is_new || self.competing.contains(&hash) {
            return true;
        }
        if self.competing.len() == MAX_PREVIOUS {
            self.competing.clear();
        }
        self.competing.push(hash);
        false
    }

    /// Makes `metadata`, with this hash, the current value; `previous_hash` is the hash of the old
    /// one.
    fn replace(&mut self, metadata: Arc<Metadata>, hash: u64, previous_hash: u64) {
        self.metadata = metadata;
        self.competing.clear();
        self.previous.retain(|previous| *previous != hash);
        if !self.previous.contains(&previous_hash) && self.previous.len() < MAX_PREVIOUS {
            self.previous.push(previous_hash);
        }
    }
}

fn string_bytes(metadata: &Metadata) -> usize {
    metadata.unit.len() + metadata.help.len()
}

#[cfg(test)]
mod tests;

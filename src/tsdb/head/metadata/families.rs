//! What was sent for whole metric families, as remote write 1.0 does it: every minute, all families of the sender.
//!
//! A series gets the metadata of the family that has its own name; where none has, that of the family of whose type and name its name
//! is a part ([`crate::model::metric_family`]): `a_count` gets that of the summary `a` only while no family `a_count` is known. Which of the
//! two was sent first does not matter in the end, as a family that becomes known takes its series over.
//!
//! Senders may disagree, and one sender may have several texts of a family, as its targets are of different versions: they would
//! take turns for ever, each turn a record for every series of the family. So a value that is new takes effect at once; one
//! that the family had before takes effect when it comes twice without the one that stands in between. A family that has changed
//! `MAX_PREVIOUS` times takes every value for such a one.
//!
//! There are limits ([`MAX_FAMILIES`], [`MAX_FAMILY_BYTES`]): beyond them a new family is refused, also for the series that are there. When
//! that happens, families of which no series is left go now and then.
//!
//! Lock: one of its own, a leaf, held for a look-up or a change, and for a walk over all families when they have become too many.

use crate::model::metadata::{Metadata, MetricType};
use crate::model::metric_family::{guess_family, is_member, suffix_family};
use crate::tsdb::head::metadata::pool::MetadataPool;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::RwLock;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No more families than this are remembered.
pub const MAX_FAMILIES: usize = 100_000;
/// No more bytes than this of their names, units and help texts.
pub const MAX_FAMILY_BYTES: usize = 64 << 20;

/// How many values a family's memory holds that it had before, and as many that came since the one that stands.
const MAX_PREVIOUS: usize = 8;
/// After so many refusals families without series are looked for again.
const REFUSALS_BETWEEN_SWEEPS: usize = 10_000;

/// No new family is taken, or no longer text: there is as much as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {MAX_FAMILIES} metric families with {MAX_FAMILY_BYTES} bytes is reached")]
pub struct FamilyLimitReached;

/// What became of a family's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyUpdate {
    /// Nothing is to be done: it stands, or another one stands for the time being.
    Unchanged,
    /// It stands from now on; the series have to get it.
    Changed,
}

/// The families that are remembered.
#[derive(Debug, Default)]
pub struct MetricFamilies {
    table: RwLock<FamilyTable>,
    hasher: RandomState,
    refusals: AtomicUsize,
}

#[derive(Debug, Default)]
struct FamilyTable {
    families: HashMap<Box<str>, Family>,
    bytes: usize,
}

/// Values other than the one that stands are remembered by their hash.
#[derive(Debug)]
struct Family {
    metadata: Arc<Metadata>,
    /// Those that stood before.
    previous: Vec<u64>,
    /// Those that came since the one that stands came last.
    competing: Vec<u64>,
}

impl MetricFamilies {
    /// Takes what was sent for a family.
    ///
    /// # Errors
    /// [`FamilyLimitReached`]; nothing has changed then.
    pub fn update(
        &self,
        pool: &MetadataPool,
        name: &str,
        metadata: &Metadata,
    ) -> Result<FamilyUpdate, FamilyLimitReached> {
        let known = self.table.read().families.get(name).map(|family| family.agrees_with(metadata));
        if known == Some(true) {
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
        let stood = self.hasher.hash_one(&*family.metadata);
        family.replace(pool.intern(metadata), hash, stood);
        table.bytes = table.bytes - old + new;
        Ok(FamilyUpdate::Changed)
    }

    /// What a series of this name gets.
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

    /// What a series of this name gets of this family; `None` where another one stands for it.
    #[must_use]
    pub fn for_series_in_family(&self, name: &str, family: &str) -> Option<Arc<Metadata>> {
        let table = self.table.read();
        if name != family && table.families.contains_key(name) {
            return None;
        }
        let family_of_it = table.families.get(family)?;
        let is_of_it = name == family || is_member(name, family, family_of_it.metadata.metric_type);
        is_of_it.then(|| Arc::clone(&family_of_it.metadata))
    }

    /// The name of the family that a series with metadata of this type is of, as far as can be told.
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

    /// Forgets a family, which is new when it comes again.
    pub fn remove(&self, name: &str) {
        let mut table = self.table.write();
        if let Some((name, family)) = table.families.remove_entry(name) {
            table.bytes -= name.len() + string_bytes(&family.metadata);
        }
    }

    /// Counts a refusal; whether it is time for [`Self::retain`].
    #[must_use]
    pub fn is_sweep_due(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(REFUSALS_BETWEEN_SWEEPS)
    }

    /// Forgets the families, given by name and type, of which `has_series` does not say that there are series.
    pub fn retain(&self, has_series: impl Fn(&str, MetricType) -> bool) {
        let listed: Vec<(Box<str>, MetricType)> = {
            let table = self.table.read();
            table
                .families
                .iter()
                .map(|(name, family)| (name.clone(), family.metadata.metric_type))
                .collect()
        };
        for (name, metric_type) in listed {
            if !has_series(&name, metric_type) {
                self.remove(&name);
            }
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.read().families.len()
    }

    /// Whether none is.
    #[must_use]
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
    /// Whether this is what stands and nothing is to be noted.
    fn agrees_with(&self, metadata: &Metadata) -> bool {
        *self.metadata == *metadata && self.competing.is_empty()
    }

    /// Notes what came; whether it is to stand from now on.
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

    /// Lets another one stand, of that hash; `stood` is that of the one before.
    fn replace(&mut self, metadata: Arc<Metadata>, hash: u64, stood: u64) {
        self.metadata = metadata;
        self.competing.clear();
        self.previous.retain(|earlier| *earlier != hash);
        if !self.previous.contains(&stood) && self.previous.len() < MAX_PREVIOUS {
            self.previous.push(stood);
        }
    }
}

fn string_bytes(metadata: &Metadata) -> usize {
    metadata.unit.len() + metadata.help.len()
}

#[cfg(test)]
mod tests {
    use super::{
        FamilyLimitReached, FamilyUpdate, MAX_FAMILIES, MAX_FAMILY_BYTES, MAX_PREVIOUS,
        MetricFamilies,
    };
    use crate::model::metadata::{Metadata, MetricType};
    use crate::tsdb::head::metadata::pool::MetadataPool;

    #[derive(Default)]
    struct Bench {
        pool: MetadataPool,
        families: MetricFamilies,
    }

    impl Bench {
        fn update(
            &self,
            name: &str,
            metric_type: MetricType,
            help: &str,
        ) -> Result<FamilyUpdate, FamilyLimitReached> {
            let metadata = Metadata { metric_type, unit: String::new(), help: help.to_owned() };
            self.families.update(&self.pool, name, &metadata)
        }

        fn help(&self, series: &str) -> Option<String> {
            self.families.for_series(series).map(|metadata| metadata.help.clone())
        }
    }

    #[test]
    fn a_family_of_the_very_name_goes_before_one_of_which_it_is_a_part() {
        let bench = Bench::default();
        bench.update("a", MetricType::Summary, "summary").unwrap();
        assert_eq!(bench.help("a_count").as_deref(), Some("summary"));
        bench.update("a_count", MetricType::Gauge, "own").unwrap();
        assert_eq!(bench.help("a_count").as_deref(), Some("own"));
        assert_eq!(bench.help("a_sum").as_deref(), Some("summary"));
        assert_eq!(bench.help("a_bucket"), None);
        assert_eq!(bench.help("a_count_total"), None);
        bench.families.remove("a_count");
        assert_eq!(bench.help("a_count").as_deref(), Some("summary"));
    }

    #[test]
    fn a_new_text_stands_at_once() {
        let bench = Bench::default();
        for help in ["1", "2", "3"] {
            assert_eq!(bench.update("a", MetricType::Gauge, help), Ok(FamilyUpdate::Changed));
            assert_eq!(bench.update("a", MetricType::Gauge, help), Ok(FamilyUpdate::Unchanged));
        }
    }

    #[test]
    fn senders_that_disagree_do_not_take_turns_for_ever() {
        let bench = Bench::default();
        for senders in [2, 3, MAX_PREVIOUS - 1, MAX_PREVIOUS, 3 * MAX_PREVIOUS] {
            let name = format!("of_{senders}");
            let mut changes = 0;
            for round in 0..50 {
                for sender in 0..senders {
                    let learned =
                        bench.update(&name, MetricType::Gauge, &sender.to_string()).unwrap();
                    changes += usize::from(learned == FamilyUpdate::Changed);
                    assert!(
                        round < 3 || learned == FamilyUpdate::Unchanged,
                        "{senders} senders, round {round}"
                    );
                }
            }
            assert!(changes <= MAX_PREVIOUS + 2, "{senders} senders: {changes} changes");
        }
    }

    #[test]
    fn a_text_that_stood_before_comes_back_when_the_other_is_gone() {
        let bench = Bench::default();
        let learn = |help| bench.update("a", MetricType::Gauge, help).unwrap();
        assert_eq!([learn("old"), learn("new")], [FamilyUpdate::Changed; 2]);
        assert_eq!(
            [learn("old"), learn("new"), learn("old"), learn("new")],
            [FamilyUpdate::Unchanged; 4]
        );
        assert_eq!([learn("old"), learn("old")], [FamilyUpdate::Unchanged, FamilyUpdate::Changed]);
        assert_eq!(bench.help("a").as_deref(), Some("old"));
        // The one that stands is gone, and two others alternate.
        assert_eq!(learn("third"), FamilyUpdate::Changed);
        assert_eq!(
            [learn("old"), learn("new"), learn("old")],
            [FamilyUpdate::Unchanged, FamilyUpdate::Unchanged, FamilyUpdate::Changed]
        );
    }

    #[test]
    fn families_are_limited_in_number_and_in_bytes() {
        let bench = Bench::default();
        let long = "h".repeat(MAX_FAMILY_BYTES / 4);
        for name in ["a", "b", "c"] {
            bench.update(name, MetricType::Gauge, &long).unwrap();
        }
        assert_eq!(bench.update("d", MetricType::Gauge, &long), Err(FamilyLimitReached));
        bench.families.remove("b");
        bench.update("d", MetricType::Gauge, &long).unwrap();
        bench.families.retain(|_, _| false);
        assert_eq!(bench.families.table.read().bytes, 0);
        for i in 0..MAX_FAMILIES {
            bench.update(&i.to_string(), MetricType::Gauge, "").unwrap();
        }
        assert_eq!(bench.update("one more", MetricType::Gauge, ""), Err(FamilyLimitReached));
        assert_eq!(bench.update("1", MetricType::Gauge, ""), Ok(FamilyUpdate::Unchanged));
        assert!(bench.families.is_sweep_due() && !bench.families.is_sweep_due());
        bench.families.retain(|name, _| name != "5");
        assert_eq!(bench.update("one more", MetricType::Gauge, ""), Ok(FamilyUpdate::Changed));
    }
}

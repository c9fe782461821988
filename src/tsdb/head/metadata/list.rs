//! The metadata of the head's series, gathered by metric family: what `/api/v1/metadata` shows.
//!
//! A family is named as it was sent, where it was sent by name and that is still remembered. Otherwise the name is that of the
//! series, without the suffix that the type has for parts of a family (`_bucket`, `_sum`, …); counters and info metrics keep theirs.
//!
//! Locks: one series' mutex at a time, for a look at its metadata.

use crate::model::labels::METRIC_NAME;
use crate::model::metadata::{Metadata, MetricType};
use crate::model::metric_family::series_names;
use crate::tsdb::head::Head;
use crate::tsdb::head::series::HeadSeries;
use hashbrown::HashMap;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The types with suffixes.
const COMPOUND: [MetricType; 5] = [
    MetricType::Counter,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
];

/// Families by name, of each the different values that its series have, in a fixed order.
pub type FamilyList = BTreeMap<String, Vec<Arc<Metadata>>>;

/// The metadata of all series.
#[must_use]
pub fn list_all(head: &Head) -> FamilyList {
    let mut found = FamilyCollector::default();
    for shard in head.series.shards() {
        shard.iter().for_each(|series| found.add(series));
    }
    found.group_by_family(head)
}

/// The metadata of one family; empty where no series of it has any.
#[must_use]
pub fn list_family(head: &Head, family: &str) -> FamilyList {
    let names: HashSet<String> =
        COMPOUND.into_iter().flat_map(|kind| series_names(family, kind)).collect();
    let mut found = FamilyCollector::default();
    for name in names {
        for series in head.postings().postings(METRIC_NAME, &name) {
            if let Some(series) = head.series.get_by_ref(series) {
                found.add(&series);
            }
        }
    }
    let mut families = found.group_by_family(head);
    families.retain(|name, _| name == family);
    families
}

/// Which names of series have which values; a value is found by its address, as equal ones are one.
#[derive(Default)]
struct FamilyCollector {
    values: HashMap<usize, ValueNames>,
}

struct ValueNames {
    /// Held, so that no other value gets this address.
    metadata: Arc<Metadata>,
    names: hashbrown::HashSet<Box<str>>,
}

impl FamilyCollector {
    fn add(&mut self, series: &HeadSeries) {
        let state = series.state.lock();
        let Some(metadata) = state.metadata.as_ref().filter(|_| !state.is_collected) else {
            return;
        };
        let Some(name) = series.labels.get(METRIC_NAME) else { return };
        let names = self.values.entry(Arc::as_ptr(metadata).addr()).or_insert_with(|| ValueNames {
            metadata: Arc::clone(metadata),
            names: hashbrown::HashSet::default(),
        });
        if !names.names.contains(name) {
            names.names.insert(name.into());
        }
    }

    fn group_by_family(self, head: &Head) -> FamilyList {
        let mut families = FamilyList::new();
        for ValueNames { metadata, names } in self.values.into_values() {
            for name in names {
                let family = head.metadata.families.family_name(&name, metadata.metric_type);
                let values = families.entry(family.to_owned()).or_default();
                if !values.contains(&metadata) {
                    values.push(Arc::clone(&metadata));
                }
            }
        }
        for values in families.values_mut() {
            values.sort_by(|a, b| order(a).cmp(&order(b)));
        }
        families
    }
}

fn order(metadata: &Metadata) -> impl Ord + '_ {
    (metadata.metric_type.as_str(), &metadata.unit, &metadata.help)
}

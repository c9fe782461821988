//! Metadata of the head's series by metric family, for `/api/v1/metadata`.
//!
//! A family has the name under which it was sent, if that is still stored. Otherwise the name is
//! that of the series without the suffix of its type (`_bucket`, `_sum`, …); counters and info
//! metrics keep their suffix.
//!
//! Locks one series mutex at a time, to read the metadata.

use crate::model::labels::METRIC_NAME;
use crate::model::metadata::{Metadata, MetricType};
use crate::model::metric_family::series_names;
use crate::tsdb::head::Head;
use crate::tsdb::head::metadata::HeadMetadata;
use crate::tsdb::head::series::HeadSeries;
use hashbrown::HashMap;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Metric types with suffixes.
const COMPOUND: [MetricType; 5] = [
    MetricType::Counter,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
];

/// Distinct metadata values of each family, by family name; the values are in a fixed order.
pub type FamilyList = BTreeMap<String, Vec<Arc<Metadata>>>;

/// Returns the metadata of all series.
#[must_use]
pub fn list_all(head: &Head) -> FamilyList {
    let mut collector = FamilyCollector::default();
    for shard in head.series.shards() {
        shard.iter().for_each(|series| collector.add(series));
    }
    collector.group_by_family(head.metadata())
}

/// Returns the metadata of one family; empty if none of its series has any.
#[must_use]
pub fn list_family(head: &Head, family: &str) -> FamilyList {
    let names: HashSet<String> =
        COMPOUND.into_iter().flat_map(|metric_type| series_names(family, metric_type)).collect();
    let mut collector = FamilyCollector::default();
    for name in names {
        for series_ref in head.series.postings().postings(METRIC_NAME, &name) {
            if let Some(series) = head.series.get_by_ref(series_ref) {
                collector.add(&series);
            }
        }
    }
    let mut families = collector.group_by_family(head.metadata());
    families.retain(|name, _| name == family);
    families
}

/// Collector of the names of series per metadata value. Values are compared by address, because
/// equal values are shared.
#[derive(Default)]
struct FamilyCollector {
    values: HashMap<usize, ValueNames>,
}

struct ValueNames {
    /// Keeps the address from being reused.
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

    fn group_by_family(self, metadata_store: &HeadMetadata) -> FamilyList {
        let mut families = FamilyList::new();
        for ValueNames { metadata, names } in self.values.into_values() {
            for name in names {
                let family = metadata_store.families.family_name(&name, metadata.metric_type);
                let values = families.entry(family.to_owned()).or_default();
                if !values.contains(&metadata) {
                    values.push(Arc::clone(&metadata));
                }
            }
        }
        for values in families.values_mut() {
            values.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        }
        families
    }
}

fn sort_key(metadata: &Metadata) -> impl Ord + '_ {
    (metadata.metric_type.as_str(), &metadata.unit, &metadata.help)
}

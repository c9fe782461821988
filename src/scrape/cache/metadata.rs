//! Metadata of the metric families that a target exposes.
//!
//! An entry is kept for ten scrapes after its family vanished, as in Prometheus. Changes are
//! pending until a scrape is stored, so that a failed scrape does not hide them from storage.
//!
//! # Limit
//! At most [`MAX_FAMILIES`] families are kept; metadata of others is ignored.

use crate::model::metadata::{Metadata, MetadataRef, MetricType};
use std::collections::HashMap;

/// Maximum number of families of a target.
pub const MAX_FAMILIES: usize = 100_000;
/// Scrapes for which the metadata of a vanished family is kept.
const KEPT_SCRAPES: u64 = 10;

/// Metadata of one target by family name.
#[derive(Debug, Default)]
pub struct MetadataCache {
    families: HashMap<Box<str>, Family, foldhash::fast::RandomState>,
    /// Number of stored scrapes.
    scrapes: u64,
}

#[derive(Debug)]
struct Family {
    metadata: Metadata,
    /// Value of `scrapes` when the family was last exposed.
    last_seen: u64,
    /// `true` if storage does not have this metadata yet.
    is_pending: bool,
}

/// Change of one part of the metadata of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataUpdate<'a> {
    /// Type of the family.
    Type(MetricType),
    /// Help text.
    Help(&'a str),
    /// Unit.
    Unit(&'a str),
}

/// Size of metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataSize {
    /// Number of families.
    pub entries: usize,
    /// Length of the types, help texts and units, bytes.
    pub bytes: usize,
}

impl MetadataSize {
    /// Returns the sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { entries: self.entries + other.entries, bytes: self.bytes + other.bytes }
    }
}

impl MetadataCache {
    /// Sets a part of the metadata of a family. Costs no allocation if nothing changes.
    pub fn set(&mut self, family: &str, update: MetadataUpdate<'_>) {
        let scrapes = self.scrapes;
        let is_full = self.families.len() >= MAX_FAMILIES;
        let entry = match self.families.get_mut(family) {
            Some(entry) => entry,
            None if is_full => return,
            None => self.families.entry(family.into()).or_insert(Family {
                metadata: Metadata::default(),
                last_seen: scrapes,
                is_pending: true,
            }),
        };
        entry.last_seen = scrapes;
        let metadata = &mut entry.metadata;
        let is_changed = match update {
            MetadataUpdate::Type(kind) => {
                std::mem::replace(&mut metadata.metric_type, kind) != kind
            }
            MetadataUpdate::Help(help) => replace_text(&mut metadata.help, help),
            MetadataUpdate::Unit(unit) => replace_text(&mut metadata.unit, unit),
        };
        entry.is_pending |= is_changed;
    }

    /// Returns the metadata of a family.
    #[must_use]
    pub fn get(&self, family: &str) -> Option<&Metadata> {
        self.families.get(family).map(|entry| &entry.metadata)
    }

    /// Returns the metadata of a family and `true` if it changed since the last stored scrape.
    #[must_use]
    pub fn get_with_change(&self, family: &str) -> Option<(MetadataRef<'_>, bool)> {
        let entry = self.families.get(family)?;
        let Metadata { metric_type, unit, help } = &entry.metadata;
        Some((MetadataRef { metric_type: *metric_type, unit, help }, entry.is_pending))
    }

    /// Ends a scrape that was stored: nothing is pending, and families that vanished long ago are
    /// forgotten.
    pub fn end_stored(&mut self) {
        let scrapes = self.scrapes;
        self.families.retain(|_, entry| {
            entry.is_pending = false;
            scrapes - entry.last_seen <= KEPT_SCRAPES
        });
        self.scrapes += 1;
    }

    /// Iterates over families and their metadata, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.families.iter().map(|(family, entry)| (&**family, &entry.metadata))
    }

    /// Returns the size of the metadata.
    #[must_use]
    pub fn size(&self) -> MetadataSize {
        let bytes = self.families.values().map(|Family { metadata, .. }| {
            metadata.help.len() + metadata.unit.len() + metadata.metric_type.as_str().len()
        });
        MetadataSize { entries: self.families.len(), bytes: bytes.sum() }
    }

    /// Returns the number of families.
    #[must_use]
    pub fn len(&self) -> usize {
        self.families.len()
    }

    /// Returns `true` if there is no family.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }
}

/// Replaces a text and returns `true` if it differs.
fn replace_text(text: &mut String, new: &str) -> bool {
    let is_changed = text != new;
    if is_changed {
        text.clear();
        text.push_str(new);
    }
    is_changed
}

/// Returns `true` if a series with this metric name belongs to a family: its name is that of the
/// family, or has a suffix of the family's type.
#[must_use]
pub fn is_in_family(metric: &str, family: &str, metric_type: MetricType) -> bool {
    let suffixes: &[&str] = match metric_type {
        MetricType::Counter => &["_total"],
        MetricType::Histogram => &["_bucket", "_sum", "_count"],
        MetricType::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricType::Summary => &["_sum", "_count"],
        MetricType::Info => &["_info"],
        MetricType::Unknown | MetricType::Gauge | MetricType::Stateset => &[],
    };
    let Some(suffix) = metric.strip_prefix(family) else { return false };
    // In the text format, the name of a family may have the suffix itself.
    let has_own = matches!(metric_type, MetricType::Counter | MetricType::Info)
        && suffixes.iter().any(|own| family.ends_with(own));
    suffix.is_empty() || (suffixes.contains(&suffix) && !has_own)
}

#[cfg(test)]
mod tests {
    use super::{MetadataCache, MetadataSize, MetadataUpdate, is_in_family};
    use crate::model::metadata::{Metadata, MetricType};

    fn change(cache: &MetadataCache, family: &str) -> bool {
        cache.get_with_change(family).is_some_and(|(_, is_changed)| is_changed)
    }

    #[test]
    fn parts_are_joined_and_changes_are_pending_until_stored() {
        let mut cache = MetadataCache::default();
        cache.set("a", MetadataUpdate::Help("text"));
        cache.set("a", MetadataUpdate::Type(MetricType::Counter));
        cache.set("a", MetadataUpdate::Unit("s"));
        let expected = Metadata {
            metric_type: MetricType::Counter,
            unit: "s".to_owned(),
            help: "text".to_owned(),
        };
        assert_eq!(cache.get("a"), Some(&expected));
        assert!(change(&cache, "a"));
        assert_eq!(cache.size(), MetadataSize { entries: 1, bytes: "counter".len() + 1 + 4 });
        cache.end_stored();
        cache.set("a", MetadataUpdate::Help("text"));
        assert!(!change(&cache, "a"));
        cache.set("a", MetadataUpdate::Help("other"));
        assert!(change(&cache, "a"), "also if the scrape fails and the next one has no change");
        cache.set("a", MetadataUpdate::Help("other"));
        assert!(change(&cache, "a"));
        assert_eq!(cache.get("b"), None);
    }

    #[test]
    fn vanished_family_is_kept_for_ten_scrapes() {
        let mut cache = MetadataCache::default();
        cache.set("a", MetadataUpdate::Type(MetricType::Gauge));
        cache.end_stored();
        for scrape in 0..10 {
            cache.end_stored();
            assert_eq!(cache.len(), 1, "after {scrape}");
        }
        cache.end_stored();
        assert!(cache.is_empty());
    }

    #[test]
    fn suffixes_depend_on_the_type() {
        use MetricType::{Counter, Gauge, GaugeHistogram, Histogram, Info, Summary, Unknown};
        for (metric, family, metric_type, expected) in [
            ("a", "a", Unknown, true),
            ("a_total", "a", Unknown, false),
            ("a_total", "a", Counter, true),
            ("a_total", "a_total", Counter, true),
            ("a", "a_total", Counter, false),
            ("a_total_total", "a_total", Counter, false),
            ("b", "a", Counter, false),
            ("a_sum", "a", Gauge, false),
            ("a_bucket", "a", Histogram, true),
            ("a_sum", "a", Histogram, true),
            ("a_count", "a", Histogram, true),
            ("a", "a", Histogram, true),
            ("a_gsum", "a", Histogram, false),
            ("a_gsum", "a", GaugeHistogram, true),
            ("a_gcount", "a", GaugeHistogram, true),
            ("a_count", "a", Summary, true),
            ("a_bucket", "a", Summary, false),
            ("a_info", "a", Info, true),
            ("a_info", "a_info", Info, true),
            ("ab", "a", Histogram, false),
        ] {
            assert_eq!(
                is_in_family(metric, family, metric_type),
                expected,
                "{metric} in {family} {metric_type:?}"
            );
        }
    }
}

//! Sets of float samples that were sent, expected or returned.

use std::collections::BTreeMap;
use std::fmt;

use super::wire::{Label, Sample, TimeSeries, WriteRequest};

/// Label pairs, sorted by name.
pub(crate) type LabelSet = Vec<(String, String)>;

/// Float samples of many series: timestamp in ms and bits of the value.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Samples {
    series: BTreeMap<LabelSet, BTreeMap<i64, u64>>,
}

/// Bits of -0, which Prometheus's remote read returns as 0: its proto3 encoder omits both.
const NEGATIVE_ZERO: u64 = 1 << 63;

impl Samples {
    pub(crate) fn new() -> Samples {
        Samples::default()
    }

    /// Adds a sample. A second one with the same timestamp must be equal.
    pub(crate) fn add(&mut self, labels: &LabelSet, t: i64, bits: u64) {
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), BTreeMap::new());
        }
        let samples = self.series.get_mut(labels).expect("the series was just added");
        let before = samples.insert(t, bits);
        assert!(before.is_none_or(|old| old == bits), "two samples of {labels:?} at {t}");
    }

    /// Adds the samples of a request.
    pub(crate) fn add_request(&mut self, request: &WriteRequest) {
        for series in &request.timeseries {
            let labels = label_set(&series.labels);
            for sample in &series.samples {
                self.add(&labels, sample.timestamp, sample.bits.unwrap_or(0));
            }
        }
    }

    /// Adds the samples of another set.
    pub(crate) fn add_all(&mut self, other: &Samples) {
        for (labels, t, bits) in other.iter() {
            self.add(labels, t, bits);
        }
    }

    /// Returns the number of samples.
    pub(crate) fn count(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }

    /// Returns the number of series with samples.
    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn label_sets(&self) -> impl Iterator<Item = &LabelSet> {
        self.series.keys()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LabelSet, i64, u64)> {
        self.series
            .iter()
            .flat_map(|(labels, samples)| samples.iter().map(move |(&t, &bits)| (labels, t, bits)))
    }

    /// Returns the value bits of a series at `t`.
    pub(crate) fn get(&self, labels: &LabelSet, t: i64) -> Option<u64> {
        self.series.get(labels)?.get(&t).copied()
    }

    /// Returns the samples at or after `t`.
    pub(crate) fn from(&self, t: i64) -> Samples {
        self.between(t, i64::MAX)
    }

    /// Returns the samples from `begin` (inclusive) to `end` (exclusive).
    pub(crate) fn between(&self, begin: i64, end: i64) -> Samples {
        self.filter(|_, at| begin <= at && at < end)
    }

    /// Returns the samples for which `keep` returns `true`.
    pub(crate) fn filter(&self, keep: impl Fn(&LabelSet, i64) -> bool) -> Samples {
        let mut part = Samples::new();
        for (labels, at, bits) in self.iter().filter(|&(labels, at, _)| keep(labels, at)) {
            part.add(labels, at, bits);
        }
        part
    }

    pub(crate) fn max_time(&self) -> Option<i64> {
        self.iter().map(|(_, t, _)| t).max()
    }

    /// Replaces -0 by 0, as Prometheus's remote read does.
    pub(crate) fn without_negative_zero(&self) -> Samples {
        self.map_bits(|bits| if bits == NEGATIVE_ZERO { 0 } else { bits })
    }

    /// Replaces every NaN by the same one, as text formats do.
    pub(crate) fn with_one_nan(&self) -> Samples {
        self.map_bits(|bits| if f64::from_bits(bits).is_nan() { f64::NAN.to_bits() } else { bits })
    }

    fn map_bits(&self, change: impl Fn(u64) -> u64) -> Samples {
        let mut changed = self.clone();
        changed
            .series
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .for_each(|bits| *bits = change(*bits));
        changed
    }

    /// Returns the samples that `other` lacks or has with other bits.
    pub(crate) fn beyond(&self, other: &Samples) -> Samples {
        let mut rest = Samples::new();
        let none = BTreeMap::new();
        for (labels, samples) in &self.series {
            let others = other.series.get(labels).unwrap_or(&none);
            for (&t, &bits) in samples.iter().filter(|&(t, bits)| others.get(t) != Some(bits)) {
                rest.add(labels, t, bits);
            }
        }
        rest
    }

    /// Panics with the first differences unless both sets are equal bit for bit.
    pub(crate) fn assert_equals(&self, expected: &Samples, what: &str) {
        let missing = expected.beyond(self);
        let unexpected = self.beyond(expected);
        assert!(
            missing.count() == 0 && unexpected.count() == 0,
            "{what}: of {} samples, missing {missing:?}; not expected {unexpected:?}",
            expected.count()
        );
    }

    /// Panics with the first differences unless every sample of `self` is in `allowed`.
    pub(crate) fn assert_within(&self, allowed: &Samples, what: &str) {
        let unexpected = self.beyond(allowed);
        assert!(unexpected.count() == 0, "{what}: not expected {unexpected:?}");
    }

    /// Splits the set into requests of `step` ms of data.
    pub(crate) fn to_requests(&self, step: i64) -> Vec<WriteRequest> {
        let mut slots: BTreeMap<i64, BTreeMap<&LabelSet, Vec<Sample>>> = BTreeMap::new();
        for (labels, t, bits) in self.iter() {
            let series = slots.entry(t.div_euclid(step)).or_default();
            series.entry(labels).or_default().push(Sample { bits: Some(bits), timestamp: t });
        }
        let requests = slots.into_values().map(|series| WriteRequest {
            timeseries: series
                .into_iter()
                .map(|(labels, samples)| TimeSeries {
                    labels: wire_labels(labels),
                    samples,
                    ..TimeSeries::default()
                })
                .collect(),
            ..WriteRequest::default()
        });
        requests.collect()
    }
}

impl fmt::Debug for Samples {
    /// Formats the count and the first samples, for readable assertions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.count())?;
        for (labels, t, bits) in self.iter().take(5) {
            let name: String = format!("{labels:?}").chars().take(300).collect();
            write!(f, "; {name} @{t} = {bits:016x} ({})", f64::from_bits(bits))?;
        }
        Ok(())
    }
}

/// Returns the labels of a message sorted and without empty values.
pub(crate) fn label_set(labels: &[Label]) -> LabelSet {
    let mut set: LabelSet = labels
        .iter()
        .filter(|label| !label.value.is_empty())
        .map(|label| (label.name.clone(), label.value.clone()))
        .collect();
    set.sort();
    set
}

/// Converts a label set to wire labels.
pub(crate) fn wire_labels(labels: &LabelSet) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.clone(), value: value.clone() }).collect()
}

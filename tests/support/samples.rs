//! Sets of samples to compare: what was sent, what is expected, what came back.

use std::collections::BTreeMap;
use std::fmt;

use super::wire::{Label, Sample, TimeSeries, WriteRequest};

/// Names and values, sorted by name.
pub(crate) type LabelSet = Vec<(String, String)>;

/// The float samples of many series: time in milliseconds, and the exact bits.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Samples {
    series: BTreeMap<LabelSet, BTreeMap<i64, u64>>,
}

/// The bits of -0, which Prometheus's remote read turns into 0: its proto3 encoder leaves both out.
const NEGATIVE_ZERO: u64 = 1 << 63;

impl Samples {
    /// None.
    pub(crate) fn new() -> Samples {
        Samples::default()
    }

    /// Adds one sample; a second one at the same time must be equal.
    pub(crate) fn add(&mut self, labels: &LabelSet, t: i64, bits: u64) {
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), BTreeMap::new());
        }
        let samples = self.series.get_mut(labels).expect("the series was just added");
        let before = samples.insert(t, bits);
        assert!(before.is_none_or(|old| old == bits), "two samples of {labels:?} at {t}");
    }

    /// Adds what a request carries.
    pub(crate) fn add_request(&mut self, request: &WriteRequest) {
        for series in &request.timeseries {
            let labels = label_set(&series.labels);
            for sample in &series.samples {
                self.add(&labels, sample.timestamp, sample.bits.unwrap_or(0));
            }
        }
    }

    /// Adds all of another set.
    pub(crate) fn add_all(&mut self, other: &Samples) {
        for (labels, t, bits) in other.iter() {
            self.add(labels, t, bits);
        }
    }

    /// The number of samples.
    pub(crate) fn count(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }

    /// The number of series that have a sample.
    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// The label sets.
    pub(crate) fn label_sets(&self) -> impl Iterator<Item = &LabelSet> {
        self.series.keys()
    }

    /// Every sample.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LabelSet, i64, u64)> {
        self.series
            .iter()
            .flat_map(|(labels, samples)| samples.iter().map(move |(&t, &bits)| (labels, t, bits)))
    }

    /// The sample of a series at a time.
    pub(crate) fn get(&self, labels: &LabelSet, t: i64) -> Option<u64> {
        self.series.get(labels)?.get(&t).copied()
    }

    /// Only the samples at or after `t`.
    pub(crate) fn from(&self, t: i64) -> Samples {
        self.between(t, i64::MAX)
    }

    /// Only the samples from `begin` on and before `end`.
    pub(crate) fn between(&self, begin: i64, end: i64) -> Samples {
        self.filter(|_, at| begin <= at && at < end)
    }

    /// Only those of which `keep` says so by their series and time.
    pub(crate) fn filter(&self, keep: impl Fn(&LabelSet, i64) -> bool) -> Samples {
        let mut part = Samples::new();
        for (labels, at, bits) in self.iter().filter(|&(labels, at, _)| keep(labels, at)) {
            part.add(labels, at, bits);
        }
        part
    }

    /// The newest time.
    pub(crate) fn max_time(&self) -> Option<i64> {
        self.iter().map(|(_, t, _)| t).max()
    }

    /// Every -0 as 0: what is left of a set where it passed through Prometheus's remote read.
    pub(crate) fn without_negative_zero(&self) -> Samples {
        self.map_bits(|bits| if bits == NEGATIVE_ZERO { 0 } else { bits })
    }

    /// Every not-a-number as the same one: what is left of a set where it was printed as text.
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

    /// The samples that `self` has and `other` has not, or has with other bits.
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

    /// Requests that carry all of it, `step` milliseconds of data each.
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
    /// The count and the first few, so that a failed comparison can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.count())?;
        for (labels, t, bits) in self.iter().take(5) {
            let name: String = format!("{labels:?}").chars().take(300).collect();
            write!(f, "; {name} @{t} = {bits:016x} ({})", f64::from_bits(bits))?;
        }
        Ok(())
    }
}

/// The labels of a message as a set: sorted, and without empty values.
pub(crate) fn label_set(labels: &[Label]) -> LabelSet {
    let mut set: LabelSet = labels
        .iter()
        .filter(|label| !label.value.is_empty())
        .map(|label| (label.name.clone(), label.value.clone()))
        .collect();
    set.sort();
    set
}

/// A label set in a message.
pub(crate) fn wire_labels(labels: &LabelSet) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.clone(), value: value.clone() }).collect()
}

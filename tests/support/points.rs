//! Sets of samples of all types: floats and native histograms that were sent, expected or returned.
//!
//! Histograms are compared by their buckets, not by their spans, because a storage may add empty
//! buckets.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use super::samples::{LabelSet, Samples, label_set};
use super::wire::{BucketSpan, Histogram, TimeSeries, WriteRequest};

/// Bits of the stale marker.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Schema of custom buckets.
const CUSTOM: i64 = -53;

/// Value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PointValue {
    /// Bits of a float sample.
    Float(u64),
    Histogram(Box<PlainHistogram>),
}

/// Native histogram. Floats are stored as bits, including the counts of float histograms.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct PlainHistogram {
    /// Whether the counts are floats.
    pub(crate) float: bool,
    /// Whether this is a gauge histogram.
    pub(crate) gauge: bool,
    pub(crate) schema: i64,
    /// Zero threshold, as bits.
    pub(crate) zero_threshold: u64,
    /// Count of the zero bucket.
    pub(crate) zero_count: u64,
    pub(crate) count: u64,
    pub(crate) sum: u64,
    /// Non-zero counts by bucket index.
    pub(crate) positive: BTreeMap<i64, u64>,
    /// Non-zero counts by bucket index.
    pub(crate) negative: BTreeMap<i64, u64>,
    /// Upper bounds of custom buckets.
    pub(crate) custom: Vec<u64>,
}

/// Generates a histogram from seed and timestamp: integer, float, custom or gauge, with growing
/// counts. The type changes sometimes.
pub(crate) fn made(seed: u64, t: i64) -> PlainHistogram {
    let minutes = (t / 60_000) as u64 + seed;
    let kind = (minutes / 7 + seed) % 5;
    let (float, custom, gauge) = (kind == 1 || kind == 4, kind >= 3, kind == 2);
    let grown = t as u64 / 1000 % 100_000 + 1;
    let count = |bucket: u64| {
        let count = grown * (bucket + 1) + seed % 11;
        let count = if gauge { count.wrapping_mul(0x9e37_79b9) % 1000 } else { count };
        if float { (count as f64 + 0.25).to_bits() } else { count }
    };
    let indices = (0..3 + minutes % 4)
        .map(|bucket| if custom { bucket as i64 } else { bucket as i64 * 2 - 3 });
    let positive: BTreeMap<i64, u64> =
        indices.zip(0..).map(|(index, bucket)| (index, count(bucket))).collect();
    let count = if float {
        positive.values().map(|bits| f64::from_bits(*bits)).sum::<f64>().to_bits()
    } else {
        positive.values().sum()
    };
    PlainHistogram {
        float,
        gauge,
        schema: if custom { CUSTOM } else { (minutes / 50 % 4) as i64 },
        zero_threshold: if custom { 0 } else { 0.001f64.to_bits() },
        zero_count: 0,
        count,
        sum: (grown as f64 * 0.5).to_bits(),
        positive: positive.into_iter().filter(|(_, count)| *count != 0).collect(),
        negative: BTreeMap::new(),
        custom: if custom {
            (0..10).map(|bound| f64::from(bound).to_bits()).collect()
        } else {
            Vec::new()
        },
    }
}

/// Samples of many series by timestamp, ms.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Points {
    series: BTreeMap<LabelSet, BTreeMap<i64, PointValue>>,
}

impl PlainHistogram {
    /// Converts a wire message.
    pub(crate) fn from_wire(wire: &Histogram) -> PlainHistogram {
        let float = wire.count_float.is_some();
        let counts =
            |deltas: &[i64], counts: &[u64]| if float { counts.to_vec() } else { sums(deltas) };
        let plain = PlainHistogram {
            float,
            gauge: wire.reset_hint == 3,
            schema: wire.schema.into(),
            zero_threshold: wire.zero_threshold,
            zero_count: wire.zero_count_float.or(wire.zero_count_int).unwrap_or(0),
            count: wire.count_float.or(wire.count_int).unwrap_or(0),
            sum: wire.sum,
            positive: by_index(
                &spans(&wire.positive_spans),
                &counts(&wire.positive_deltas, &wire.positive_counts),
            ),
            negative: by_index(
                &spans(&wire.negative_spans),
                &counts(&wire.negative_deltas, &wire.negative_counts),
            ),
            custom: wire.custom_values.clone(),
        };
        plain.normal()
    }

    /// Converts JSON of a golden file.
    pub(crate) fn from_golden(json: &Json) -> PlainHistogram {
        let float = json["float"].as_bool().expect("float is true or false");
        let count = |json: &Json| {
            if float { hex(json) } else { json.as_u64().expect("a count is a number") }
        };
        let counts = |name: &str| list(json, name).iter().map(count).collect::<Vec<u64>>();
        let spans = |name: &str| -> Vec<(i64, u64)> {
            let span = |span: &Json| {
                (span[0].as_i64().expect("an offset"), span[1].as_u64().expect("a length"))
            };
            list(json, name).iter().map(span).collect()
        };
        let plain = PlainHistogram {
            float,
            gauge: json["reset_hint"] == "gauge",
            schema: json["schema"].as_i64().expect("a schema is a number"),
            zero_threshold: hex(&json["zero_threshold"]),
            zero_count: count(&json["zero_count"]),
            count: count(&json["count"]),
            sum: hex(&json["sum"]),
            positive: by_index(&spans("positive_spans"), &counts("positive_buckets")),
            negative: by_index(&spans("negative_spans"), &counts("negative_buckets")),
            custom: list(json, "custom_values").iter().map(hex).collect(),
        };
        plain.normal()
    }

    /// Converts to a wire message with timestamp `t`.
    pub(crate) fn to_wire(&self, t: i64) -> Histogram {
        let (positive_spans, positive) = self.spread(&self.positive);
        let (negative_spans, negative) = self.spread(&self.negative);
        let int = |value: u64| (!self.float).then_some(value);
        let float = |value: u64| self.float.then_some(value);
        let deltas = |counts: &[u64]| if self.float { Vec::new() } else { differences(counts) };
        let counts = |counts: Vec<u64>| if self.float { counts } else { Vec::new() };
        Histogram {
            count_int: int(self.count),
            count_float: float(self.count),
            sum: self.sum,
            schema: self.schema as i32,
            zero_threshold: self.zero_threshold,
            zero_count_int: int(self.zero_count),
            zero_count_float: float(self.zero_count),
            negative_spans,
            negative_deltas: deltas(&negative),
            negative_counts: counts(negative),
            positive_spans,
            positive_deltas: deltas(&positive),
            positive_counts: counts(positive),
            reset_hint: if self.gauge { 3 } else { 0 },
            timestamp: t,
            custom_values: self.custom.clone(),
        }
    }

    /// Returns spans and counts of the buckets, with a span for each run of indices.
    fn spread(&self, buckets: &BTreeMap<i64, u64>) -> (Vec<BucketSpan>, Vec<u64>) {
        let mut spans: Vec<BucketSpan> = Vec::new();
        let mut next = 0;
        for &index in buckets.keys() {
            match spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => spans.push(BucketSpan { offset: (index - next) as i32, length: 1 }),
            }
            next = index + 1;
        }
        (spans, buckets.values().copied().collect())
    }

    /// Normalizes stale markers, whose other fields have no meaning.
    pub(crate) fn normal(self) -> PlainHistogram {
        if self.sum == STALE {
            PlainHistogram { float: self.float, sum: STALE, ..PlainHistogram::default() }
        } else {
            PlainHistogram {
                custom: if self.schema == CUSTOM { self.custom } else { Vec::new() },
                ..self
            }
        }
    }
}

impl Points {
    pub(crate) fn new() -> Points {
        Points::default()
    }

    /// Adds a sample. A second one with the same timestamp must be equal.
    pub(crate) fn add(&mut self, labels: &LabelSet, t: i64, value: PointValue) {
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), BTreeMap::new());
        }
        let points = self.series.get_mut(labels).expect("the series was just added");
        insert(points, labels, t, value);
    }

    /// Adds the samples of a series message.
    pub(crate) fn add_series(&mut self, series: &TimeSeries) {
        let labels = label_set(&series.labels);
        let points = self.series.entry(labels.clone()).or_default();
        for sample in &series.samples {
            let value = PointValue::Float(sample.bits.unwrap_or(0));
            insert(points, &labels, sample.timestamp, value);
        }
        for histogram in &series.histograms {
            let value = PointValue::Histogram(Box::new(PlainHistogram::from_wire(histogram)));
            insert(points, &labels, histogram.timestamp, value);
        }
    }

    /// Adds the samples of a request.
    pub(crate) fn add_request(&mut self, request: &WriteRequest) {
        request.timeseries.iter().for_each(|series| self.add_series(series));
    }

    /// Adds a set of float samples.
    pub(crate) fn add_floats(&mut self, floats: &Samples) {
        floats.iter().for_each(|(labels, t, bits)| self.add(labels, t, PointValue::Float(bits)));
    }

    /// Returns the number of samples.
    pub(crate) fn count(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }

    /// Returns the number of histograms.
    pub(crate) fn histogram_count(&self) -> usize {
        self.iter().filter(|(_, _, value)| matches!(value, PointValue::Histogram(_))).count()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LabelSet, i64, &PointValue)> {
        self.series
            .iter()
            .flat_map(|(labels, points)| points.iter().map(move |(&t, value)| (labels, t, value)))
    }

    /// Returns the value of a series at `t`.
    pub(crate) fn get(&self, labels: &LabelSet, t: i64) -> Option<&PointValue> {
        self.series.get(labels)?.get(&t)
    }

    /// Returns the newest value of a series before `t`.
    pub(crate) fn last_before(&self, labels: &LabelSet, t: i64) -> Option<&PointValue> {
        self.series.get(labels)?.range(..t).next_back().map(|(_, value)| value)
    }

    pub(crate) fn label_sets(&self) -> impl Iterator<Item = &LabelSet> {
        self.series.keys()
    }

    /// Divides the series by a key of their labels.
    pub(crate) fn divide<K: Ord>(self, key: impl Fn(&LabelSet) -> K) -> BTreeMap<K, Points> {
        let mut parts: BTreeMap<K, Points> = BTreeMap::new();
        for (labels, points) in self.series {
            parts.entry(key(&labels)).or_default().series.insert(labels, points);
        }
        parts
    }

    /// Returns the samples for which `keep` returns `true`.
    pub(crate) fn filter(&self, keep: impl Fn(&LabelSet, i64) -> bool) -> Points {
        let mut part = Points::new();
        for (labels, t, value) in self.iter().filter(|&(labels, t, _)| keep(labels, t)) {
            part.add(labels, t, value.clone());
        }
        part
    }

    /// Returns the samples at or after `t`.
    pub(crate) fn from(&self, t: i64) -> Points {
        self.between(t, i64::MAX)
    }

    /// Returns the samples from `begin` (inclusive) to `end` (exclusive).
    pub(crate) fn between(&self, begin: i64, end: i64) -> Points {
        self.filter(|_, at| begin <= at && at < end)
    }

    pub(crate) fn max_time(&self) -> Option<i64> {
        self.iter().map(|(_, t, _)| t).max()
    }

    pub(crate) fn floats(&self) -> Samples {
        let mut floats = Samples::new();
        for (labels, t, value) in self.iter() {
            if let PointValue::Float(bits) = value {
                floats.add(labels, t, *bits);
            }
        }
        floats
    }

    /// Returns the samples that `other` lacks or has with another value.
    pub(crate) fn beyond(&self, other: &Points) -> Points {
        let mut rest = Points::new();
        for (labels, points) in &self.series {
            let others = other.series.get(labels);
            for (&t, value) in points {
                if others.and_then(|others| others.get(&t)) != Some(value) {
                    rest.add(labels, t, value.clone());
                }
            }
        }
        rest
    }

    /// Panics with the first differences unless both sets are equal.
    pub(crate) fn assert_equals(&self, expected: &Points, what: &str) {
        let missing = expected.beyond(self);
        let unexpected = self.beyond(expected);
        assert!(
            missing.count() == 0 && unexpected.count() == 0,
            "{what}: of {} values, missing {missing:?}; not expected {unexpected:?}",
            expected.count()
        );
    }

    /// Panics with the first differences unless every value of `self` is in `allowed`.
    pub(crate) fn assert_within(&self, allowed: &Points, what: &str) {
        let unexpected = self.beyond(allowed);
        assert!(unexpected.count() == 0, "{what}: not expected {unexpected:?}");
    }
}

impl fmt::Debug for Points {
    /// Formats the count and the first samples, for readable assertions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.count())?;
        for (labels, t, value) in self.iter().take(3) {
            let text: String = format!("{labels:?} @{t} = {value:?}").chars().take(700).collect();
            write!(f, "; {text}")?;
        }
        Ok(())
    }
}

/// Inserts a sample. A second one with the same timestamp must be equal.
fn insert(points: &mut BTreeMap<i64, PointValue>, labels: &LabelSet, t: i64, value: PointValue) {
    if let Some(before) = points.insert(t, value) {
        assert!(points.get(&t) == Some(&before), "two values of {labels:?} at {t}: {before:?}");
    }
}

fn sums(deltas: &[i64]) -> Vec<u64> {
    let add = |sum: &mut i64, delta: &i64| {
        *sum += delta;
        Some(u64::try_from(*sum).expect("a count is not negative"))
    };
    deltas.iter().scan(0, add).collect()
}

fn differences(counts: &[u64]) -> Vec<i64> {
    let before = std::iter::once(&0).chain(counts);
    counts.iter().zip(before).map(|(count, before)| *count as i64 - *before as i64).collect()
}

fn spans(wire: &[BucketSpan]) -> Vec<(i64, u64)> {
    wire.iter().map(|span| (span.offset.into(), span.length.into())).collect()
}

fn by_index(spans: &[(i64, u64)], counts: &[u64]) -> BTreeMap<i64, u64> {
    let mut counts = counts.iter();
    let mut index = 0;
    let mut buckets = BTreeMap::new();
    for &(offset, length) in spans {
        index += offset;
        for _ in 0..length {
            buckets.insert(index, *counts.next().expect("as many counts as the spans say"));
            index += 1;
        }
    }
    assert!(counts.next().is_none(), "no more counts than the spans say");
    buckets.retain(|_, count| *count != 0);
    buckets
}

fn list<'a>(json: &'a Json, name: &str) -> &'a Vec<Json> {
    json[name].as_array().unwrap_or_else(|| panic!("no list {name} in {json}"))
}

fn hex(json: &Json) -> u64 {
    u64::from_str_radix(json.as_str().expect("a float is its bits"), 16)
        .expect("bits are hexadecimal")
}

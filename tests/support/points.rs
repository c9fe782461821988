//! Sets of values of every kind to compare: floats and native histograms, as they were sent, are expected, or came back.
//!
//! Histograms are compared by what they say, not by how their buckets are spread over spans: whoever stores one may put empty buckets in.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use super::samples::{LabelSet, Samples, label_set};
use super::wire::{BucketSpan, Histogram, TimeSeries, WriteRequest};

/// The bits of the stale marker.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The schema of custom buckets.
const CUSTOM: i64 = -53;

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PointValue {
    /// The bits of a float.
    Float(u64),
    /// A native histogram.
    Histogram(Box<PlainHistogram>),
}

/// A native histogram; counts of float histograms, and all other floats, by their bits.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct PlainHistogram {
    /// Whether its counts are floats.
    pub(crate) float: bool,
    /// Whether it is a gauge.
    pub(crate) gauge: bool,
    /// The resolution.
    pub(crate) schema: i64,
    /// Half the width of the zero bucket.
    pub(crate) zero_threshold: u64,
    /// Observations in the zero bucket.
    pub(crate) zero_count: u64,
    /// All observations.
    pub(crate) count: u64,
    /// Their sum.
    pub(crate) sum: u64,
    /// The counts that are not zero, by index.
    pub(crate) positive: BTreeMap<i64, u64>,
    /// The counts that are not zero, by index.
    pub(crate) negative: BTreeMap<i64, u64>,
    /// Upper bounds of custom buckets.
    pub(crate) custom: Vec<u64>,
}

/// A histogram that is a function of these two: of an integer, float, custom or gauge kind, its kind changing now and then, its counts growing.
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

/// The values of many series by time in milliseconds.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Points {
    series: BTreeMap<LabelSet, BTreeMap<i64, PointValue>>,
}

impl PlainHistogram {
    /// As it stands in a message.
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

    /// As it stands in the file of expected samples.
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

    /// As a message, at a time.
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

    /// Spans and counts of these buckets: a span for each run of indices.
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

    /// A stale marker says nothing but that.
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
    /// None.
    pub(crate) fn new() -> Points {
        Points::default()
    }

    /// Adds a value; a second one at the same time must be equal.
    pub(crate) fn add(&mut self, labels: &LabelSet, t: i64, value: PointValue) {
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), BTreeMap::new());
        }
        let points = self.series.get_mut(labels).expect("the series was just added");
        if let Some(before) = points.insert(t, value) {
            assert!(points.get(&t) == Some(&before), "two values of {labels:?} at {t}: {before:?}");
        }
    }

    /// Adds what a series of a message carries.
    pub(crate) fn add_series(&mut self, series: &TimeSeries) {
        let labels = label_set(&series.labels);
        for sample in &series.samples {
            self.add(&labels, sample.timestamp, PointValue::Float(sample.bits.unwrap_or(0)));
        }
        for histogram in &series.histograms {
            let value = PointValue::Histogram(Box::new(PlainHistogram::from_wire(histogram)));
            self.add(&labels, histogram.timestamp, value);
        }
    }

    /// Adds what a request carries.
    pub(crate) fn add_request(&mut self, request: &WriteRequest) {
        request.timeseries.iter().for_each(|series| self.add_series(series));
    }

    /// Adds all of a set of floats.
    pub(crate) fn add_floats(&mut self, floats: &Samples) {
        floats.iter().for_each(|(labels, t, bits)| self.add(labels, t, PointValue::Float(bits)));
    }

    /// The number of values.
    pub(crate) fn count(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }

    /// The number of histograms.
    pub(crate) fn histogram_count(&self) -> usize {
        self.iter().filter(|(_, _, value)| matches!(value, PointValue::Histogram(_))).count()
    }

    /// Every value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LabelSet, i64, &PointValue)> {
        self.series
            .iter()
            .flat_map(|(labels, points)| points.iter().map(move |(&t, value)| (labels, t, value)))
    }

    /// The value of a series at a time.
    pub(crate) fn get(&self, labels: &LabelSet, t: i64) -> Option<&PointValue> {
        self.series.get(labels)?.get(&t)
    }

    /// The newest value of a series before a time.
    pub(crate) fn last_before(&self, labels: &LabelSet, t: i64) -> Option<&PointValue> {
        self.series.get(labels)?.range(..t).next_back().map(|(_, value)| value)
    }

    /// The label sets.
    pub(crate) fn label_sets(&self) -> impl Iterator<Item = &LabelSet> {
        self.series.keys()
    }

    /// Only those of which `keep` says so by their series and time.
    pub(crate) fn filter(&self, keep: impl Fn(&LabelSet, i64) -> bool) -> Points {
        let mut part = Points::new();
        for (labels, t, value) in self.iter().filter(|&(labels, t, _)| keep(labels, t)) {
            part.add(labels, t, value.clone());
        }
        part
    }

    /// Only the values at or after `t`.
    pub(crate) fn from(&self, t: i64) -> Points {
        self.between(t, i64::MAX)
    }

    /// Only the values from `begin` on and before `end`.
    pub(crate) fn between(&self, begin: i64, end: i64) -> Points {
        self.filter(|_, at| begin <= at && at < end)
    }

    /// The newest time.
    pub(crate) fn max_time(&self) -> Option<i64> {
        self.iter().map(|(_, t, _)| t).max()
    }

    /// The floats.
    pub(crate) fn floats(&self) -> Samples {
        let mut floats = Samples::new();
        for (labels, t, value) in self.iter() {
            if let PointValue::Float(bits) = value {
                floats.add(labels, t, *bits);
            }
        }
        floats
    }

    /// The values that `self` has and `other` has not, or has another.
    pub(crate) fn beyond(&self, other: &Points) -> Points {
        let mut rest = Points::new();
        for (labels, t, value) in
            self.iter().filter(|&(labels, t, value)| other.get(labels, t) != Some(value))
        {
            rest.add(labels, t, value.clone());
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
    /// The count and the first few, so that a failed comparison can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.count())?;
        for (labels, t, value) in self.iter().take(3) {
            let text: String = format!("{labels:?} @{t} = {value:?}").chars().take(700).collect();
            write!(f, "; {text}")?;
        }
        Ok(())
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

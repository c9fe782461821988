//! Bodies of the protobuf format, and histograms converted to custom buckets: each yields the
//! samples that Prometheus 3.14.0 stored from it, or the same error.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use narthex::exposition::entry::EntryKind;
use narthex::exposition::format::Format;
use narthex::exposition::label_buffer::LabelBuffer;
use narthex::exposition::open::open_parser;
use narthex::exposition::parse_error::ParseError;
use narthex::exposition::parser::{Parser, ParserOptions};
use narthex::model::histogram::buckets::Bucket;
use narthex::model::histogram::limits::HistogramLimits;
use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram};
use narthex::model::sample::SampleValue;
use serde_json::Value as Json;

use super::support::golden;
use super::support::points::{PlainHistogram, PointValue, Points};
use super::support::samples::LabelSet;

/// Series that the scraper itself writes.
const META_SERIES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// Content of a body.
#[derive(Default)]
struct Scraped {
    points: Points,
    /// Limit that a histogram exceeds, or reason why it cannot be stored.
    rejection: Option<String>,
}

impl Scraped {
    /// Adds the entries of a body that is scraped at `t` from a target with labels.
    fn add(
        &mut self,
        parser: &mut dyn Parser,
        target: &LabelSet,
        t: i64,
        limits: HistogramLimits,
    ) -> Result<(), ParseError> {
        let mut labels = LabelBuffer::new();
        while let Some(kind) = parser.next_entry()? {
            if kind == EntryKind::Metadata {
                continue;
            }
            let series = parser.series();
            let mut value = series.value.to_sample_value();
            if let Err(error) = value.limit_scraped(limits) {
                self.rejection = Some(error.to_string());
                continue;
            }
            let t = series.timestamp.unwrap_or(t);
            parser.labels(&mut labels);
            let mut labels = label_set(&labels);
            // Storage has no empty labels.
            labels.retain(|(_, value)| !value.is_empty());
            labels.extend_from_slice(target);
            labels.sort();
            // The first one of several samples with the same timestamp is stored.
            if self.points.get(&labels, t).is_none() {
                self.points.add(&labels, t, point_value(&value));
            }
        }
        Ok(())
    }
}

fn label_set(labels: &LabelBuffer) -> LabelSet {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn point_value(value: &SampleValue) -> PointValue {
    match value {
        SampleValue::Float(value) => PointValue::Float(value.to_bits()),
        SampleValue::Histogram(histogram) => {
            PointValue::Histogram(Box::new(plain_integers(histogram)))
        }
        SampleValue::FloatHistogram(histogram) => {
            PointValue::Histogram(Box::new(plain_floats(histogram)))
        }
    }
}

fn plain_integers(histogram: &Histogram) -> PlainHistogram {
    PlainHistogram {
        float: false,
        gauge: histogram.reset_hint == CounterResetHint::Gauge,
        schema: histogram.schema.into(),
        zero_threshold: histogram.zero_threshold.to_bits(),
        zero_count: histogram.zero_count,
        count: histogram.count,
        sum: histogram.sum.to_bits(),
        positive: plain_buckets(histogram.iter_positive(), |count| count as u64),
        negative: plain_buckets(histogram.iter_negative(), |count| count as u64),
        custom: histogram.custom_values.iter().map(|bound| bound.to_bits()).collect(),
    }
}

fn plain_floats(histogram: &FloatHistogram) -> PlainHistogram {
    PlainHistogram {
        float: true,
        gauge: histogram.reset_hint == CounterResetHint::Gauge,
        schema: histogram.schema.into(),
        zero_threshold: histogram.zero_threshold.to_bits(),
        zero_count: histogram.zero_count.to_bits(),
        count: histogram.count.to_bits(),
        sum: histogram.sum.to_bits(),
        positive: plain_buckets(histogram.iter_positive(), f64::to_bits),
        negative: plain_buckets(histogram.iter_negative(), f64::to_bits),
        custom: histogram.custom_values.iter().map(|bound| bound.to_bits()).collect(),
    }
}

fn plain_buckets<C>(
    buckets: impl Iterator<Item = Bucket<C>>,
    bits: impl Fn(C) -> u64,
) -> BTreeMap<i64, u64> {
    let plain = buckets.map(|bucket| (bucket.index, bits(bucket.count)));
    plain.filter(|(_, count)| *count != 0).collect()
}

fn is_meta_series(labels: &LabelSet) -> bool {
    labels.iter().any(|(name, value)| name == "__name__" && META_SERIES.contains(&value.as_str()))
}

fn label(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn json_labels(json: &Json) -> LabelSet {
    let labels = json.as_object().expect("labels are an object").iter();
    let mut labels: LabelSet =
        labels.map(|(name, value)| label(name, value.as_str().unwrap_or_default())).collect();
    labels.sort();
    labels
}

/// Number of scrape `n`, as the time of its samples.
const SCRAPE_INTERVAL_MS: i64 = 1_000_000;

/// Prefixes of the cases of `scrape-behaviour` that concern protobuf and histograms.
const PREFIXES: [&str; 3] = ["pb-", "native-", "nhcb-"];

/// Cases that need what parsers do not have: relabeling, and rejections by the storage.
const OTHER_CASES: [&str; 2] = ["nhcb-relabel", "nhcb-mixed-order"];

#[test]
fn recorded_cases_yield_equal_samples_or_errors() {
    let text = golden::text("scrape-behaviour", "cases.json");
    let recorded: Json = serde_json::from_str(&text).expect("the cases are JSON");
    let (mut scrapes, mut failures) = (0, 0);
    for case in recorded["cases"].as_array().expect("cases are a list") {
        let name = case["case"].as_str().expect("a case has a name");
        if OTHER_CASES.contains(&name) || !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let answers = case["answers"].as_object().expect("a case has answers");
        let answers = answers.values().next().and_then(Json::as_array).expect("answers of a path");
        let targets = case["targets"].as_object().expect("a case has a target");
        let health = targets.values().next().and_then(Json::as_array).expect("scrapes of a target");
        for ((answer, health), number) in answers.iter().zip(health).zip(1..) {
            let what = format!("{name}, scrape {number}");
            let t = number * SCRAPE_INTERVAL_MS;
            let mut scraped = Scraped::default();
            let body = body_at(answer, t);
            let mut parser = open_parser(&body, format_of(answer), parser_options(case));
            let target = vec![label("instance", "127.0.0.1:18180"), label("job", name)];
            let result = scraped.add(&mut *parser, &target, t, limits_of(case));
            let failure = result.err().map(|error| error.to_string()).or(scraped.rejection);
            scrapes += 1;
            if health[0] == "down" {
                let failure = failure.unwrap_or_else(|| panic!("{what}: no error"));
                assert_same_gist(&failure, health[1].as_str().unwrap_or_default(), &what);
                failures += 1;
            } else {
                assert_eq!(failure, None, "{what}");
                scraped.points.assert_equals(&expected_points(case, number), &what);
            }
        }
    }
    assert_eq!((scrapes, failures), (139, 15));
}

/// Words of an error of Prometheus, and those of the error of narthex.
const GISTS: [(&str, &str); 10] = [
    ("insufficient length of buffer", "truncated metric family"),
    ("invalid label value", "invalid label value"),
    ("invalid metric name", "invalid metric name"),
    ("observations found in buckets", "buckets have 3 observations, but count is 1"),
    ("has observation count of -1", "positive bucket 2 has negative count -1"),
    ("spans require 3 buckets, have 1", "positive spans have 3 buckets, but 1 counts are present"),
    ("span number 2 with offset -2", "positive span 2 has negative offset -2"),
    ("invalid schema", "is not known"),
    ("must have zero count of 0", "custom buckets with a zero bucket"),
    ("histogram bucket limit exceeded", "native_histogram_bucket_limit is "),
];

fn assert_same_gist(failure: &str, recorded: &str, what: &str) {
    let gist = GISTS.iter().find(|(gist, _)| recorded.contains(gist));
    let (_, gist) = gist.unwrap_or_else(|| panic!("{what}: unexpected error {recorded}"));
    assert!(failure.contains(gist), "{what}: {failure}, but Prometheus says {recorded}");
}

/// Returns the body of an answer at a time.
fn body_at(answer: &Json, t: i64) -> Vec<u8> {
    match (answer["body_b64"].as_str(), answer["body"].as_str()) {
        (Some(encoded), _) => BASE64_STANDARD.decode(encoded).expect("the body is Base64"),
        (None, Some(text)) => {
            let text = text.replace("<<now-100>>", &(t - 100).to_string());
            let seconds = |offset: i64| {
                let t = t - offset;
                format!("{}.{:03}", t / 1000, t % 1000)
            };
            let text = text.replace("<<now-50:s>>", &seconds(50));
            text.replace("<<first-60000:s>>", &seconds(60_000)).into_bytes()
        }
        (None, None) => panic!("an answer has no body: {answer}"),
    }
}

fn format_of(answer: &Json) -> Format {
    let content_type = answer["type"].as_str().unwrap_or("text/plain; version=0.0.4");
    Format::select(content_type, None).expect("the Content-Type is known").format
}

/// Returns a switch of a job, or of its target's labels.
fn is_on(case: &Json, key: &str) -> bool {
    let label = format!("__{key}__");
    let of_target = &case["config"]["static_configs"][0]["labels"][label.as_str()];
    of_target.as_str().map_or(case["config"][key].as_bool().unwrap_or(false), |value| {
        ["true", "1"].contains(&value)
    })
}

fn parser_options(case: &Json) -> ParserOptions {
    ParserOptions {
        start_timestamps: false,
        ignore_native_histograms: !is_on(case, "scrape_native_histograms"),
        convert_classic_histograms: is_on(case, "convert_classic_histograms_to_nhcb"),
        keep_classic_histograms: is_on(case, "always_scrape_classic_histograms"),
    }
}

fn limits_of(case: &Json) -> HistogramLimits {
    let config = &case["config"];
    HistogramLimits::new(
        config["native_histogram_min_bucket_factor"].as_f64().unwrap_or(0.0),
        config["native_histogram_bucket_limit"].as_u64().unwrap_or(0) as usize,
    )
}

/// Returns the samples of a scrape, without stale markers.
fn expected_points(case: &Json, number: i64) -> Points {
    let mut points = Points::new();
    for series in case["series"].as_array().expect("series are a list") {
        let labels = json_labels(&series["labels"]);
        if is_meta_series(&labels) {
            continue;
        }
        for sample in series["samples"].as_array().expect("samples are a list") {
            let t = number * SCRAPE_INTERVAL_MS;
            let t = match &sample[0] {
                Json::Number(scrape) if scrape.as_i64() == Some(number) => t,
                Json::String(time) if *time == format!("{number}:now-100") => t - 100,
                _ => continue,
            };
            match &sample[1] {
                Json::String(text) if text == "stale" => {}
                Json::String(text) if text == "value of first-60000" => {
                    let seconds = (t - 60_000) as f64 / 1000.0;
                    points.add(&labels, t, PointValue::Float(seconds.to_bits()));
                }
                Json::String(hex) => {
                    let bits = u64::from_str_radix(hex, 16).expect("a value is hex");
                    points.add(&labels, t, PointValue::Float(bits));
                }
                histogram => {
                    let plain = PlainHistogram::from_golden(histogram);
                    if plain.sum != super::support::points::STALE {
                        points.add(&labels, t, PointValue::Histogram(Box::new(plain)));
                    }
                }
            }
        }
    }
    points
}

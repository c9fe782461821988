//! Out-of-order samples and native histograms in a directory that narthex and Debian's Prometheus
//! use in turn. Each returns all samples of both.
//!
//! Debian's version knows exponential histograms, in PromQL only, and out-of-order floats. It skips
//! silently what it does not know, so comparisons are of complete sets with a known count. It
//! does not read out-of-order histograms and custom buckets; `tests/server/golden.rs` covers them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::data::{BEGIN, HOUR};
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::points::{PlainHistogram, PointValue, Points};
use crate::support::samples::{LabelSet, wire_labels};
use crate::support::wire::{Sample, TimeSeries, WriteRequest};

const MINUTE: i64 = 60_000;
const WINDOW: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 2h\n";
/// Delay of out-of-order samples, ms.
const OOO_DELAY: i64 = 40 * MINUTE;
const SERIES: usize = 6;
/// Numbers of histogram series. Odd ones have float counts.
const EVERY_HISTOGRAM: [usize; 4] = [0, 1, 2, 3];
/// Numbers of integer histogram series. Checkpoints of Debian's version lack float histograms.
const INTEGER_HISTOGRAMS: [usize; 2] = [0, 2];
/// Time range of a request, minutes.
const REQUEST: i64 = 10;

fn prometheus(data: &Path) -> Server {
    Launch::prometheus(data, WINDOW).flag("--enable-feature=native-histograms").start()
}

fn label_set(name: &str, number: usize) -> LabelSet {
    vec![("__name__".to_owned(), name.to_owned()), ("number".to_owned(), number.to_string())]
}

/// Returns `true` for every third sample of half of the series.
fn is_ooo(number: usize, minute: i64) -> bool {
    number % 2 == 1 && minute % 3 == 0
}

fn sample(number: usize, minute: i64) -> Sample {
    let bits = ((minute * 7 + number as i64) as f64 * 0.25).to_bits();
    Sample { bits: Some(bits), timestamp: BEGIN + minute * MINUTE + number as i64 }
}

/// Returns a counter histogram with a growing number of exponential buckets, with float counts for
/// odd numbers.
fn histogram(number: usize, minute: i64) -> PlainHistogram {
    let float = number % 2 == 1;
    let grown = minute as u64 + 1;
    let count = |count: u64| if float { (count as f64 + 0.5).to_bits() } else { count };
    let buckets = 2 + grown / 45;
    let counts: Vec<u64> = (0..buckets).map(|bucket| grown * (bucket + 1)).collect();
    let total = if float {
        (counts.iter().sum::<u64>() as f64 + 0.5 * buckets as f64).to_bits()
    } else {
        counts.iter().sum()
    };
    PlainHistogram {
        float,
        schema: 2,
        zero_threshold: 0.001f64.to_bits(),
        count: total,
        sum: (grown as f64 * 1.5).to_bits(),
        positive: (-1..).step_by(2).zip(counts).map(|(index, n)| (index, count(n))).collect(),
        ..PlainHistogram::default()
    }
}

/// Returns the request of these minutes: in-order samples, and delayed ones of earlier minutes.
fn request(minutes: std::ops::Range<i64>, histograms: &[usize]) -> WriteRequest {
    let mut timeseries = Vec::new();
    for number in 0..SERIES {
        let delayed = minutes.clone().map(|minute| minute - OOO_DELAY / MINUTE);
        let ooo = delayed
            .filter(|minute| *minute >= 0 && is_ooo(number, *minute))
            .map(|minute| sample(number, minute));
        let in_order = minutes
            .clone()
            .filter(|minute| !is_ooo(number, *minute))
            .map(|minute| sample(number, minute));
        let samples = in_order.chain(ooo).collect();
        let labels = wire_labels(&label_set("float", number));
        timeseries.push(TimeSeries { labels, samples, ..TimeSeries::default() });
    }
    for &number in histograms {
        let histograms = minutes
            .clone()
            .map(|minute| histogram(number, minute).to_wire(BEGIN + minute * MINUTE))
            .collect();
        let labels = wire_labels(&label_set("histogram", number));
        timeseries.push(TimeSeries { labels, histograms, ..TimeSeries::default() });
    }
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// Writes these minutes and adds them to `sent`.
fn write(server: &Server, minutes: std::ops::Range<i64>, histograms: &[usize], sent: &mut Points) {
    for start in minutes.clone().step_by(REQUEST as usize) {
        let request = request(start..(start + REQUEST).min(minutes.end), histograms);
        server.remote().write_ok(&request);
        sent.add_request(&request);
    }
}

/// Returns count and sum of every histogram by PromQL.
fn histograms_by_promql(server: &Server, until: i64) -> BTreeMap<(String, i64), (f64, f64)> {
    // A range selector of this version mixes histograms of several series.
    let (start, end) = (BEGIN / 1000, until / 1000);
    let response = server
        .http
        .get(&format!("/api/v1/query_range?query=histogram&start={start}&end={end}&step=60"));
    assert_eq!(response.status, 200, "{}", response.text());
    let mut found = BTreeMap::new();
    for series in response.json()["data"]["result"].as_array().expect("a matrix") {
        let number = series["metric"]["number"].as_str().expect("a label");
        for sample in series["histograms"].as_array().into_iter().flatten() {
            let t = (sample[0].as_f64().expect("a time") * 1000.0).round() as i64;
            let number_of = |field: &str| -> f64 {
                sample[1][field].as_str().and_then(|text| text.parse().ok()).expect("a number")
            };
            found.insert((number.to_owned(), t), (number_of("count"), number_of("sum")));
        }
    }
    found
}

/// Returns count and sum of every sent histogram.
fn histograms_sent(sent: &Points) -> BTreeMap<(String, i64), (f64, f64)> {
    let mut expected = BTreeMap::new();
    for (labels, t, value) in sent.iter() {
        if let PointValue::Histogram(h) = value {
            let count = if h.float { f64::from_bits(h.count) } else { h.count as f64 };
            expected.insert((labels[1].1.clone(), t), (count, f64::from_bits(h.sum)));
        }
    }
    expected
}

/// Asserts that narthex returns all samples.
fn assert_narthex_agrees(server: &Server, sent: &Points, context: &str) {
    server.remote().read_all_points().assert_equals(sent, context);
}

/// Asserts that Prometheus returns all floats and, by PromQL, all histograms.
fn assert_prometheus_agrees(server: &Server, sent: &Points, context: &str) {
    server.assert_holds(&sent.floats(), context);
    let newest = sent.max_time().expect("samples were sent");
    let (found, expected) = (histograms_by_promql(server, newest), histograms_sent(sent));
    assert!(!expected.is_empty());
    for (key, values) in &expected {
        assert_eq!(found.get(key), Some(values), "{context}: {key:?}");
    }
    assert_eq!(found.len(), expected.len(), "{context}");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn ooo_samples_and_histograms_of_killed_narthex_are_readable() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let mut sent = Points::new();
    // More out-of-order samples than fit in a chunk, some in the WBL only. First in the head, then
    // with blocks.
    for (start, end) in [(0, 150), (150, 400)] {
        let server = Launch::narthex(&data).start();
        write(&server, start..end, &EVERY_HISTOGRAM, &mut sent);
        let appended = Metrics::of(&server.http)
            .sum("prometheus_tsdb_head_out_of_order_samples_appended_total");
        assert!(appended.is_some_and(|count| count > 50.0), "{appended:?} out-of-order samples");
        assert_narthex_agrees(&server, &sent, "narthex itself");
        server.kill();
        assert!(!dir::segments(&data).is_empty());
        let copy = dir::copy_to_temp(&data);
        let server = prometheus(copy.path());
        assert_prometheus_agrees(&server, &sent, &format!("prometheus after {end} minutes"));
        server.kill();
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn ooo_samples_and_histograms_of_killed_prometheus_are_readable() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let mut sent = Points::new();
    let server = prometheus(&data);
    write(&server, 0..150, &EVERY_HISTOGRAM, &mut sent);
    assert_prometheus_agrees(&server, &sent, "prometheus itself");
    server.kill();
    for start in ["first", "second"] {
        let server = Launch::narthex(&data).start();
        assert_narthex_agrees(&server, &sent, &format!("narthex, {start} start"));
        server.kill();
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn programs_store_ooo_samples_and_histograms_in_turn() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let mut sent = Points::new();
    let hour = HOUR / MINUTE;
    for turn in 0..7 {
        let minutes = turn * hour..(turn + 1) * hour;
        let is_narthex = turn % 2 == 0;
        let server = if is_narthex { Launch::narthex(&data).start() } else { prometheus(&data) };
        let assert_agrees =
            if is_narthex { assert_narthex_agrees } else { assert_prometheus_agrees };
        if turn > 0 {
            assert_agrees(&server, &sent, &format!("turn {turn}, before"));
        }
        write(&server, minutes, &INTEGER_HISTOGRAMS, &mut sent);
        assert_agrees(&server, &sent, &format!("turn {turn}, after"));
        if turn % 3 == 0 {
            server.kill()
        } else {
            server.stop()
        };
    }
    assert!(
        sent.histogram_count() == 2 * 7 * 60 && sent.count() > 3000,
        "{} samples",
        sent.count()
    );
    let server = prometheus(&data);
    assert_prometheus_agrees(&server, &sent, "prometheus at the end");
    server.kill();
}

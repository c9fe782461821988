//! Late samples and native histograms in a directory that narthex and Debian's Prometheus use in
//! turn: each answers with all that either took.
//!
//! Debian's version knows exponential histograms, by PromQL alone, and late floats. What it does
//! not know it leaves out without a word, so the sets that are compared are whole and counted.
//! (Late histograms and custom buckets it does not read; `tests/server/golden.rs` has those.)

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
/// How late a late sample is.
const LATENESS: i64 = 40 * MINUTE;
const SERIES: usize = 6;
/// The numbers of series of histograms; odd ones have float counts.
const EVERY_HISTOGRAM: [usize; 4] = [0, 1, 2, 3];
/// Debian's version leaves float histograms out of the checkpoints that it makes.
const INTEGER_HISTOGRAMS: [usize; 2] = [0, 2];
/// Minutes of data in one request.
const REQUEST: i64 = 10;

fn prometheus(data: &Path) -> Server {
    Launch::prometheus(data, WINDOW).flag("--enable-feature=native-histograms").start()
}

fn label_set(name: &str, number: usize) -> LabelSet {
    vec![("__name__".to_owned(), name.to_owned()), ("number".to_owned(), number.to_string())]
}

/// Every third sample of half the series comes late.
fn is_late(number: usize, minute: i64) -> bool {
    number % 2 == 1 && minute % 3 == 0
}

fn sample(number: usize, minute: i64) -> Sample {
    let bits = ((minute * 7 + number as i64) as f64 * 0.25).to_bits();
    Sample { bits: Some(bits), timestamp: BEGIN + minute * MINUTE + number as i64 }
}

/// A counter with exponential buckets of which more and more are filled; one with float counts for
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

/// What is sent in these minutes: all that is in time then, and the late ones of before.
fn request(minutes: std::ops::Range<i64>, histograms: &[usize]) -> WriteRequest {
    let mut timeseries = Vec::new();
    for number in 0..SERIES {
        let behind = minutes.clone().map(|minute| minute - LATENESS / MINUTE);
        let late = behind
            .filter(|minute| *minute >= 0 && is_late(number, *minute))
            .map(|minute| sample(number, minute));
        let timely = minutes
            .clone()
            .filter(|minute| !is_late(number, *minute))
            .map(|minute| sample(number, minute));
        let samples = timely.chain(late).collect();
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

/// Writes these minutes, and notes them.
fn write(server: &Server, minutes: std::ops::Range<i64>, histograms: &[usize], sent: &mut Points) {
    for begin in minutes.clone().step_by(REQUEST as usize) {
        let request = request(begin..(begin + REQUEST).min(minutes.end), histograms);
        server.remote().write_ok(&request);
        sent.add_request(&request);
    }
}

/// Count and sum of every histogram, as PromQL gives them.
fn histograms_by_promql(server: &Server, until: i64) -> BTreeMap<(String, i64), (f64, f64)> {
    // A range selector of this version mixes up histograms of several series.
    let (begin, end) = (BEGIN / 1000, until / 1000);
    let answer = server
        .http
        .get(&format!("/api/v1/query_range?query=histogram&start={begin}&end={end}&step=60"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut found = BTreeMap::new();
    for series in answer.json()["data"]["result"].as_array().expect("a matrix") {
        let number = series["metric"]["number"].as_str().expect("a label");
        for point in series["histograms"].as_array().into_iter().flatten() {
            let t = (point[0].as_f64().expect("a time") * 1000.0).round() as i64;
            let number_of = |field: &str| -> f64 {
                point[1][field]
                    .as_str()
                    .and_then(|text| text.parse().ok())
                    .expect("a number in text")
            };
            found.insert((number.to_owned(), t), (number_of("count"), number_of("sum")));
        }
    }
    found
}

/// The same of what was sent.
fn histograms_sent(sent: &Points) -> BTreeMap<(String, i64), (f64, f64)> {
    let mut expected = BTreeMap::new();
    for (labels, t, value) in sent.iter() {
        if let PointValue::Histogram(one) = value {
            let count = if one.float { f64::from_bits(one.count) } else { one.count as f64 };
            expected.insert((labels[1].1.clone(), t), (count, f64::from_bits(one.sum)));
        }
    }
    expected
}

/// narthex answers with every value.
fn narthex_agrees(server: &Server, sent: &Points, what: &str) {
    server.remote().read_all_points().assert_equals(sent, what);
}

/// Prometheus answers with every float and, by PromQL, with every histogram.
fn prometheus_agrees(server: &Server, sent: &Points, what: &str) {
    server.assert_holds(&sent.floats(), what);
    let newest = sent.max_time().expect("something was sent");
    let (found, expected) = (histograms_by_promql(server, newest), histograms_sent(sent));
    assert!(!expected.is_empty());
    for (place, one) in &expected {
        assert_eq!(found.get(place), Some(one), "{what}: {place:?}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn ooo_samples_and_histograms_of_killed_narthex_are_readable() {
    let place = dir::temp();
    let data = place.path().join("data");
    let mut sent = Points::new();
    // More late samples than one chunk takes, some in the WBL alone; all of it in the head, then
    // with blocks.
    for (begin, end) in [(0, 150), (150, 400)] {
        let server = Launch::narthex(&data).start();
        write(&server, begin..end, &EVERY_HISTOGRAM, &mut sent);
        let appended = Metrics::of(&server.http)
            .sum("prometheus_tsdb_head_out_of_order_samples_appended_total");
        assert!(appended.is_some_and(|late| late > 50.0), "{appended:?} late samples");
        narthex_agrees(&server, &sent, "narthex itself");
        server.kill();
        assert!(!dir::segments(&data).is_empty());
        let copy = dir::copy_to_temp(&data);
        let server = prometheus(copy.path());
        prometheus_agrees(&server, &sent, &format!("{end} minutes of narthex"));
        server.kill();
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn ooo_samples_and_histograms_of_killed_prometheus_are_readable() {
    let place = dir::temp();
    let data = place.path().join("data");
    let mut sent = Points::new();
    let server = prometheus(&data);
    write(&server, 0..150, &EVERY_HISTOGRAM, &mut sent);
    prometheus_agrees(&server, &sent, "prometheus itself");
    server.kill();
    for start in ["first", "second"] {
        let server = Launch::narthex(&data).start();
        narthex_agrees(&server, &sent, &format!("narthex, {start} start"));
        server.kill();
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn both_programs_take_late_samples_and_histograms_in_turn() {
    let place = dir::temp();
    let data = place.path().join("data");
    let mut sent = Points::new();
    let hour = HOUR / MINUTE;
    for turn in 0..7 {
        let minutes = turn * hour..(turn + 1) * hour;
        let is_narthex = turn % 2 == 0;
        let server = if is_narthex { Launch::narthex(&data).start() } else { prometheus(&data) };
        let agrees = if is_narthex { narthex_agrees } else { prometheus_agrees };
        if turn > 0 {
            agrees(&server, &sent, &format!("turn {turn}, before"));
        }
        write(&server, minutes, &INTEGER_HISTOGRAMS, &mut sent);
        agrees(&server, &sent, &format!("turn {turn}, after"));
        if turn % 3 == 0 {
            server.kill()
        } else {
            server.stop()
        };
    }
    assert!(sent.histogram_count() == 2 * 7 * 60 && sent.count() > 3000, "{} values", sent.count());
    let server = prometheus(&data);
    prometheus_agrees(&server, &sent, "prometheus in the end");
    server.kill();
}

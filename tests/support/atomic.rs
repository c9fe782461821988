//! Requests and scrapes of which every series has the same timestamps. Whatever a read returns, all
//! series must agree.

use std::collections::{BTreeMap, BTreeSet};

use super::data::BEGIN;
use super::points::{PointValue, Points, STALE, made};
use super::scrapes::get;
use super::wire::{Label, Sample, TimeSeries, WriteRequest};

/// Number of buckets of the classic histogram, `+Inf` included.
const BUCKETS: usize = 200;

/// Number of native histograms.
const NATIVE: usize = 5;

/// Number of series: buckets, sum, count, native histograms.
const SERIES: usize = BUCKETS + 2 + NATIVE;

/// Returns the n-th request, one sample of every series. Requests are a second of data apart.
pub(crate) fn request(n: i64) -> WriteRequest {
    request_at(n, BEGIN + n * 1_000)
}

/// Returns the n-th request with a timestamp.
pub(crate) fn request_at(n: i64, timestamp: i64) -> WriteRequest {
    let sample = Sample { bits: Some((n as f64).to_bits()), timestamp };
    let series = |name: &str, label: (&str, String)| TimeSeries {
        labels: [("__name__", name.to_owned()), label]
            .map(|(name, value)| Label { name: name.to_owned(), value })
            .to_vec(),
        samples: vec![sample.clone()],
        ..TimeSeries::default()
    };
    let le = |n: usize| if n + 1 == BUCKETS { "+Inf".to_owned() } else { format!("{n}.0") };
    let mut timeseries: Vec<TimeSeries> =
        (0..BUCKETS).map(|n| series("latency_bucket", ("le", le(n)))).collect();
    timeseries.push(series("latency_count", ("job", "x".to_owned())));
    timeseries.push(series("latency_sum", ("job", "x".to_owned())));
    for number in 0..NATIVE {
        timeseries.push(TimeSeries {
            samples: Vec::new(),
            histograms: vec![made(number as u64, timestamp).to_wire(timestamp)],
            ..series("native", ("number", number.to_string()))
        });
    }
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// Asserts that all series have the same samples. Returns the numbers of the requests.
pub(crate) fn requests_in(points: &Points, what: &str) -> BTreeSet<i64> {
    timestamps_in(points, what).into_iter().map(|t| (t - BEGIN) / 1_000).collect()
}

/// Asserts that all series have the same samples. Returns the timestamps.
pub(crate) fn timestamps_in(points: &Points, what: &str) -> BTreeSet<i64> {
    let mut times: BTreeMap<_, BTreeSet<i64>> = BTreeMap::new();
    points.iter().for_each(|(labels, t, _)| _ = times.entry(labels).or_default().insert(t));
    let mut times = times.into_iter();
    let Some((first_labels, first)) = times.next() else { return BTreeSet::new() };
    let mut count = 1;
    for (labels, times) in times {
        let differing: Vec<_> = times.symmetric_difference(&first).take(5).collect();
        assert!(
            differing.is_empty(),
            "{what}: {labels:?} has {} samples, {first_labels:?} {}; e.g. {differing:?}",
            times.len(),
            first.len()
        );
        count += 1;
    }
    assert_eq!(count, SERIES, "{what}");
    first
}

/// Name of the scrape job of [`scrapes_in`].
pub(crate) const JOB: &str = "atomic";

/// Returns a body with `series` series, of which one is the count of a classic histogram. Each has
/// the value `n`, the number of the scrape.
pub(crate) fn body(series: usize, n: u64) -> String {
    let mut body = String::from("# TYPE scraped histogram\n");
    for number in 1..series - 1 {
        body.push_str(&format!("scraped_bucket{{le=\"{number}.0\"}} {n}\n"));
    }
    body.push_str(&format!("scraped_bucket{{le=\"+Inf\"}} {n}\nscraped_count {n}\n"));
    body
}

/// Asserts that each scrape of a target with `series` series is stored completely or not at all.
/// Returns the numbers of the stored scrapes.
///
/// A scrape that failed has no values. If there are only the series of the scraper at a timestamp,
/// `up` must be 0.
pub(crate) fn scrapes_in(points: &Points, series: usize, what: &str) -> BTreeSet<u64> {
    /// Samples of a timestamp.
    #[derive(Default)]
    struct Scrape {
        /// Numbers of samples by value.
        values: BTreeMap<u64, usize>,
        up: Option<u64>,
        of_scraper: usize,
    }
    let mut scrapes: BTreeMap<i64, Scrape> = BTreeMap::new();
    for (labels, t, value) in points.iter() {
        let PointValue::Float(bits) = value else { continue };
        if get(labels, "job") != Some(JOB) {
            continue;
        }
        let scrape = scrapes.entry(t).or_default();
        match get(labels, "__name__").unwrap_or("") {
            name if name.starts_with("scraped_") => {
                if *bits != STALE {
                    *scrape.values.entry(*bits).or_default() += 1;
                }
            }
            name => {
                scrape.of_scraper += 1;
                if name == "up" {
                    scrape.up = Some(*bits);
                }
            }
        }
    }
    let mut numbers = BTreeSet::new();
    for (t, scrape) in scrapes {
        let Scrape { values, up, of_scraper } = scrape;
        assert_eq!(of_scraper, 5, "{what}: at {t}, {values:?}");
        let up = up.map(f64::from_bits);
        if up == Some(0.0) && values.is_empty() {
            continue;
        }
        let values: Vec<(f64, usize)> =
            values.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect();
        assert!(up == Some(1.0) && values.len() == 1, "{what}: at {t}, up {up:?}, {values:?}");
        let (number, count) = values[0];
        assert_eq!(count, series, "{what}: at {t}, samples of scrape {number}");
        assert!(numbers.insert(number as u64), "{what}: scrape {number} is stored twice");
    }
    numbers
}

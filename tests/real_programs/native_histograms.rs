//! Native histograms and exemplars of a real sender: a Prometheus scrapes a target in protobuf
//! format and writes to narthex.

use std::collections::BTreeMap;

use crate::support::dir;
use crate::support::exposer::{
    Counter, ExposedExemplar, ExposedHistogram, Exposer, Metric, MetricFamily,
};
use crate::support::launch::{Launch, Server};
use crate::support::points::{PlainHistogram, PointValue, Points, STALE};
use crate::support::wait::wait_for;
use crate::support::wire::{BucketSpan, Histogram, Label};

const COUNTER: &str = "made_total";
const INTEGER: &str = "made_integer";
const FLOAT: &str = "made_float";
const GAUGE: &str = "made_gauge";
/// Number of scrapes that the test waits for.
const SCRAPES: usize = 15;

/// Returns a histogram with a changing number of buckets, and with counter resets.
fn integer(number: u64) -> ExposedHistogram {
    let buckets = number % 7 + 1;
    ExposedHistogram {
        count: Some(buckets * 2 + 1),
        sum: Some((number as f64 * 1.25).to_bits()),
        schema: Some(2),
        zero_threshold: Some(0.001_f64.to_bits()),
        zero_count: Some(1),
        positive_spans: vec![BucketSpan { offset: -2, length: buckets as u32 }],
        positive_deltas: std::iter::once(2)
            .chain(std::iter::repeat_n(0, buckets as usize - 1))
            .collect(),
        ..ExposedHistogram::default()
    }
}

fn float(number: u64) -> ExposedHistogram {
    let count = number as f64 + 0.5;
    ExposedHistogram {
        count_float: Some(count.to_bits()),
        sum: Some((-count).to_bits()),
        schema: Some(0),
        zero_threshold: Some(0.001_f64.to_bits()),
        zero_count_float: Some(0.5_f64.to_bits()),
        negative_spans: vec![
            BucketSpan { offset: 3, length: 1 },
            BucketSpan { offset: 2, length: 1 },
        ],
        negative_counts: vec![(number as f64).to_bits(), 0.25_f64.to_bits()],
        ..ExposedHistogram::default()
    }
}

fn families(number: u64) -> Vec<MetricFamily> {
    let trace = Label { name: "trace_id".to_owned(), value: format!("t{number}") };
    let exemplar = ExposedExemplar { labels: vec![trace], value: Some(0.5) };
    let counter = Counter { value: Some(number as f64), exemplar: Some(exemplar) };
    let family = |name: &str, kind, metric| MetricFamily {
        name: name.to_owned(),
        kind: Some(kind),
        metrics: vec![metric],
    };
    let histogram = |histogram| Metric { histogram: Some(histogram), ..Metric::default() };
    vec![
        family(COUNTER, 0, Metric { counter: Some(counter), ..Metric::default() }),
        family(INTEGER, 4, histogram(integer(number))),
        family(FLOAT, 4, histogram(float(number))),
        family(GAUGE, 5, histogram(integer(number * 3))),
    ]
}

/// Converts an exposed histogram to its plain form.
fn plain(exposed: &ExposedHistogram, gauge: bool) -> PlainHistogram {
    PlainHistogram::from_wire(&Histogram {
        count_int: exposed.count,
        count_float: exposed.count_float,
        sum: exposed.sum.unwrap_or(0),
        schema: exposed.schema.unwrap_or(0),
        zero_threshold: exposed.zero_threshold.unwrap_or(0),
        zero_count_int: exposed.zero_count,
        zero_count_float: exposed.zero_count_float,
        negative_spans: exposed.negative_spans.clone(),
        negative_deltas: exposed.negative_deltas.clone(),
        negative_counts: exposed.negative_counts.clone(),
        positive_spans: exposed.positive_spans.clone(),
        positive_deltas: exposed.positive_deltas.clone(),
        positive_counts: exposed.positive_counts.clone(),
        reset_hint: if gauge { 3 } else { 0 },
        ..Histogram::default()
    })
}

/// Returns the values of the only series of a metric by timestamp.
fn values(points: &Points, name: &str) -> BTreeMap<i64, PointValue> {
    let has_name = |labels: &crate::support::samples::LabelSet| {
        labels.iter().any(|(key, value)| key == "__name__" && value == name)
    };
    points
        .iter()
        .filter(|(labels, _, _)| has_name(labels))
        .map(|(_, t, value)| (t, value.clone()))
        .collect()
}

fn stale_histogram(float: bool) -> PointValue {
    PointValue::Histogram(Box::new(PlainHistogram {
        float,
        sum: STALE,
        ..PlainHistogram::default()
    }))
}

/// Asserts that the samples of all scrapes up to `last` are stored at the timestamps of the
/// counter, followed by a stale marker.
fn assert_all_stored(points: &Points, last: u64) {
    let counted = values(points, COUNTER);
    let numbers: Vec<PointValue> = counted.values().cloned().collect();
    let expected = (1..=last).map(|number| PointValue::Float((number as f64).to_bits()));
    assert_eq!(numbers, expected.chain([PointValue::Float(STALE)]).collect::<Vec<_>>());
    for (name, is_float, expected_value) in [
        (INTEGER, false, (|number| plain(&integer(number), false)) as fn(u64) -> PlainHistogram),
        (FLOAT, true, |number| plain(&float(number), false)),
        (GAUGE, false, |number| plain(&integer(number * 3), true)),
    ] {
        let found = values(points, name);
        assert!(found.keys().eq(counted.keys()), "{name} has other timestamps than the counter");
        let expected =
            (1..=last).map(|number| PointValue::Histogram(Box::new(expected_value(number))));
        let expected: Vec<PointValue> = expected.chain([stale_histogram(is_float)]).collect();
        assert_eq!(found.into_values().collect::<Vec<_>>(), expected, "{name}");
    }
}

fn exemplar_traces(server: &Server) -> Vec<String> {
    let response = server
        .http
        .get(&format!("/api/v1/query_exemplars?query={COUNTER}&start=0&end=9999999999"))
        .json();
    assert_eq!(response["status"], "success", "{response}");
    let series = response["data"].as_array().expect("a list").iter();
    let exemplars = series.flat_map(|series| series["exemplars"].as_array().expect("a list"));
    exemplars
        .map(|exemplar| exemplar["labels"]["trace_id"].as_str().expect("a string").to_owned())
        .collect()
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn scraped_samples_sent_by_prometheus_are_stored() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let narthex = Launch::narthex(&data).start();
    let exposer = Exposer::start(families);
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
         scrape_configs:\n\
         - {{job_name: made, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
         remote_write:\n\
         - url: {}\n\
         \x20 send_exemplars: true\n\
         \x20 send_native_histograms: true\n\
         \x20 queue_config: {{batch_send_deadline: 100ms}}\n",
        exposer.port(),
        narthex.http.url("/api/v1/write"),
    );
    let writer = Launch::prometheus(&temp_dir.path().join("writer"), &config)
        .flag("--enable-feature=native-histograms,exemplar-storage")
        .start();
    wait_for("scraped samples", || {
        let stored = narthex.remote().read_all_points();
        (values(&stored, INTEGER).len() >= SCRAPES).then_some(())
    });
    let last = exposer.stop();
    wait_for("the stale markers", || {
        let stored = narthex.remote().read_all_points();
        let is_stale = [INTEGER, GAUGE].iter().all(|name| {
            values(&stored, name).values().next_back() == Some(&stale_histogram(false))
        });
        (is_stale && values(&stored, FLOAT).values().next_back() == Some(&stale_histogram(true)))
            .then_some(())
    });
    writer.stop();

    let stored = narthex.remote().read_all_points();
    assert_all_stored(&stored, last);
    let traces = exemplar_traces(&narthex);
    assert_eq!(traces, (1..=last).map(|number| format!("t{number}")).collect::<Vec<_>>());
    let metrics = narthex.http.get("/metrics").text();
    assert!(
        !metrics.contains("narthex_remote_write_rejected_samples_total{reason=\"out_of_order\"} 1"),
        "{metrics}"
    );
    narthex.kill();
    let narthex = Launch::narthex(&data).start();
    narthex.remote().read_all_points().assert_equals(&stored, "after a kill");
    assert_eq!(exemplar_traces(&narthex), traces);
}

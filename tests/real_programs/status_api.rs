//! `/api/v1/status/tsdb` and the envelopes of the HTTP API, compared with Debian's Prometheus on a
//! copy of the directory, and read by a stock client in Python.
//!
//! Prometheus leaves the order of equal counts to chance, so a name is compared only if its count
//! is above the lowest one of its list. Debian's version counts memory per value, not per series:
//! `memoryInBytesByLabelName` is compared with sums over the series instead.

use crate::support::data::{self, BEGIN, HOUR};
use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::launch::{Launch, Server};
use crate::support::wire::{MetricMetadata, TimeSeries, WriteRequest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const STATUS: &str = "/api/v1/status/tsdb";
/// Selects every series.
const ALL_SERIES: &str = "/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D";
/// Lists whose numbers are the same in both versions.
const SAME_LISTS: [&str; 3] =
    ["seriesCountByMetricName", "labelValueCountByLabelName", "seriesCountByLabelValuePair"];

/// Both servers on the same data.
struct Pair {
    narthex: Server,
    prometheus: Server,
    /// Number of series that were sent.
    sent_series: usize,
    _dirs: [tempfile::TempDir; 2],
}

impl Pair {
    fn start() -> Pair {
        let dirs = [dir::temp(), dir::temp()];
        let [own, copy] = [&dirs[0], &dirs[1]].map(|temp_dir| temp_dir.path().join("data"));
        let sent = data::assorted(2 * HOUR);
        let narthex = Launch::narthex(&own).start();
        narthex.remote().write_all(&sent);
        narthex.stop();
        dir::copy(&own, &copy);
        let prometheus = Launch::prometheus(&copy, "").start();
        prometheus.assert_holds(&sent, "the copy");
        let narthex = Launch::narthex(&own).start();
        Pair { narthex, prometheus, sent_series: sent.series_count(), _dirs: dirs }
    }
}

fn data(server: &Server, path: &str) -> Value {
    let mut response = server.http.get(path).json();
    assert_eq!(response["status"], "success", "{path}: {response}");
    response["data"].take()
}

/// Names and counts of a list, in its order.
fn counts(list: &Value) -> Vec<(String, u64)> {
    let entry = |entry: &Value| {
        let name = entry["name"].as_str().expect("a name").to_owned();
        (name, entry["value"].as_u64().expect("a number"))
    };
    list.as_array().expect("a list").iter().map(entry).collect()
}

/// Asserts equal counts, and equal names where chance does not decide.
fn assert_same_counts(got: &Value, expected: &Value, context: &str) {
    let (got, expected) = (counts(got), counts(expected));
    assert!(expected.len() > 1, "{context}: {expected:?}");
    let numbers = |list: &[(String, u64)]| list.iter().map(|(_, count)| *count).collect::<Vec<_>>();
    assert_eq!(numbers(&got), numbers(&expected), "{context}: {got:?} {expected:?}");
    let lowest = expected.last().map(|(_, count)| *count);
    let names = |list: Vec<(String, u64)>| {
        list.into_iter().filter(|(_, count)| Some(*count) > lowest).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(got), names(expected), "{context}");
}

/// Sizes of labels by name: of each value once, as in Debian's version, and in every series, in the
/// encoding of 3.14.
fn label_sizes(series: &Value) -> [BTreeMap<String, u64>; 2] {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut in_series: BTreeMap<String, u64> = BTreeMap::new();
    for labels in series.as_array().expect("a list") {
        for (name, value) in labels.as_object().expect("labels") {
            let value = value.as_str().expect("a value");
            assert!(name.len().max(value.len()) < 255, "{name} {value}");
            *in_series.entry(name.clone()).or_default() += (name.len() + value.len() + 2) as u64;
            values.entry(name.clone()).or_default().insert(value.to_owned());
        }
    }
    let once = |values: BTreeSet<String>| values.iter().map(|value| value.len() as u64).sum();
    [values.into_iter().map(|(name, values)| (name, once(values))).collect(), in_series]
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn tsdb_status_equals_prometheus_on_a_copy() {
    let pair = Pair::start();
    let (got, expected) = (data(&pair.narthex, STATUS), data(&pair.prometheus, STATUS));
    assert_eq!(expected["headStats"]["numSeries"], pair.sent_series, "{expected}");
    assert_eq!(got["headStats"], expected["headStats"]);
    for list in SAME_LISTS {
        assert_same_counts(&got[list], &expected[list], list);
    }
    let [once, in_series] = label_sizes(&data(&pair.narthex, ALL_SERIES));
    for (status, sizes) in [(&expected, once), (&got, in_series)] {
        let list = counts(&status["memoryInBytesByLabelName"]);
        assert_eq!(list.len(), sizes.len().min(10), "{list:?}");
        for (name, bytes) in list {
            assert_eq!(Some(&bytes), sizes.get(&name), "{name}");
        }
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn envelopes_equal_prometheus() {
    let pair = Pair::start();
    let servers = [&pair.narthex, &pair.prometheus];
    // Prometheus lists series in the order of its index.
    let sorted = |mut data: Value| {
        data.as_array_mut().expect("a list").sort_by_key(Value::to_string);
        data
    };
    for path in [
        "/api/v1/labels",
        "/api/v1/labels?match[]=assorted_total",
        "/api/v1/label/__name__/values",
        "/api/v1/label/nothing/values",
        ALL_SERIES,
    ] {
        let [got, expected] = servers.map(|server| sorted(data(server, path)));
        assert_eq!(got, expected, "{path}");
    }
    // The words of errors differ between the versions of Prometheus.
    for path in [
        "/api/v1/labels?match[]=%7B",
        "/api/v1/labels?start=x",
        "/api/v1/series",
        "/api/v1/series?match[]=%7B%7D",
        "/api/v1/label/job/values?end=x",
        "/api/v1/query_exemplars?query=up%7B",
        "/api/v1/targets/metadata?limit=x",
        "/api/v1/targets/metadata?match_target=%7B",
    ] {
        let [got, expected] = servers.map(|server| {
            let response = server.http.get(path);
            let json = response.json();
            let keys: BTreeSet<String> =
                json.as_object().expect("an object").keys().cloned().collect();
            let kind = [&json["status"], &json["errorType"]].map(Value::to_string);
            let content_type = response.header("content-type").map(str::to_owned);
            (response.status, content_type, kind, keys)
        });
        assert_eq!(expected.0, 400, "{path}");
        assert_eq!(got, expected, "{path}");
    }
    for path in ["/api/v1/nothing", "/api/v1/status/nothing", "/nothing"] {
        let [got, expected] = servers.map(|server| {
            let response = server.http.get(path);
            (response.status, response.header("content-type").map(str::to_owned), response.text())
        });
        assert_eq!((got.0, &got), (404, &expected), "{path}");
    }
}

#[test]
#[ignore = "needs Python's packages: run tests/run"]
fn stock_client_uses_the_api() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    let series = |name, job| TimeSeries::new(&[("__name__", name), ("job", job)], &[(BEGIN, 1.0)]);
    let up = MetricMetadata { metric_type: 2, family: "up".to_owned(), ..Default::default() };
    server.remote().write_ok(&WriteRequest {
        timeseries: vec![
            series("http_requests_total", "api"),
            series("up", "api"),
            series("up", "node"),
        ],
        metadata: vec![up],
    });
    let mut client = Foreign::start("http_api.py", &[&server.http.port().to_string()]);
    client.step("done");
    client.finish();
}

//! Response contract for native histograms and exemplars, and recorded requests of a real sender.
//!
//! `contract.rs` covers floats and malformed bodies.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::data::{BEGIN, HOUR, STALE};
use crate::support::dir;
use crate::support::golden;
use crate::support::good::GoodWrites;
use crate::support::launch::{Launch, Server};
use crate::support::points::{PlainHistogram, PointValue, Points};
use crate::support::remote::{MAX_TIME, MIN_TIME, WRITE, WRITE_HEADERS};
use crate::support::samples::LabelSet;
use crate::support::wire::{
    BucketSpan, Exemplar, Histogram, Label, Matcher, Sample, TimeSeries, WriteRequest,
};

/// Recorded requests of one protocol version. The second one got 503 and was retried.
struct Recording {
    dir: &'static str,
    numbers: [&'static str; 6],
    headers: [(&'static str, &'static str); 3],
    flags: &'static [&'static str],
}

/// Headers of remote write 2.0.
const WRITE_HEADERS_V2: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "2.0.0"),
];

const RECORDED: [Recording; 3] = [
    Recording {
        dir: "wire/rw1",
        numbers: ["00", "01", "02", "03", "21", "22"],
        headers: WRITE_HEADERS,
        flags: &[],
    },
    Recording {
        dir: "wire/rw2",
        numbers: ["00", "01", "02", "03", "15", "16"],
        headers: WRITE_HEADERS_V2,
        flags: &[],
    },
    Recording {
        dir: "wire/rw2-st",
        numbers: ["00", "01", "02", "03", "15", "16"],
        headers: WRITE_HEADERS_V2,
        flags: &["--enable-feature=st-storage,xor2-encoding,histograms-st-encoding"],
    },
];

fn labels(name: &str) -> Vec<Label> {
    vec![Label { name: "__name__".to_owned(), value: name.to_owned() }]
}

fn histograms(name: &str, histograms: Vec<Histogram>) -> TimeSeries {
    TimeSeries { labels: labels(name), histograms, ..TimeSeries::default() }
}

fn exemplars(name: &str, exemplars: Vec<Exemplar>) -> TimeSeries {
    TimeSeries { labels: labels(name), exemplars, ..TimeSeries::default() }
}

fn floats(name: &str, samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries::new(&[("__name__", name)], samples)
}

fn request(timeseries: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// Returns a histogram of `count` observations: one in the zero bucket, the others in buckets 2 and
/// 4.
fn integer(t: i64, count: u64) -> Histogram {
    Histogram {
        count_int: Some(count),
        zero_count_int: Some(1),
        sum: (count as f64 * 1.5).to_bits(),
        schema: 3,
        zero_threshold: 0.001_f64.to_bits(),
        positive_spans: vec![
            BucketSpan { offset: 2, length: 1 },
            BucketSpan { offset: 1, length: 1 },
        ],
        positive_deltas: vec![1, count as i64 - 3],
        timestamp: t,
        ..Histogram::default()
    }
}

fn float(t: i64, count: f64) -> Histogram {
    Histogram {
        count_float: Some(count.to_bits()),
        sum: (-count).to_bits(),
        negative_spans: vec![BucketSpan { offset: 0, length: 2 }],
        negative_counts: vec![(count * 0.25).to_bits(), (count * 0.75).to_bits()],
        timestamp: t,
        ..Histogram::default()
    }
}

fn custom(t: i64, count: u64) -> Histogram {
    Histogram {
        count_int: Some(count),
        sum: (count as f64).to_bits(),
        schema: -53,
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, count as i64 - 2],
        custom_values: vec![0.5_f64.to_bits(), 2.5_f64.to_bits()],
        timestamp: t,
        ..Histogram::default()
    }
}

fn gauge(histogram: Histogram) -> Histogram {
    Histogram { reset_hint: 3, ..histogram }
}

fn exemplar(t: i64, trace: &str) -> Exemplar {
    let labels = vec![Label { name: "trace_id".to_owned(), value: trace.to_owned() }];
    Exemplar { labels, bits: Some(0.25_f64.to_bits()), timestamp: t }
}

/// Running server with its directory.
struct TestServer {
    server: Server,
    good: GoodWrites,
    temp_dir: TempDir,
}

impl TestServer {
    fn new() -> TestServer {
        let temp_dir = dir::temp();
        let server = Launch::narthex(&temp_dir.path().join("data")).start();
        TestServer { server, good: GoodWrites::default(), temp_dir }
    }

    fn assert_accepted(&self, request: &WriteRequest, context: &str) {
        let response = self.server.remote().write(request);
        assert_eq!(response.status, 204, "{context}: {}", response.text());
    }

    /// Asserts that some of the data are rejected, and that the message has these parts.
    fn assert_rejected(&self, context: &str, timeseries: Vec<TimeSeries>, parts: &[&str]) {
        let response = self.server.remote().write(&request(timeseries));
        let text = response.text();
        assert_eq!(response.status, 400, "{context}: {text}");
        for part in parts {
            assert!(text.contains(part), "{context}: {part:?} is not in {text:?}");
        }
        self.good.one_more(&self.server, context);
    }

    /// Asserts that exactly these series are stored, besides the valid writes after each rejection.
    fn assert_holds(&self, expected: &[TimeSeries], context: &str) {
        let others = Matcher { kind: 1, name: "__name__".into(), value: "good".into() };
        let stored = self.server.remote().read_points(&[others], MIN_TIME, MAX_TIME);
        let mut points = Points::new();
        points.add_request(&request(expected.to_vec()));
        stored.assert_equals(&points, context);
    }

    /// Kills and restarts the server.
    fn restart(self) -> TestServer {
        self.server.kill();
        let server = Launch::narthex(&self.temp_dir.path().join("data")).start();
        TestServer { server, ..self }
    }
}

/// Exemplar with the bits of its value.
#[derive(Debug, PartialEq)]
struct FoundExemplar {
    t: i64,
    bits: u64,
    labels: LabelSet,
}

type Exemplars = BTreeMap<LabelSet, Vec<FoundExemplar>>;

/// Converts a JSON object to a label set.
fn label_set(json: &Json) -> LabelSet {
    let pairs = json.as_object().expect("labels").iter();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().expect("a string").to_owned()))
        .collect()
}

fn stored_exemplars(server: &Server) -> Exemplars {
    let query = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D&start=0&end=9999999999";
    let response = server.http.get(query).json();
    assert_eq!(response["status"], "success", "{response}");
    let exemplar = |json: &Json| {
        let value: f64 = json["value"].as_str().expect("a string").parse().expect("a number");
        let t = (json["timestamp"].as_f64().expect("seconds") * 1000.0).round() as i64;
        FoundExemplar { t, bits: value.to_bits(), labels: label_set(&json["labels"]) }
    };
    let series = response["data"].as_array().expect("a list").iter();
    let list = |series: &Json| {
        series["exemplars"].as_array().expect("a list").iter().map(exemplar).collect()
    };
    series.map(|series| (label_set(&series["seriesLabels"]), list(series))).collect()
}

/// Contents of recorded requests.
#[derive(Default)]
struct Recorded {
    points: Points,
    exemplars: Exemplars,
}

impl Recorded {
    fn add(&mut self, series: &Json) {
        let hex =
            |json: &Json| u64::from_str_radix(json.as_str().expect("bits"), 16).expect("bits");
        let time = |json: &Json| json["t"].as_i64().expect("a time");
        let entries = |name: &str| series[name].as_array().into_iter().flatten();
        let labels = label_set(&series["labels"]);
        for sample in entries("samples") {
            let (t, bits) = (time(sample), hex(&sample["v"]));
            let value = match self.points.last_before(&labels, t) {
                // The stale marker of a histogram series is sent as a float and stored as a
                // histogram.
                Some(PointValue::Histogram(before)) if bits == STALE => {
                    PointValue::Histogram(Box::new(PlainHistogram {
                        float: before.float,
                        sum: STALE,
                        ..PlainHistogram::default()
                    }))
                }
                _ => PointValue::Float(bits),
            };
            self.points.add(&labels, t, value);
        }
        for entry in entries("histograms") {
            let value = PointValue::Histogram(Box::new(PlainHistogram::from_golden(&entry["h"])));
            self.points.add(&labels, time(entry), value);
        }
        for entry in entries("exemplars") {
            let found = FoundExemplar {
                t: time(entry),
                bits: hex(&entry["v"]),
                labels: label_set(&entry["labels"]),
            };
            let all = self.exemplars.entry(labels.clone()).or_default();
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }

    fn assert_equals(&self, server: &Server, context: &str) {
        server.remote().read_all_points().assert_equals(&self.points, context);
        assert_eq!(stored_exemplars(server), self.exemplars, "{context}");
    }
}

#[test]
fn histograms_of_all_types_are_stored_and_can_be_retried() {
    let server = TestServer::new();
    let times = (0..200).map(|i| BEGIN + i * 15_000);
    let list = |new: &dyn Fn(i64, u64) -> Histogram| {
        times.clone().zip(7..).map(|(t, count)| new(t, count)).collect()
    };
    let sent = vec![
        histograms("integer", list(&integer)),
        histograms("float", list(&|t, count| float(t, count as f64 / 3.0))),
        histograms("custom", list(&custom)),
        histograms("gauge", list(&|t, count| gauge(integer(t, 300 - count)))),
        // Changing types, and counter resets.
        histograms(
            "mixed",
            list(&|t, count| match count % 5 {
                0 => float(t, count as f64),
                1 => custom(t, count),
                2 => gauge(integer(t, count)),
                _ => integer(t, 500 - count),
            }),
        ),
    ];
    server.assert_accepted(&request(sent.clone()), "histograms of all types");
    server.assert_holds(&sent, "histograms of all types");
    server.assert_accepted(&request(sent.clone()), "a retry");
    server.assert_holds(&sent, "retried histograms");
    server.restart().assert_holds(&sent, "histograms after a kill");
}

#[test]
fn invalid_histogram_is_rejected_with_cause_and_rest_is_stored() {
    let server = TestServer::new();
    let first = histograms("known", vec![integer(BEGIN + 60_000, 7)]);
    server.assert_accepted(&request(vec![first]), "a first histogram");
    type Change = fn(&mut Histogram);
    let invalid: [(&str, &str, Change); 8] = [
        ("an invalid count", "count is 8", |h| h.count_int = Some(8)),
        ("a negative bucket", "negative count", |h| h.positive_deltas = vec![-1, 5]),
        ("more buckets than spans", "2 buckets, but 3 counts", |h| h.positive_deltas.push(1)),
        ("a span with a negative offset", "negative offset", |h| h.positive_spans[1].offset = -1),
        ("schema -5", "schema -5", |h| h.schema = -5),
        ("schema 53", "schema 53", |h| h.schema = 53),
        ("custom values of an exponential schema", "custom bucket bounds", |h| {
            h.custom_values = vec![1]
        }),
        ("custom values that are not ascending", "custom bucket bounds", |h| {
            (h.schema, h.zero_threshold, h.zero_count_int) = (-53, 0, None);
            h.custom_values = vec![2.0_f64.to_bits(), 1.0_f64.to_bits()];
        }),
    ];
    let mut expected = vec![histograms("known", vec![integer(BEGIN + 60_000, 7)])];
    for (t, (context, cause, change)) in (BEGIN + 61_000..).zip(invalid) {
        let mut histogram = integer(t, 7);
        change(&mut histogram);
        let valid = histograms("valid", vec![integer(t, 9)]);
        server.assert_rejected(
            context,
            vec![histograms("faulty", vec![histogram]), valid.clone()],
            &["1 invalid histogram", cause, "faulty"],
        );
        expected.push(valid);
        server.assert_holds(&expected, context);
    }
    let far = i64::from(u32::MAX) * 1000;
    server.assert_rejected(
        "far ahead",
        vec![histograms("far", vec![integer(far, 7)])],
        &["too far in the future", "far"],
    );
    let nameless = TimeSeries { labels: Vec::new(), ..histograms("", vec![float(BEGIN, 1.0)]) };
    server.assert_rejected("no labels", vec![nameless], &["1 invalid labels"]);
    server.assert_rejected(
        "another value at the same timestamp",
        vec![histograms("known", vec![integer(BEGIN + 60_000, 8), integer(BEGIN + 75_000, 8)])],
        &["1 duplicate timestamp", "known"],
    );
    server.assert_rejected(
        "another type at the same timestamp",
        vec![
            floats("known", &[(BEGIN + 60_000, 1.0)]),
            histograms("known", vec![float(BEGIN + 60_000, 7.0)]),
        ],
        &["1 duplicate timestamp", "known"],
    );
    expected.push(histograms("known", vec![integer(BEGIN + 75_000, 8)]));
    server.assert_holds(&expected, "after all rejections");
    let metrics = server.server.http.get("/metrics").text();
    let line = "narthex_remote_write_rejected_samples_total{reason=\"invalid_histogram\"} 8\n";
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}

#[test]
fn histogram_of_schema_9_is_stored_at_schema_8() {
    let server = TestServer::new();
    let fine = Histogram { schema: 9, ..integer(BEGIN, 7) };
    for _ in 0..2 {
        server.assert_accepted(&request(vec![histograms("fine", vec![fine.clone()])]), "schema 9");
    }
    // Bucket 2 becomes 1, bucket 4 becomes 2.
    let coarse = Histogram {
        schema: 8,
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, 4],
        ..integer(BEGIN, 7)
    };
    server.assert_holds(&[histograms("fine", vec![coarse])], "schema 9");
}

#[test]
fn exemplars_follow_response_contract() {
    let server = TestServer::new();
    let with_exemplars = request(vec![
        exemplars("a", vec![exemplar(BEGIN, "1"), exemplar(BEGIN + 1, "2")]),
        floats("a", &[(BEGIN, 1.0)]),
        TimeSeries {
            exemplars: vec![exemplar(BEGIN, "3")],
            ..histograms("h", vec![integer(BEGIN, 7)])
        },
    ]);
    server.assert_accepted(&with_exemplars, "exemplars");
    server.assert_accepted(&with_exemplars, "retried exemplars");
    server.assert_accepted(
        &request(vec![exemplars("h", vec![exemplar(BEGIN + 9, "4")])]),
        "exemplars without samples",
    );
    server.assert_rejected(
        "an exemplar older than the window",
        vec![
            exemplars("a", vec![exemplar(BEGIN - 3 * HOUR, "0"), exemplar(BEGIN + 2, "5")]),
            floats("a", &[(BEGIN + 2, 2.0)]),
        ],
        &["1 out of order (exemplars)", "__name__=\"a\""],
    );
    server.assert_rejected(
        "long labels",
        vec![exemplars("a", vec![exemplar(BEGIN + 3, &"x".repeat(130))])],
        &["1 invalid labels (exemplars)"],
    );
    server.assert_rejected(
        "an unknown series",
        vec![exemplars("new", vec![exemplar(BEGIN, "6")])],
        &["series without samples"],
    );
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let stored =
        |t, trace| FoundExemplar { t, bits: 0.25_f64.to_bits(), labels: pair("trace_id", trace) };
    let expected = BTreeMap::from([
        (
            pair("__name__", "a"),
            vec![stored(BEGIN, "1"), stored(BEGIN + 1, "2"), stored(BEGIN + 2, "5")],
        ),
        (pair("__name__", "h"), vec![stored(BEGIN, "3"), stored(BEGIN + 9, "4")]),
    ]);
    assert_eq!(stored_exemplars(&server.server), expected);
    let points =
        [floats("a", &[(BEGIN, 1.0), (BEGIN + 2, 2.0)]), histograms("h", vec![integer(BEGIN, 7)])];
    server.assert_holds(&points, "samples with exemplars");
    assert_eq!(stored_exemplars(&server.restart().server), expected);
}

#[test]
fn batch_with_several_samples_per_series_can_be_retried() {
    let server = TestServer::new();
    let times: Vec<i64> = (0..5).map(|i| BEGIN + HOUR + i * 1000).collect();
    let newest = BEGIN + HOUR + 60_000;
    let batch = vec![
        floats("f", &times.iter().map(|&t| (t, 1.5)).collect::<Vec<_>>()),
        histograms("i", times.iter().map(|&t| integer(t, 9)).collect()),
        histograms("x", times.iter().map(|&t| float(t, 4.0)).collect()),
        histograms("c", times.iter().map(|&t| custom(t, 9)).collect()),
        exemplars("f", times.iter().map(|&t| exemplar(t, "1")).collect()),
    ];
    for context in ["a batch", "its retry"] {
        server.assert_accepted(&request(batch.clone()), context);
    }
    // Newer samples, and a delayed retry of the batch.
    let newer = vec![floats("f", &[(newest, 2.5)]), histograms("i", vec![integer(newest, 10)])];
    server.assert_accepted(&request(newer.clone()), "newer samples");
    server.assert_accepted(&request(batch.clone()), "a late retry");
    let expected = [batch, newer].concat();
    server.assert_holds(&expected, "retried batches");
    server.restart().assert_holds(&expected, "retried batches after a kill");
}

#[test]
fn ooo_samples_of_every_type_are_stored_and_can_be_retried() {
    let server = TestServer::new();
    let newest = BEGIN + HOUR;
    let first = vec![
        floats("f", &[(newest, 1.0)]),
        histograms("i", vec![integer(newest, 9)]),
        histograms("x", vec![float(newest, 9.0)]),
        histograms("c", vec![custom(newest, 9)]),
    ];
    server.assert_accepted(&request(first.clone()), "the newest samples");
    let times: Vec<i64> = (0..40).map(|i| BEGIN + i * 1000).collect();
    let ooo = vec![
        floats("f", &times.iter().map(|&t| (t, 0.5)).collect::<Vec<_>>()),
        histograms("i", times.iter().map(|&t| integer(t, 5)).collect()),
        histograms("x", times.iter().map(|&t| float(t, 4.0)).collect()),
        histograms("c", times.iter().map(|&t| custom(t, 5)).collect()),
    ];
    for context in ["an out-of-order batch", "its retry"] {
        server.assert_accepted(&request(ooo.clone()), context);
    }
    let expected = [first, ooo].concat();
    server.assert_holds(&expected, "out-of-order batches");
    server.assert_rejected(
        "another value at an older timestamp",
        vec![histograms("i", vec![integer(BEGIN, 6)]), floats("f", &[(BEGIN + 1000, 0.25)])],
        &["1 duplicate timestamp with another value, 1 duplicate timestamp with another value (histograms)"],
    );
    server.assert_holds(&expected, "out-of-order batches and other values");
    server.restart().assert_holds(&expected, "out-of-order batches after a kill");
}

#[test]
fn recorded_requests_of_real_sender_are_stored() {
    RECORDED.iter().for_each(check_recording);
}

fn check_recording(recording: &Recording) {
    let temp_dir = dir::temp();
    // The timestamps may be ahead of the clock of this machine.
    let launch = || {
        let flags = recording.flags.iter();
        let launch = Launch::narthex(&temp_dir.path().join("data"))
            .flag("--storage.remote.write-max-future=100y");
        flags.fold(launch, |launch, flag| launch.flag(*flag))
    };
    let server = launch().start();
    let mut expected = Recorded::default();
    let dir = recording.dir;
    for number in recording.numbers {
        let body = std::fs::read(golden::folder(dir).join(format!("{number}.body")))
            .expect("a recorded body");
        let response = server.http.post(WRITE, &recording.headers, &body);
        assert_eq!(response.status, 204, "{dir}, request {number}: {}", response.text());
        let recorded: Json =
            serde_json::from_str(&golden::text(dir, &format!("{number}.json"))).expect("JSON");
        recorded["decoded"]["timeseries"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|series| expected.add(series));
    }
    let points = &expected.points;
    assert!(
        points.count() > 70 && points.histogram_count() >= 6 && expected.exemplars.len() == 3,
        "{points:?}"
    );
    expected.assert_equals(&server, dir);
    server.kill();
    expected.assert_equals(&launch().start(), &format!("{dir} after a kill"));
}

#[test]
fn float_stale_marker_after_histogram_becomes_histogram() {
    let server = TestServer::new();
    server.assert_accepted(&request(vec![histograms("h", vec![integer(BEGIN, 7)])]), "a histogram");
    let stale = TimeSeries {
        labels: labels("h"),
        samples: vec![Sample { bits: Some(STALE), timestamp: BEGIN + 1000 }],
        ..TimeSeries::default()
    };
    for context in ["a stale marker", "its retry"] {
        server.assert_accepted(&request(vec![stale.clone()]), context);
    }
    let end = Histogram {
        count_int: Some(0),
        sum: STALE,
        timestamp: BEGIN + 1000,
        ..Histogram::default()
    };
    let expected = [histograms("h", vec![integer(BEGIN, 7), end])];
    server.assert_holds(&expected, "a stale series");
    server.restart().assert_holds(&expected, "a stale series after a kill");
}

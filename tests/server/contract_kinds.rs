//! What a write of native histograms and exemplars is answered, what of it is stored, and that
//! recorded requests of a real sender come back whole.
//!
//! Beside `contract.rs`, which has the rows for floats and for bodies that are no request.

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

/// Recorded requests of one version; the second of them was answered 503 and sent again.
struct Recording {
    folder: &'static str,
    numbers: [&'static str; 6],
    headers: [(&'static str, &'static str); 3],
    flags: &'static [&'static str],
}

/// The headers of remote write 2.0.
const WRITE_HEADERS_V2: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "2.0.0"),
];

const RECORDED: [Recording; 3] = [
    Recording {
        folder: "wire/rw1",
        numbers: ["00", "01", "02", "03", "21", "22"],
        headers: WRITE_HEADERS,
        flags: &[],
    },
    Recording {
        folder: "wire/rw2",
        numbers: ["00", "01", "02", "03", "15", "16"],
        headers: WRITE_HEADERS_V2,
        flags: &[],
    },
    Recording {
        folder: "wire/rw2-st",
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

/// `count` observations: one around zero, the others in buckets 2 and 4.
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

/// A narthex with its directory.
struct Bench {
    server: Server,
    good: GoodWrites,
    place: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let place = dir::temp();
        let server = Launch::narthex(&place.path().join("data")).start();
        Bench { server, good: GoodWrites::default(), place }
    }

    fn accepted(&self, request: &WriteRequest, what: &str) {
        let answer = self.server.remote().write(request);
        assert_eq!(answer.status, 204, "{what}: {}", answer.text());
    }

    /// Sends what must be refused at least in part, and what the answer must say.
    fn refused(&self, what: &str, timeseries: Vec<TimeSeries>, says: &[&str]) {
        let answer = self.server.remote().write(&request(timeseries));
        let text = answer.text();
        assert_eq!(answer.status, 400, "{what}: {text}");
        for part in says {
            assert!(text.contains(part), "{what}: {part:?} is not in {text:?}");
        }
        self.good.one_more(&self.server, what);
    }

    /// What is stored besides the good writes is exactly this.
    fn holds(&self, expected: &[TimeSeries], what: &str) {
        let others = Matcher { kind: 1, name: "__name__".into(), value: "good".into() };
        let stored = self.server.remote().read_points(&[others], MIN_TIME, MAX_TIME);
        let mut points = Points::new();
        points.add_request(&request(expected.to_vec()));
        stored.assert_equals(&points, what);
    }

    /// Killed and started again.
    fn killed(self) -> Bench {
        self.server.kill();
        let server = Launch::narthex(&self.place.path().join("data")).start();
        Bench { server, ..self }
    }
}

/// An exemplar, its value by the bits.
#[derive(Debug, PartialEq)]
struct FoundExemplar {
    t: i64,
    bits: u64,
    labels: LabelSet,
}

type Exemplars = BTreeMap<LabelSet, Vec<FoundExemplar>>;

/// Labels as a JSON object has them.
fn set(json: &Json) -> LabelSet {
    let pairs = json.as_object().expect("labels").iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect()
}

fn stored_exemplars(server: &Server) -> Exemplars {
    let query = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D&start=0&end=9999999999";
    let answer = server.http.get(query).json();
    assert_eq!(answer["status"], "success", "{answer}");
    let one = |json: &Json| {
        let value: f64 = json["value"].as_str().expect("a text").parse().expect("a number");
        let t = (json["timestamp"].as_f64().expect("seconds") * 1000.0).round() as i64;
        FoundExemplar { t, bits: value.to_bits(), labels: set(&json["labels"]) }
    };
    let series = answer["data"].as_array().expect("a list").iter();
    let of =
        |series: &Json| series["exemplars"].as_array().expect("a list").iter().map(one).collect();
    series.map(|series| (set(&series["seriesLabels"]), of(series))).collect()
}

/// What recorded requests had.
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
        let labels = set(&series["labels"]);
        for sample in entries("samples") {
            let (t, bits) = (time(sample), hex(&sample["v"]));
            let value = match self.points.last_before(&labels, t) {
                // A series of histograms ends with a histogram, though the marker is sent as a
                // float.
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
                labels: set(&entry["labels"]),
            };
            let all = self.exemplars.entry(labels.clone()).or_default();
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }

    fn is_all_of(&self, server: &Server, what: &str) {
        server.remote().read_all_points().assert_equals(&self.points, what);
        assert_eq!(stored_exemplars(server), self.exemplars, "{what}");
    }
}

#[test]
fn histograms_of_every_kind_come_back_and_repeats_are_fine() {
    let bench = Bench::new();
    let times = (0..200).map(|i| BEGIN + i * 15_000);
    let list = |make: &dyn Fn(i64, u64) -> Histogram| {
        times.clone().zip(7..).map(|(t, count)| make(t, count)).collect()
    };
    let sent = vec![
        histograms("integer", list(&integer)),
        histograms("float", list(&|t, count| float(t, count as f64 / 3.0))),
        histograms("custom", list(&custom)),
        histograms("gauge", list(&|t, count| gauge(integer(t, 300 - count)))),
        // A kind after another, resets, and a float in between.
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
    bench.accepted(&request(sent.clone()), "histograms of every kind");
    bench.holds(&sent, "histograms of every kind");
    bench.accepted(&request(sent.clone()), "the same again");
    bench.holds(&sent, "histograms that were sent twice");
    bench.killed().holds(&sent, "histograms after a kill");
}

#[test]
fn invalid_histogram_is_rejected_with_cause_and_rest_is_stored() {
    let bench = Bench::new();
    let first = histograms("known", vec![integer(BEGIN + 60_000, 7)]);
    bench.accepted(&request(vec![first]), "a first histogram");
    type Change = fn(&mut Histogram);
    let invalid: [(&str, &str, Change); 8] = [
        ("a wrong count", "count is 8", |h| h.count_int = Some(8)),
        ("a negative bucket", "negative count", |h| h.positive_deltas = vec![-1, 5]),
        ("more buckets than spans", "2 buckets, but 3 counts", |h| h.positive_deltas.push(1)),
        ("a span that goes back", "negative offset", |h| h.positive_spans[1].offset = -1),
        ("schema -5", "schema -5", |h| h.schema = -5),
        ("schema 53", "schema 53", |h| h.schema = 53),
        ("custom bounds of an exponential schema", "custom bucket bounds", |h| {
            h.custom_values = vec![1]
        }),
        ("custom bounds that do not rise", "custom bucket bounds", |h| {
            (h.schema, h.zero_threshold, h.zero_count_int) = (-53, 0, None);
            h.custom_values = vec![2.0_f64.to_bits(), 1.0_f64.to_bits()];
        }),
    ];
    let mut expected = vec![histograms("known", vec![integer(BEGIN + 60_000, 7)])];
    for (t, (what, says, change)) in (BEGIN + 61_000..).zip(invalid) {
        let mut bad = integer(t, 7);
        change(&mut bad);
        let good = histograms("beside", vec![integer(t, 9)]);
        bench.refused(
            what,
            vec![histograms("bad", vec![bad]), good.clone()],
            &["1 invalid histogram", says, "bad"],
        );
        expected.push(good);
        bench.holds(&expected, what);
    }
    let far = i64::from(u32::MAX) * 1000;
    bench.refused(
        "far ahead",
        vec![histograms("far", vec![integer(far, 7)])],
        &["too far in the future", "far"],
    );
    let nameless = TimeSeries { labels: Vec::new(), ..histograms("", vec![float(BEGIN, 1.0)]) };
    bench.refused("no labels", vec![nameless], &["1 invalid labels"]);
    bench.refused(
        "another value at that time",
        vec![histograms("known", vec![integer(BEGIN + 60_000, 8), integer(BEGIN + 75_000, 8)])],
        &["1 duplicate timestamp", "known"],
    );
    bench.refused(
        "another kind at that time",
        vec![
            floats("known", &[(BEGIN + 60_000, 1.0)]),
            histograms("known", vec![float(BEGIN + 60_000, 7.0)]),
        ],
        &["1 duplicate timestamp", "known"],
    );
    expected.push(histograms("known", vec![integer(BEGIN + 75_000, 8)]));
    bench.holds(&expected, "after all that was refused");
    let metrics = bench.server.http.get("/metrics").text();
    let counted = "narthex_remote_write_rejected_samples_total{reason=\"invalid_histogram\"} 8\n";
    assert!(metrics.contains(counted), "{counted} is not in\n{metrics}");
}

#[test]
fn a_histogram_of_a_finer_schema_comes_back_at_schema_8() {
    let bench = Bench::new();
    let fine = Histogram { schema: 9, ..integer(BEGIN, 7) };
    for _ in 0..2 {
        bench.accepted(&request(vec![histograms("fine", vec![fine.clone()])]), "schema 9");
    }
    // Bucket 2 becomes 1, bucket 4 becomes 2.
    let coarse = Histogram {
        schema: 8,
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, 4],
        ..integer(BEGIN, 7)
    };
    bench.holds(&[histograms("fine", vec![coarse])], "schema 9");
}

#[test]
fn exemplars_follow_response_contract() {
    let bench = Bench::new();
    let with_exemplars = request(vec![
        exemplars("a", vec![exemplar(BEGIN, "1"), exemplar(BEGIN + 1, "2")]),
        floats("a", &[(BEGIN, 1.0)]),
        TimeSeries {
            exemplars: vec![exemplar(BEGIN, "3")],
            ..histograms("h", vec![integer(BEGIN, 7)])
        },
    ]);
    bench.accepted(&with_exemplars, "exemplars");
    bench.accepted(&with_exemplars, "the same exemplars");
    bench.accepted(
        &request(vec![exemplars("h", vec![exemplar(BEGIN + 9, "4")])]),
        "exemplars alone",
    );
    bench.refused(
        "an exemplar older than the window",
        vec![
            exemplars("a", vec![exemplar(BEGIN - 3 * HOUR, "0"), exemplar(BEGIN + 2, "5")]),
            floats("a", &[(BEGIN + 2, 2.0)]),
        ],
        &["1 out of order (exemplars)", "__name__=\"a\""],
    );
    bench.refused(
        "long labels",
        vec![exemplars("a", vec![exemplar(BEGIN + 3, &"x".repeat(130))])],
        &["1 invalid labels (exemplars)"],
    );
    bench.refused(
        "an unknown series",
        vec![exemplars("new", vec![exemplar(BEGIN, "6")])],
        &["series without samples"],
    );
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let of =
        |t, trace| FoundExemplar { t, bits: 0.25_f64.to_bits(), labels: pair("trace_id", trace) };
    let expected = BTreeMap::from([
        (pair("__name__", "a"), vec![of(BEGIN, "1"), of(BEGIN + 1, "2"), of(BEGIN + 2, "5")]),
        (pair("__name__", "h"), vec![of(BEGIN, "3"), of(BEGIN + 9, "4")]),
    ]);
    assert_eq!(stored_exemplars(&bench.server), expected);
    let points =
        [floats("a", &[(BEGIN, 1.0), (BEGIN + 2, 2.0)]), histograms("h", vec![integer(BEGIN, 7)])];
    bench.holds(&points, "points beside exemplars");
    assert_eq!(stored_exemplars(&bench.killed().server), expected);
}

#[test]
fn a_retried_batch_with_several_values_of_each_series_is_fine() {
    let bench = Bench::new();
    let times: Vec<i64> = (0..5).map(|i| BEGIN + HOUR + i * 1000).collect();
    let newest = BEGIN + HOUR + 60_000;
    let batch = vec![
        floats("f", &times.iter().map(|&t| (t, 1.5)).collect::<Vec<_>>()),
        histograms("i", times.iter().map(|&t| integer(t, 9)).collect()),
        histograms("x", times.iter().map(|&t| float(t, 4.0)).collect()),
        histograms("c", times.iter().map(|&t| custom(t, 9)).collect()),
        exemplars("f", times.iter().map(|&t| exemplar(t, "1")).collect()),
    ];
    for what in ["a batch", "its retry"] {
        bench.accepted(&request(batch.clone()), what);
    }
    // Newer ones, and the batch once more: its answer was lost for long.
    let newer = vec![floats("f", &[(newest, 2.5)]), histograms("i", vec![integer(newest, 10)])];
    bench.accepted(&request(newer.clone()), "newer values");
    bench.accepted(&request(batch.clone()), "a late retry");
    let expected = [batch, newer].concat();
    bench.holds(&expected, "retried batches");
    bench.killed().holds(&expected, "retried batches after a kill");
}

#[test]
fn ooo_samples_of_every_type_are_stored_and_can_be_retried() {
    let bench = Bench::new();
    let newest = BEGIN + HOUR;
    let first = vec![
        floats("f", &[(newest, 1.0)]),
        histograms("i", vec![integer(newest, 9)]),
        histograms("x", vec![float(newest, 9.0)]),
        histograms("c", vec![custom(newest, 9)]),
    ];
    bench.accepted(&request(first.clone()), "the newest values");
    let times: Vec<i64> = (0..40).map(|i| BEGIN + i * 1000).collect();
    let late = vec![
        floats("f", &times.iter().map(|&t| (t, 0.5)).collect::<Vec<_>>()),
        histograms("i", times.iter().map(|&t| integer(t, 5)).collect()),
        histograms("x", times.iter().map(|&t| float(t, 4.0)).collect()),
        histograms("c", times.iter().map(|&t| custom(t, 5)).collect()),
    ];
    for what in ["a late batch", "its retry"] {
        bench.accepted(&request(late.clone()), what);
    }
    let expected = [first, late].concat();
    bench.holds(&expected, "late batches");
    bench.refused(
        "another value at a late time",
        vec![histograms("i", vec![integer(BEGIN, 6)]), floats("f", &[(BEGIN + 1000, 0.25)])],
        &["1 duplicate timestamp with another value, 1 duplicate timestamp with another value (histograms)"],
    );
    bench.holds(&expected, "late batches and other values");
    bench.killed().holds(&expected, "late batches after a kill");
}

#[test]
fn recorded_requests_of_a_real_sender_come_back_whole() {
    RECORDED.iter().for_each(come_back_whole);
}

fn come_back_whole(recording: &Recording) {
    let place = dir::temp();
    // They may be ahead of this machine's clock.
    let launch = || {
        let flags = recording.flags.iter();
        let launch = Launch::narthex(&place.path().join("data"))
            .flag("--storage.remote.write-max-future=100y");
        flags.fold(launch, |launch, flag| launch.flag(*flag))
    };
    let server = launch().start();
    let mut expected = Recorded::default();
    let folder = recording.folder;
    for number in recording.numbers {
        let body = std::fs::read(golden::folder(folder).join(format!("{number}.body")))
            .expect("a recorded body");
        let answer = server.http.post(WRITE, &recording.headers, &body);
        assert_eq!(answer.status, 204, "{folder}, request {number}: {}", answer.text());
        let recorded: Json =
            serde_json::from_str(&golden::text(folder, &format!("{number}.json"))).expect("JSON");
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
    expected.is_all_of(&server, folder);
    server.kill();
    expected.is_all_of(&launch().start(), &format!("{folder} after a kill"));
}

#[test]
fn float_stale_marker_after_histogram_becomes_histogram() {
    let bench = Bench::new();
    bench.accepted(&request(vec![histograms("h", vec![integer(BEGIN, 7)])]), "a histogram");
    let stale = TimeSeries {
        labels: labels("h"),
        samples: vec![Sample { bits: Some(STALE), timestamp: BEGIN + 1000 }],
        ..TimeSeries::default()
    };
    for what in ["a stale marker", "its retry"] {
        bench.accepted(&request(vec![stale.clone()]), what);
    }
    let end = Histogram {
        count_int: Some(0),
        sum: STALE,
        timestamp: BEGIN + 1000,
        ..Histogram::default()
    };
    let expected = [histograms("h", vec![integer(BEGIN, 7), end])];
    bench.holds(&expected, "a series that ended");
    bench.killed().holds(&expected, "a series that ended, after a kill");
}

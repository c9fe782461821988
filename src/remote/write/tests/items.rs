//! Outcomes for histograms and exemplars of a request.

use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::model::exemplar::Exemplar;
use crate::model::float_sample::STALE_NAN_BITS;
use crate::model::labels::LabelsBuilder;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::sample::{Sample, SampleValue};
use crate::model::time::TimeRange;
use crate::remote::body_compression::BodyCompression;
use crate::remote::pb::prometheus as pb;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::v1::request_index::RequestIndexV1;
use crate::remote::write::{RemoteWriteVersion, RemoteWriter, WireFormat};
use crate::tsdb::db::LockedDir;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::{Db, ExemplarOptions};
use prost::Message;
use std::collections::BTreeMap;
use tempfile::TempDir;

const PLAIN: WireFormat =
    WireFormat { version: RemoteWriteVersion::V1, packing: BodyCompression::Plain };
const SNAPPY: WireFormat =
    WireFormat { version: RemoteWriteVersion::V1, packing: BodyCompression::SnappyBlock };
const NOW: i64 = 1_762_300_800_000;

struct Bench {
    db: Db,
    writer: RemoteWriter,
    registry: Registry,
    _dir: TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut options = DbOptions::new(dir.path().to_owned());
    options.series_limit.max = 20;
    let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
    let mut registry = Registry::new();
    let limits = WriteLimits {
        decoded_bytes: 1 << 20,
        counts: CountLimits { series: 1000, samples: 10_000 },
        items: IngestLimits {
            labels: LabelLimits { count: 10, name_bytes: 20, value_bytes: 1000 },
            metadata: MetadataLimits { name_bytes: 100, text_bytes: 100 },
            max_future_ms: 600_000,
            dry_run: DryRunLimits::NONE,
        },
    };
    let writer = RemoteWriter::new(limits, WriteMetrics::register(&mut registry));
    Bench { db, writer, registry, _dir: dir }
}

fn labels(name: &str) -> Vec<pb::Label> {
    vec![pb::Label { name: "__name__".to_owned(), value: name.to_owned() }]
}

fn histograms(name: &str, histograms: Vec<pb::Histogram>) -> pb::TimeSeries {
    pb::TimeSeries { labels: labels(name), histograms, ..Default::default() }
}

fn exemplars(name: &str, exemplars: Vec<pb::Exemplar>) -> pb::TimeSeries {
    pb::TimeSeries { labels: labels(name), exemplars, ..Default::default() }
}

fn sample(name: &str, timestamp: i64, value: f64) -> pb::TimeSeries {
    pb::TimeSeries {
        labels: labels(name),
        samples: vec![pb::Sample { value, timestamp }],
        ..Default::default()
    }
}

/// Returns a histogram of `count` observations, all but one in one bucket.
fn integer(timestamp: i64, count: u64) -> pb::Histogram {
    pb::Histogram {
        timestamp,
        schema: 3,
        zero_threshold: 0.001,
        count: Some(pb::histogram::Count::CountInt(count)),
        zero_count: Some(pb::histogram::ZeroCount::ZeroCountInt(1)),
        sum: count as f64 * 1.5,
        positive_spans: vec![pb::BucketSpan { offset: 2, length: 1 }],
        positive_deltas: vec![count as i64 - 1],
        ..Default::default()
    }
}

fn float(timestamp: i64, count: f64) -> pb::Histogram {
    pb::Histogram {
        timestamp,
        count: Some(pb::histogram::Count::CountFloat(count)),
        sum: count * 1.5,
        negative_spans: vec![pb::BucketSpan { offset: -2, length: 2 }],
        negative_counts: vec![count / 4.0, 0.75 * count],
        ..Default::default()
    }
}

fn custom(timestamp: i64, count: u64) -> pb::Histogram {
    pb::Histogram {
        schema: -53,
        zero_threshold: 0.0,
        zero_count: None,
        positive_spans: vec![pb::BucketSpan { offset: 1, length: 1 }],
        positive_deltas: vec![count as i64],
        custom_values: vec![0.5, 2.5],
        ..integer(timestamp, count)
    }
}

fn exemplar(timestamp: i64, trace: &str) -> pb::Exemplar {
    let labels = vec![pb::Label { name: "trace_id".to_owned(), value: trace.to_owned() }];
    pb::Exemplar { labels, value: 0.5, timestamp }
}

impl Bench {
    fn write(&self, timeseries: Vec<pb::TimeSeries>) -> WriteOutcome {
        let request = pb::WriteRequest { timeseries, metadata: Vec::new() };
        self.writer.store(&self.db, &request.encode_to_vec(), PLAIN, NOW).unwrap()
    }

    fn write_all(&self, timeseries: Vec<pb::TimeSeries>) -> WriteOutcome {
        let outcome = self.write(timeseries);
        assert!(outcome.rejections.is_empty(), "{}", outcome.rejections);
        outcome
    }

    fn stored(&self) -> BTreeMap<String, Vec<Sample>> {
        let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
        let querier = self.db.querier();
        let series = querier.select(&all, TimeRange::ALL).unwrap().map(|series| {
            let series = series.unwrap();
            let points = series.samples(TimeRange::ALL).map(|point| point.unwrap()).collect();
            (series.labels().to_string(), points)
        });
        series.collect()
    }

    fn exemplars(&self) -> BTreeMap<String, Vec<Exemplar>> {
        let all = vec![Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
        let found = self.db.head().exemplars().select(&[all], TimeRange::ALL);
        found.into_iter().map(|series| (series.labels.to_string(), series.exemplars)).collect()
    }

    /// Asserts that exactly these histograms are stored for a series.
    fn has(&self, name: &str, expected: &[pb::Histogram]) {
        let body = pb::WriteRequest {
            timeseries: vec![histograms(name, expected.to_vec())],
            metadata: Vec::new(),
        };
        let body = body.encode_to_vec();
        let mut index = RequestIndexV1::default();
        let request = index.validate(&body, CountLimits { series: 1, samples: 1000 }).unwrap();
        let expected: Vec<_> =
            request.series().next().unwrap().histograms().map(|point| point.unwrap()).collect();
        assert_same(&self.stored()[&format!("{{__name__=\"{name}\"}}")], &expected);
    }
}

fn assert_same(found: &[Sample], expected: &[Sample]) {
    assert_eq!(found.len(), expected.len(), "{found:?} is not {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.t, expected.t);
        assert!(found.value.is_equivalent(&expected.value), "{found:?} is not {expected:?}");
    }
}

#[test]
fn histograms_are_stored_and_retry_is_safe() {
    let bench = bench();
    let gauge = |t, count| pb::Histogram {
        reset_hint: pb::histogram::ResetHint::Gauge as i32,
        ..integer(t, count)
    };
    let sent: Vec<(&str, Vec<pb::Histogram>)> = vec![
        ("integer", (0..10).map(|i| integer(NOW + i, 5 + i as u64)).collect()),
        ("float", (0..10).map(|i| float(NOW + i, 4.0 + i as f64)).collect()),
        ("custom", (0..10).map(|i| custom(NOW + i, 5 + i as u64)).collect()),
        ("gauge", (0..10).map(|i| gauge(NOW + i, 50 - i as u64)).collect()),
        (
            "mixed",
            vec![
                integer(NOW, 5),
                float(NOW + 1, 4.0),
                custom(NOW + 2, 5),
                gauge(NOW + 3, 7),
                integer(NOW + 4, 6),
            ],
        ),
    ];
    for _ in 0..2 {
        let outcome = bench
            .write_all(sent.iter().map(|(name, list)| histograms(name, list.clone())).collect());
        assert_eq!((outcome.samples, outcome.histograms, outcome.exemplars), (0, 45, 0));
    }
    for (name, list) in &sent {
        bench.has(name, list);
    }
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    assert!(metrics.contains("narthex_remote_write_histograms_total 90\n"), "{metrics}");
}

#[test]
fn floats_precede_histograms_of_a_series() {
    let bench = bench();
    let mut both = histograms("a", vec![integer(NOW + 10, 5), integer(NOW + 20, 6)]);
    both.samples = vec![
        pb::Sample { value: 1.0, timestamp: NOW },
        pb::Sample { value: 2.0, timestamp: NOW + 5 },
    ];
    let outcome = bench.write_all(vec![both]);
    assert_eq!((outcome.samples, outcome.histograms), (2, 2));
    let stored = &bench.stored()["{__name__=\"a\"}"];
    assert_eq!(
        stored.iter().map(|point| point.t).collect::<Vec<_>>(),
        [NOW, NOW + 5, NOW + 10, NOW + 20]
    );
    assert!(
        matches!(stored[1].value, SampleValue::Float(2.0))
            && matches!(stored[2].value, SampleValue::Histogram(_))
    );
}

#[test]
fn histogram_above_maximum_schema_is_reduced() {
    let bench = bench();
    let fine = |t| pb::Histogram {
        schema: 9,
        positive_spans: vec![pb::BucketSpan { offset: 3, length: 2 }],
        positive_deltas: vec![1, 1],
        ..integer(t, 4)
    };
    bench.write_all(vec![histograms("fine", vec![fine(NOW), fine(NOW + 1)])]);
    // Its duplicate is reduced in the same way.
    bench.write_all(vec![histograms("fine", vec![fine(NOW), fine(NOW + 1)])]);
    let merged = |t| pb::Histogram {
        schema: 8,
        positive_spans: vec![pb::BucketSpan { offset: 2, length: 1 }],
        positive_deltas: vec![3],
        ..integer(t, 4)
    };
    bench.has("fine", &[merged(NOW), merged(NOW + 1)]);
}

#[test]
fn invalid_histograms_are_counted_with_cause() {
    let bench = bench();
    bench.write_all(vec![histograms("a", vec![integer(NOW, 5)])]);
    let outcome = bench.write(vec![
        histograms(
            "a",
            vec![
                integer(NOW, 6),
                pb::Histogram { count: None, ..integer(NOW + 1, 5) },
                integer(NOW + 2, 6),
            ],
        ),
        histograms(
            "b",
            vec![pb::Histogram { schema: -5, ..integer(NOW, 5) }, integer(NOW + 600_001, 5)],
        ),
        histograms("", vec![integer(NOW, 5), integer(NOW + 1, 5)]),
        histograms("c", vec![float(NOW, 1.0)]),
    ]);
    assert_eq!((outcome.samples, outcome.histograms), (0, 2));
    for (reason, count) in [
        (RejectReason::DuplicateTimestamp, 1),
        (RejectReason::InvalidHistogram, 2),
        (RejectReason::TooFarAhead, 1),
        (RejectReason::BadLabels, 2),
    ] {
        assert_eq!(
            outcome.rejections.count_of(ItemKind::Histogram, reason),
            count,
            "{}",
            outcome.rejections
        );
    }
    let text = outcome.rejections.to_string();
    for part in ["2 invalid histogram", "schema -5", "duplicate timestamp", "no labels"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    bench.has("a", &[integer(NOW, 5), integer(NOW + 2, 6)]);
    bench.has("c", &[float(NOW, 1.0)]);
    assert_eq!(bench.stored().len(), 2);
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    let line = "narthex_remote_write_rejected_samples_total{reason=\"invalid_histogram\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn stale_marker_is_stored_as_histogram() {
    let bench = bench();
    bench.write_all(vec![
        histograms("a", vec![integer(NOW, 5)]),
        histograms("b", vec![float(NOW, 5.0)]),
    ]);
    let stale = f64::from_bits(STALE_NAN_BITS);
    for _ in 0..2 {
        bench.write_all(vec![sample("a", NOW + 1, stale), sample("b", NOW + 1, stale)]);
    }
    let stored = bench.stored();
    let last = |name: &str| stored[name].last().map(|sample| sample.value.clone()).unwrap();
    let is_stale = |sum: f64| sum.to_bits() == STALE_NAN_BITS;
    assert!(matches!(last("{__name__=\"a\"}"), SampleValue::Histogram(h) if is_stale(h.sum)));
    assert!(matches!(last("{__name__=\"b\"}"), SampleValue::FloatHistogram(h) if is_stale(h.sum)));
}

#[test]
fn exemplars_in_any_order_are_stored_once() {
    let bench = bench();
    let request = || {
        let empty = pb::Exemplar { labels: Vec::new(), value: 0.75, timestamp: NOW };
        vec![
            exemplars("a", vec![exemplar(NOW, "1"), exemplar(NOW + 1, "2")]),
            sample("a", NOW, 1.0),
            pb::TimeSeries { exemplars: vec![empty], ..histograms("h", vec![integer(NOW, 5)]) },
        ]
    };
    for _ in 0..2 {
        let outcome = bench.write_all(request());
        assert_eq!((outcome.samples, outcome.histograms, outcome.exemplars), (1, 1, 3));
    }
    // Exemplars without samples.
    assert_eq!(bench.write_all(vec![exemplars("h", vec![exemplar(NOW + 5, "3")])]).exemplars, 1);
    let found = bench.exemplars();
    let of = |t, v, trace: Option<&str>| Exemplar {
        t,
        v,
        labels: trace.map(|id| {
            [("trace_id", id)].into_iter().collect::<LabelsBuilder<'_>>().build().unwrap()
        }),
    };
    assert_eq!(found["{__name__=\"a\"}"], [of(NOW, 0.5, Some("1")), of(NOW + 1, 0.5, Some("2"))]);
    assert_eq!(found["{__name__=\"h\"}"], [of(NOW, 0.75, None), of(NOW + 5, 0.5, Some("3"))]);
}

#[test]
fn invalid_exemplars_are_counted_and_rest_stored() {
    let bench = bench();
    bench.write_all(vec![sample("a", NOW, 1.0), exemplars("a", vec![exemplar(NOW, "1")])]);
    let long = "x".repeat(200);
    let mut twice = exemplar(NOW + 2, "1");
    twice.labels.push(twice.labels[0].clone());
    let outcome = bench.write(vec![
        sample("a", NOW + 1, 2.0),
        exemplars(
            "a",
            vec![exemplar(NOW - 1, "0"), exemplar(NOW + 1, &long), twice, exemplar(NOW + 3, "2")],
        ),
        exemplars("a", vec![exemplar(NOW + 600_001, "3")]),
        exemplars("unknown", vec![exemplar(NOW, "4")]),
        exemplars("", vec![exemplar(NOW, "5")]),
    ]);
    assert_eq!((outcome.samples, outcome.exemplars), (1, 1));
    for (reason, count) in [
        (RejectReason::OutOfOrder, 1),
        (RejectReason::BadLabels, 3),
        (RejectReason::TooFarAhead, 1),
        (RejectReason::UnknownSeries, 1),
    ] {
        assert_eq!(
            outcome.rejections.count_of(ItemKind::Exemplar, reason),
            count,
            "{reason}: {}",
            outcome.rejections
        );
    }
    let times: Vec<_> =
        bench.exemplars()["{__name__=\"a\"}"].iter().map(|exemplar| exemplar.t).collect();
    assert_eq!(times, [NOW, NOW + 3]);
    let text = outcome.rejections.to_string();
    assert!(
        text.contains("1 out of order (exemplars)")
            && text.contains("(exemplar out of order, timestamp"),
        "{text}"
    );
}

#[test]
fn disabled_exemplars_are_not_an_error() {
    let bench = bench();
    bench.db.head().exemplars().configure(ExemplarOptions { max: 0, out_of_order_window_ms: 0 });
    let outcome =
        bench.write_all(vec![sample("a", NOW, 1.0), exemplars("a", vec![exemplar(NOW, "1")])]);
    assert_eq!((outcome.samples, outcome.exemplars, outcome.exemplars_ignored), (1, 0, 1));
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    assert!(metrics.contains("narthex_remote_write_exemplars_ignored_total 1\n"), "{metrics}");
}

#[test]
fn series_limit_rejects_histograms_and_exemplars() {
    let bench = bench();
    let many: Vec<_> =
        (0..21).map(|i| histograms(&format!("h{i}"), vec![integer(NOW, 5)])).collect();
    let with_exemplar = exemplars("h20", vec![exemplar(NOW, "1")]);
    let outcome = bench.write([many, vec![with_exemplar]].concat());
    assert_eq!((outcome.histograms, outcome.exemplars), (20, 0));
    assert_eq!(outcome.rejections.count_of(ItemKind::Histogram, RejectReason::SeriesLimit), 1);
    assert_eq!(outcome.rejections.count_of(ItemKind::Exemplar, RejectReason::UnknownSeries), 1);
}

#[test]
fn recorded_requests_are_stored_completely() {
    let bench = bench_of_recordings();
    let mut points = BTreeMap::<String, BTreeMap<i64, Sample>>::new();
    let mut of_exemplars = BTreeMap::<String, BTreeMap<i64, Exemplar>>::new();
    let mut kinds = (0, 0, 0);
    for number in ["00", "01", "02", "03", "21", "22"] {
        let path = format!("{}/tests/golden/wire/rw1/{number}.body", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        // Recorded at another time. One request appears twice: the retry after a 503.
        let outcome = bench.writer.store(&bench.db, &body, SNAPPY, i64::MAX).unwrap();
        assert!(outcome.rejections.is_empty(), "{number}: {}", outcome.rejections);
        kinds.0 += outcome.samples;
        kinds.1 += outcome.histograms;
        kinds.2 += outcome.exemplars;
        let raw = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let mut index = RequestIndexV1::default();
        let request = index.validate(&raw, CountLimits { series: 100, samples: 1000 }).unwrap();
        for series in request.series() {
            let labels =
                series.labels().collect::<LabelsBuilder<'_>>().build().unwrap().to_string();
            let floats = series.samples().map(Sample::from);
            let all = floats.chain(series.histograms().map(|point| point.unwrap()));
            points.entry(labels.clone()).or_default().extend(all.map(|point| (point.t, point)));
            let found = series.exemplars().map(|exemplar| exemplar.unwrap());
            of_exemplars
                .entry(labels)
                .or_default()
                .extend(found.map(|exemplar| (exemplar.t, exemplar)));
        }
    }
    assert!(kinds.0 > 100 && kinds.1 == 9 && kinds.2 == 9, "{kinds:?}");
    let stored = bench.stored();
    assert_eq!(stored.len(), points.len());
    for (labels, points) in points {
        let mut expected: Vec<Sample> = points.into_values().collect();
        end_as_it_was(&mut expected);
        assert_same(&stored[&labels], &expected);
    }
    of_exemplars.retain(|_, exemplars| !exemplars.is_empty());
    let expected: BTreeMap<_, Vec<_>> = of_exemplars
        .into_iter()
        .map(|(labels, exemplars)| (labels, exemplars.into_values().collect()))
        .collect();
    assert_eq!(bench.exemplars(), expected);
}

fn bench_of_recordings() -> Bench {
    let mut bench = bench();
    let dir = tempfile::tempdir().unwrap();
    let db = LockedDir::open(DbOptions::new(dir.path().to_owned()))
        .unwrap()
        .into_recovery()
        .run()
        .unwrap()
        .db;
    (bench.db, bench._dir) = (db, dir);
    bench
}

/// Replaces the stale marker, which is sent as a float and ends a histogram series as a histogram.
fn end_as_it_was(points: &mut [Sample]) {
    if let [.., before, last] = points
        && last.value.is_stale()
    {
        let sum = f64::from_bits(STALE_NAN_BITS);
        match &mut before.value.clone() {
            SampleValue::Float(_) => {}
            SampleValue::Histogram(histogram) => {
                histogram.sum = sum;
                last.value = SampleValue::Histogram(histogram.clone());
            }
            SampleValue::FloatHistogram(histogram) => {
                histogram.sum = sum;
                last.value = SampleValue::FloatHistogram(histogram.clone());
            }
        }
    }
}

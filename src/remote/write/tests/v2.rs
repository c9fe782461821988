//! Outcomes of remote write 2.0 requests.

use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::model::exemplar::Exemplar;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::metadata::MetricType;
use crate::model::time::TimeRange;
use crate::remote::body_compression::BodyCompression;
use crate::remote::pb::io::prometheus::write::v2 as pb;
use crate::remote::pb::prometheus as pb1;
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::{RemoteWriteError, RemoteWriteVersion, RemoteWriter, WireFormat};
use crate::tsdb::db::LockedDir;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::{Db, FloatEncoding, HistogramStMode, RecordVersion, list_all};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use tempfile::TempDir;

const NOW: i64 = 1_762_300_800_000;
const V1: WireFormat =
    WireFormat { version: RemoteWriteVersion::V1, packing: BodyCompression::Plain };
const V2: WireFormat =
    WireFormat { version: RemoteWriteVersion::V2, packing: BodyCompression::Plain };
const SNAPPY: WireFormat =
    WireFormat { version: RemoteWriteVersion::V2, packing: BodyCompression::SnappyBlock };

struct Bench {
    db: Db,
    writer: RemoteWriter,
    registry: Registry,
    _dir: TempDir,
}

fn bench_with(change: impl FnOnce(&mut DbOptions)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut options = DbOptions::new(dir.path().to_owned());
    change(&mut options);
    let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
    let mut registry = Registry::new();
    let limits = WriteLimits {
        decoded_bytes: 1 << 20,
        counts: CountLimits { series: 1000, samples: 10_000 },
        items: IngestLimits {
            labels: LabelLimits { count: 10, name_bytes: 20, value_bytes: 1000 },
            metadata: MetadataLimits { name_bytes: 30, text_bytes: 100 },
            max_future_ms: 600_000,
            dry_run: DryRunLimits::NONE,
        },
    };
    let writer = RemoteWriter::new(limits, WriteMetrics::register(&mut registry));
    Bench { db, writer, registry, _dir: dir }
}

/// Returns a bench whose database stores start timestamps.
fn start_timestamp_bench() -> Bench {
    bench_with(|options| {
        options.record_version = RecordVersion::V2;
        options.histogram_st_mode = HistogramStMode::WithSt;
        options.settings.float_encoding = FloatEncoding::Xor2;
    })
}

fn bench() -> Bench {
    bench_with(|_| {})
}

/// Builder of requests as senders encode them.
struct Sender {
    request: pb::Request,
}

impl Sender {
    fn new() -> Self {
        Self { request: pb::Request { symbols: vec![String::new()], timeseries: Vec::new() } }
    }

    fn symbol(&mut self, text: &str) -> u32 {
        let symbols = &mut self.request.symbols;
        let found = symbols.iter().position(|symbol| symbol == text).unwrap_or_else(|| {
            symbols.push(text.to_owned());
            symbols.len() - 1
        });
        found as u32
    }

    fn refs(&mut self, labels: &[(&str, &str)]) -> Vec<u32> {
        labels.iter().flat_map(|(name, value)| [self.symbol(name), self.symbol(value)]).collect()
    }

    fn series(mut self, labels: &[(&str, &str)], series: pb::TimeSeries) -> Self {
        let labels_refs = self.refs(labels);
        self.request.timeseries.push(pb::TimeSeries { labels_refs, ..series });
        self
    }

    fn metadata(mut self, metric_type: i32, help: &str, unit: &str) -> Self {
        let metadata = pb::Metadata {
            r#type: metric_type,
            help_ref: self.symbol(help),
            unit_ref: self.symbol(unit),
        };
        self.request.timeseries.last_mut().unwrap().metadata = Some(metadata);
        self
    }

    fn exemplar(mut self, timestamp: i64, labels: &[(&str, &str)]) -> Self {
        let labels_refs = self.refs(labels);
        let exemplar = pb::Exemplar { labels_refs, value: 0.5, timestamp };
        self.request.timeseries.last_mut().unwrap().exemplars.push(exemplar);
        self
    }

    fn change(mut self, change: impl FnOnce(&mut pb::TimeSeries)) -> Self {
        change(self.request.timeseries.last_mut().unwrap());
        self
    }
}

fn samples(samples: &[(i64, f64)]) -> pb::TimeSeries {
    let sample =
        |&(timestamp, value): &(i64, f64)| pb::Sample { value, timestamp, start_timestamp: 0 };
    pb::TimeSeries { samples: samples.iter().map(sample).collect(), ..Default::default() }
}

fn histogram(timestamp: i64, count: u64) -> pb::Histogram {
    pb::Histogram {
        timestamp,
        count: Some(pb::histogram::Count::CountInt(count)),
        positive_spans: vec![pb::BucketSpan { offset: 2, length: 1 }],
        positive_deltas: vec![count as i64],
        ..Default::default()
    }
}

impl Bench {
    fn write(&self, sender: &Sender) -> WriteOutcome {
        self.writer.store(&self.db, &sender.request.encode_to_vec(), V2, NOW).unwrap()
    }

    fn write_all(&self, sender: &Sender) -> WriteOutcome {
        let outcome = self.write(sender);
        assert!(outcome.rejections.is_empty(), "{}", outcome.rejections);
        outcome
    }

    /// Returns all stored samples: start timestamp, timestamp, and value as text.
    fn stored(&self) -> BTreeMap<String, Vec<(i64, i64, String)>> {
        let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
        let querier = self.db.querier();
        let series = querier.select(&all, TimeRange::ALL).unwrap().map(|series| {
            let series = series.unwrap();
            let points = series.samples(TimeRange::ALL).map(|point| {
                let point = point.unwrap();
                (point.start_timestamp, point.t, format!("{:?}", point.value))
            });
            (series.labels().to_string(), points.collect())
        });
        series.collect()
    }

    fn floats(&self, series: &str) -> Vec<(i64, i64)> {
        self.stored()[series].iter().map(|(start, t, _)| (*start, *t)).collect()
    }

    fn exemplars(&self) -> BTreeMap<String, Vec<Exemplar>> {
        let all = vec![Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
        let found = self.db.head().exemplars().select(&[all], TimeRange::ALL);
        found.into_iter().map(|series| (series.labels.to_string(), series.exemplars)).collect()
    }

    fn metadata_updates(&self) -> u64 {
        self.db.head().stats().metadata_updates.load(Ordering::Relaxed)
    }
}

const A: [(&str, &str); 2] = [("__name__", "a"), ("job", "x")];
const A_TEXT: &str = "{__name__=\"a\", job=\"x\"}";

#[test]
fn all_item_kinds_are_stored_and_retry_is_safe() {
    let bench = bench();
    let sender = Sender::new()
        .series(&A, samples(&[(NOW, 1.0), (NOW + 1, -0.0)]))
        .exemplar(NOW, &[("trace_id", "1")])
        .series(
            &[("__name__", "h")],
            pb::TimeSeries { histograms: vec![histogram(NOW, 5)], ..Default::default() },
        );
    for _ in 0..2 {
        let outcome = bench.write_all(&sender);
        assert_eq!((outcome.samples, outcome.histograms, outcome.exemplars), (2, 1, 1));
    }
    assert_eq!(bench.floats(A_TEXT), [(0, NOW), (0, NOW + 1)]);
    assert_eq!(bench.stored()["{__name__=\"h\"}"].len(), 1);
    assert_eq!(bench.exemplars()[A_TEXT].len(), 1);
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    assert!(metrics.contains("narthex_remote_write_samples_total 4\n"), "{metrics}");
}

#[test]
fn unsorted_and_empty_labels_name_the_same_series() {
    let bench = bench();
    let labels = [("job", "x"), ("zone", ""), ("__name__", "a")];
    bench.write_all(
        &Sender::new()
            .series(&A, samples(&[(NOW, 1.0)]))
            .series(&labels, samples(&[(NOW + 1, 1.0)]))
            .series(&A, samples(&[(NOW + 2, 1.0)])),
    );
    assert_eq!(bench.stored().len(), 1);
    assert_eq!(bench.floats(A_TEXT), [(0, NOW), (0, NOW + 1), (0, NOW + 2)]);
}

#[test]
fn exemplar_may_precede_its_series() {
    let bench = bench();
    let sender = Sender::new()
        .series(&A, pb::TimeSeries::default())
        .exemplar(NOW, &[("trace_id", "1"), ("span_id", "2")])
        .series(&A, samples(&[(NOW, 1.0)]));
    assert_eq!(bench.write_all(&sender).exemplars, 1);
    let labels = bench.exemplars()[A_TEXT][0].labels.as_ref().unwrap().to_string();
    assert_eq!(labels, "{span_id=\"2\", trace_id=\"1\"}");
    let unknown =
        Sender::new().series(&[("__name__", "b")], pb::TimeSeries::default()).exemplar(NOW, &[]);
    assert_eq!(
        bench.write(&unknown).rejections.count_of(ItemKind::Exemplar, RejectReason::UnknownSeries),
        1
    );
}

#[test]
fn empty_series_is_rejected_and_others_stored() {
    let bench = bench();
    let outcome = bench.write(
        &Sender::new()
            .series(&[("__name__", "empty")], pb::TimeSeries::default())
            .metadata(1, "help", "")
            .series(&A, samples(&[(NOW, 1.0)])),
    );
    assert_eq!((outcome.samples, outcome.rejections.count(RejectReason::NoSamples)), (1, 1));
    assert_eq!(
        outcome.rejections.to_string(),
        "1 series without a sample, histogram or exemplar; \
         {__name__=\"empty\"} (no sample, histogram or exemplar)"
    );
    assert_eq!(bench.stored().keys().collect::<Vec<_>>(), [A_TEXT]);
}

#[test]
fn invalid_references_reject_only_their_series() {
    let bench = bench();
    let all_kinds =
        || pb::TimeSeries { histograms: vec![histogram(NOW, 5)], ..samples(&[(NOW, 1.0)]) };
    let outcome = bench.write(
        &Sender::new()
            .series(&A, all_kinds())
            .exemplar(NOW, &[])
            .change(|series| series.labels_refs.push(1))
            .series(&[("__name__", "b")], all_kinds())
            .exemplar(NOW, &[])
            .change(|series| series.labels_refs[1] = 77)
            .series(&[("__name__", "c")], all_kinds())
            .exemplar(NOW, &[])
            .change(|series| {
                series.metadata = Some(pb::Metadata { help_ref: 78, ..Default::default() })
            })
            .series(&[("__name__", "good")], samples(&[(NOW, 1.0)]))
            .exemplar(NOW, &[("a", "b")])
            .change(|series| series.exemplars[0].labels_refs[0] = 79)
            .exemplar(NOW + 1, &[("a", "b")])
            .change(|series| series.exemplars[1].labels_refs.push(0)),
    );
    assert_eq!((outcome.samples, outcome.histograms, outcome.exemplars), (1, 0, 0));
    let rejections = &outcome.rejections;
    for (kind, count) in [(ItemKind::Sample, 3), (ItemKind::Histogram, 3), (ItemKind::Exemplar, 5)]
    {
        assert_eq!(
            rejections.count_of(kind, RejectReason::BadLabels),
            count,
            "{kind}: {rejections}"
        );
    }
    let text = rejections.to_string();
    for part in [
        "{__name__=\"a\", job=\"x\"} (odd number of label references: 5)",
        "{} (reference 77 is outside the table of",
        "{__name__=\"c\"} (metadata: reference 78 is outside the table of",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert_eq!(bench.stored().keys().collect::<Vec<_>>(), ["{__name__=\"good\"}"]);
}

#[test]
fn invalid_labels_are_rejected() {
    let bench = bench();
    let long = "x".repeat(1001);
    for labels in [
        &[][..],
        &[("job", "x")],
        &[("__name__", "")],
        &[("__name__", "a"), ("", "x")],
        &[("__name__", "a"), ("job", "x"), ("job", "y")],
        &[("__name__", "a"), ("a name that is longer than 20", "x")],
        &[("__name__", "a"), ("job", &long)],
    ] {
        let outcome =
            bench.write(&Sender::new().series(labels, samples(&[(NOW, 1.0), (NOW + 1, 1.0)])));
        assert_eq!(
            (outcome.samples, outcome.rejections.count(RejectReason::BadLabels)),
            (0, 2),
            "{labels:?}"
        );
    }
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    assert!(
        metrics.contains("prometheus_api_remote_write_invalid_labels_samples_total 14\n"),
        "{metrics}"
    );
    assert!(bench.stored().is_empty());
}

#[test]
fn first_symbol_may_be_nonempty() {
    let bench = bench();
    let request = pb::Request {
        symbols: vec!["__name__".into(), "a".into()],
        timeseries: vec![pb::TimeSeries { labels_refs: vec![0, 1], ..samples(&[(NOW, 1.0)]) }],
    };
    assert_eq!(bench.write_all(&Sender { request }).samples, 1);
    assert_eq!(bench.stored().keys().collect::<Vec<_>>(), ["{__name__=\"a\"}"]);
}

#[test]
fn start_timestamps_are_stored_if_enabled() {
    let sender = || {
        let sample =
            |timestamp, start_timestamp| pb::Sample { value: 1.0, timestamp, start_timestamp };
        let list = vec![sample(NOW, NOW - 5000), sample(NOW + 1, 0), sample(NOW + 2, -1)];
        Sender::new().series(&A, pb::TimeSeries { samples: list, ..Default::default() })
    };
    let dropping = bench();
    dropping.write_all(&sender());
    assert_eq!(dropping.floats(A_TEXT), [(0, NOW), (0, NOW + 1), (0, NOW + 2)]);
    let keeping = start_timestamp_bench();
    let ended = pb::Histogram { start_timestamp: NOW - 7000, ..histogram(NOW, 5) };
    for _ in 0..2 {
        keeping.write_all(&sender().series(
            &[("__name__", "h")],
            pb::TimeSeries { histograms: vec![ended.clone()], ..Default::default() },
        ));
    }
    assert_eq!(keeping.floats(A_TEXT), [(NOW - 5000, NOW), (0, NOW + 1), (-1, NOW + 2)]);
    assert_eq!(keeping.floats("{__name__=\"h\"}"), [(NOW - 7000, NOW)]);
}

#[test]
fn series_metadata_is_logged_only_if_changed() {
    let bench = bench();
    let sender = |t, help: &str| {
        Sender::new()
            .series(&A, samples(&[(t, 1.0)]))
            .metadata(1, help, "seconds")
            .series(&[("__name__", "b")], samples(&[(t, 1.0)]))
            .series(&[("__name__", "c")], samples(&[(t, 1.0)]))
            .metadata(0, "", "")
    };
    let outcome = bench.write_all(&sender(NOW, "help"));
    assert_eq!((outcome.samples, outcome.without_metadata), (3, 2));
    assert_eq!(bench.metadata_updates(), 1);
    for t in 1..5 {
        bench.write_all(&sender(NOW + t, "help"));
    }
    assert_eq!(bench.metadata_updates(), 1);
    let known = || {
        let kept = list_all(bench.db.head());
        assert_eq!(kept.len(), 1, "{kept:?}");
        let (family, values) = kept.into_iter().next().unwrap();
        (family, values[0].metric_type, values[0].unit.clone(), values[0].help.clone())
    };
    assert_eq!(known(), ("a".into(), MetricType::Counter, "seconds".into(), "help".into()));
    bench.write_all(&sender(NOW + 9, "other"));
    assert_eq!((bench.metadata_updates(), known().3), (2, "other".into()));
}

#[test]
fn metadata_of_rejected_series_is_dropped() {
    let bench = bench();
    let outcome = bench.write(
        &Sender::new()
            .series(&A, samples(&[(NOW, 1.0)]))
            .metadata(1, "help of a", "")
            .series(&[("job", "x")], samples(&[(NOW, 1.0)]))
            .metadata(2, "of no series", "")
            .series(&[("__name__", "")], samples(&[(NOW, 1.0)]))
            .metadata(2, "of no series", ""),
    );
    assert_eq!((outcome.samples, outcome.rejections.count(RejectReason::BadLabels)), (1, 2));
    assert_eq!(list_all(bench.db.head())["a"][0].help, "help of a");
    assert_eq!(bench.metadata_updates(), 1);
}

#[test]
fn oversized_metadata_is_rejected_samples_stored() {
    let bench = bench();
    let sender = Sender::new().series(&A, samples(&[(NOW, 1.0)])).metadata(2, &"h".repeat(99), "s");
    bench.write_all(&sender);
    let sender =
        Sender::new().series(&A, samples(&[(NOW + 1, 1.0)])).metadata(2, &"h".repeat(99), "ms");
    let outcome = bench.write(&sender);
    assert_eq!((outcome.samples, outcome.rejections.count(RejectReason::Metadata)), (1, 1));
    assert_eq!(
        outcome.rejections.to_string(),
        "1 metadata entries; {__name__=\"a\", job=\"x\"} \
         (unit and help text of 101 bytes, the limit is 100)"
    );
    assert_eq!(bench.metadata_updates(), 1);
}

#[test]
fn family_and_series_metadata_coexist() {
    let bench = bench();
    let family = pb1::MetricMetadata {
        metric_family_name: "a".into(),
        help: "family".into(),
        ..Default::default()
    };
    let request =
        pb1::WriteRequest { timeseries: Vec::new(), metadata: vec![family] }.encode_to_vec();
    bench.writer.store(&bench.db, &request, V1, NOW).unwrap();
    let sender = |t| Sender::new().series(&A, samples(&[(t, 1.0)])).metadata(1, "series", "");
    bench.write_all(&sender(NOW));
    let updates = bench.metadata_updates();
    for t in 1..5 {
        bench.writer.store(&bench.db, &request, V1, NOW).unwrap();
        bench.write_all(&sender(NOW + t));
    }
    assert_eq!(bench.metadata_updates(), updates);
    assert_eq!(list_all(bench.db.head())["a"][0].help, "series");
}

#[test]
fn malformed_or_oversized_request_stores_nothing() {
    let bench = bench();
    let body = Sender::new().series(&A, samples(&[(NOW, 1.0); 20])).request.encode_to_vec();
    let refused = |body: &[u8]| bench.writer.store(&bench.db, body, V2, NOW).unwrap_err();
    assert!(matches!(
        refused(&body[..body.len() - 1]),
        RemoteWriteError::Request(DecodeWriteRequestError::MalformedV2(_))
    ));
    let many = (0..1001).fold(Sender::new(), |sender, _| sender.series(&A, samples(&[(NOW, 1.0)])));
    assert!(matches!(
        refused(&many.request.encode_to_vec()),
        RemoteWriteError::Request(DecodeWriteRequestError::TooManySeries(1000))
    ));
    // A small request that expands: 500 series with 2 KiB of labels each.
    let values: Vec<String> = (0..3).map(|i| "v".repeat(900 + i)).collect();
    let labels = [("__name__", "a"), ("x", &*values[0]), ("y", &*values[1]), ("z", &*values[2])];
    let bomb =
        (0..500).fold(Sender::new(), |sender, _| sender.series(&labels, samples(&[(NOW, 1.0)])));
    let body = bomb.request.encode_to_vec();
    assert!(body.len() < 20_000, "{}", body.len());
    assert!(matches!(
        refused(&body),
        RemoteWriteError::Request(DecodeWriteRequestError::TooMuchText(1_048_576))
    ));
    assert!(bench.stored().is_empty());
}

#[test]
fn expanding_exemplars_are_rejected() {
    let bench = bench();
    let long = "x".repeat(100_000);
    let many = vec![("trace_id", &*long); 500];
    let outcome = bench.write(
        &Sender::new()
            .series(&A, samples(&[(NOW, 1.0)]))
            .exemplar(NOW, &many)
            .exemplar(NOW + 1, &vec![("a", ""); 600])
            .exemplar(NOW + 2, &[("a", "b")]),
    );
    assert_eq!(
        (outcome.samples, outcome.exemplars, outcome.rejections.count(RejectReason::BadLabels)),
        (1, 1, 2)
    );
}

#[test]
fn recorded_requests_keep_start_timestamps() {
    for kind in ["rw2", "rw2-st"] {
        let bench = start_timestamp_bench();
        let mut sent = BTreeMap::new();
        for number in ["00", "01", "02", "03", "15", "16"] {
            let path = format!("{}/tests/golden/wire/{kind}/{number}", env!("CARGO_MANIFEST_DIR"));
            let body = std::fs::read(format!("{path}.body")).unwrap();
            let outcome = bench.writer.store(&bench.db, &body, SNAPPY, i64::MAX).unwrap();
            assert!(outcome.rejections.is_empty(), "{kind} {number}: {}", outcome.rejections);
            let text = std::fs::read_to_string(format!("{path}.json")).unwrap();
            let recorded: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut counts = [0; 3];
            for series in recorded["decoded"]["timeseries"].as_array().unwrap() {
                let labels = series["labels"].to_string();
                for (count, field) in counts.iter_mut().zip(["samples", "histograms", "exemplars"])
                {
                    let list = series[field].as_array().into_iter().flatten();
                    for entry in list {
                        *count += 1;
                        if field == "samples" {
                            let start = entry["st"].as_i64().unwrap_or(0);
                            sent.insert((labels.clone(), entry["t"].as_i64().unwrap()), start);
                        }
                    }
                }
            }
            assert_eq!(
                [outcome.samples, outcome.histograms, outcome.exemplars],
                counts,
                "{kind} {number}"
            );
        }
        let mut expected: Vec<i64> = sent.values().copied().filter(|start| *start != 0).collect();
        let stored = bench.stored();
        let floats = stored.values().flatten().filter(|(_, _, value)| value.starts_with("Float("));
        let mut found: Vec<i64> =
            floats.map(|(start, ..)| *start).filter(|start| *start != 0).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{kind}");
        assert_eq!(found.is_empty(), kind == "rw2");
    }
}

/// Converts a 1.0 series to 2.0.
fn to_v2(sender: Sender, series: &pb1::TimeSeries) -> Sender {
    fn pairs(labels: &[pb1::Label]) -> Vec<(&str, &str)> {
        labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect()
    }
    let histogram =
        |histogram: &pb1::Histogram| pb::Histogram::decode(&histogram.encode_to_vec()[..]).unwrap();
    let values = pb::TimeSeries {
        samples: series
            .samples
            .iter()
            .map(|&pb1::Sample { value, timestamp }| pb::Sample {
                value,
                timestamp,
                start_timestamp: 0,
            })
            .collect(),
        histograms: series.histograms.iter().map(histogram).collect(),
        ..Default::default()
    };
    let sender = sender.series(&pairs(&series.labels), values);
    series.exemplars.iter().fold(sender, |sender, exemplar| {
        sender.exemplar(exemplar.timestamp, &pairs(&exemplar.labels))
    })
}

fn labels() -> impl Strategy<Value = Vec<pb1::Label>> {
    let name = prop_oneof![
        constant("job"),
        constant("zone"),
        constant("a"),
        constant("__name__"),
        constant("")
    ];
    let other =
        (name, "[x-z]{0,2}").prop_map(|(name, value)| pb1::Label { name: name.to_owned(), value });
    let metric = "[mn]{0,1}".prop_map(|value| pb1::Label { name: "__name__".to_owned(), value });
    (metric, prop::collection::vec(other, 0..3))
        .prop_map(|(metric, others)| [vec![metric], others].concat())
}

fn constant(text: &'static str) -> impl Strategy<Value = &'static str> {
    proptest::strategy::Just(text)
}

fn series() -> impl Strategy<Value = pb1::TimeSeries> {
    let time = || {
        prop_oneof![4 => 0..20i64, 1 => constant("").prop_map(|_| 700_000)]
            .prop_map(|after| NOW + after)
    };
    let sample = (time(), any::<bool>(), 0..3u8).prop_map(|(timestamp, negative, v)| pb1::Sample {
        value: if negative { -f64::from(v) } else { v.into() },
        timestamp,
    });
    let histogram = (time(), 1..4u64, any::<bool>()).prop_map(|(t, count, sound)| {
        let made = pb1::Histogram::decode(&histogram(t, count).encode_to_vec()[..]).unwrap();
        if sound { made } else { pb1::Histogram { positive_deltas: vec![-1], ..made } }
    });
    let exemplar = (time(), labels()).prop_map(|(timestamp, labels)| pb1::Exemplar {
        labels,
        value: 0.5,
        timestamp,
    });
    (
        labels(),
        prop::collection::vec(sample, 0..4),
        prop::collection::vec(histogram, 0..2),
        prop::collection::vec(exemplar, 0..2),
    )
        .prop_map(|(labels, samples, histograms, exemplars)| pb1::TimeSeries {
            labels,
            samples,
            histograms,
            exemplars,
        })
        // 2.0 rejects a series without items, 1.0 does not.
        .prop_filter("series without items", |series| {
            !(series.samples.is_empty()
                && series.histograms.is_empty()
                && series.exemplars.is_empty())
        })
}

proptest! {
    #![proptest_config(Config::with_cases(24))]

    #[test]
    fn both_versions_store_equal_data(
        requests in prop::collection::vec(prop::collection::vec(series(), 0..6), 1..4),
    ) {
        let (first, second) = (bench(), bench());
        for timeseries in requests {
            let sender = timeseries.iter().fold(Sender::new(), to_v2);
            let by_v2 = second.write(&sender);
            let body = pb1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec();
            let by_v1 = first.writer.store(&first.db, &body, V1, NOW).unwrap();
            prop_assert_eq!(by_v1.samples, by_v2.samples);
            prop_assert_eq!(by_v1.histograms, by_v2.histograms);
            prop_assert_eq!(by_v1.exemplars, by_v2.exemplars);
            prop_assert_eq!(by_v1.rejections.to_string(), by_v2.rejections.to_string());
        }
        prop_assert_eq!(first.stored(), second.stored());
        prop_assert_eq!(first.exemplars(), second.exemplars());
    }
}

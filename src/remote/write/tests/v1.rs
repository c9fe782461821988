//! Outcomes of remote write 1.0 requests.

use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::RejectReason;
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::remote::body_compression::BodyCompression;
use crate::remote::decompress::output::DecompressError;
use crate::remote::pb::prometheus as pb;
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::{RemoteWriteError, RemoteWriteVersion, RemoteWriter, WireFormat};
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::LockedDir;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::write_unavailable::WriteUnavailable;
use crate::tsdb::db::{Db, list_all};
use prost::Message;
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

fn limits() -> WriteLimits {
    WriteLimits {
        decoded_bytes: 1 << 20,
        counts: CountLimits { series: 1000, samples: 10_000 },
        items: IngestLimits {
            labels: LabelLimits { count: 10, name_bytes: 20, value_bytes: 1000 },
            metadata: MetadataLimits { name_bytes: 30, text_bytes: 100 },
            max_future_ms: 600_000,
            dry_run: DryRunLimits::NONE,
        },
    }
}

fn bench_with(change: impl FnOnce(&mut DbOptions)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut options = DbOptions::new(dir.path().to_owned());
    change(&mut options);
    let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
    let mut registry = Registry::new();
    let writer = RemoteWriter::new(limits(), WriteMetrics::register(&mut registry));
    Bench { db, writer, registry, _dir: dir }
}

fn bench() -> Bench {
    bench_with(|_| {})
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> pb::TimeSeries {
    let label = |(name, value): &(&str, &str)| pb::Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pb::TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples
            .iter()
            .map(|&(timestamp, value)| pb::Sample { value, timestamp })
            .collect(),
        ..Default::default()
    }
}

fn family(name: &str, help: &str) -> pb::MetricMetadata {
    pb::MetricMetadata {
        metric_family_name: name.to_owned(),
        help: help.to_owned(),
        ..Default::default()
    }
}

fn compressed(request: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(request).unwrap()
}

impl Bench {
    fn write(&self, timeseries: Vec<pb::TimeSeries>) -> WriteOutcome {
        let request = pb::WriteRequest { timeseries, metadata: Vec::new() };
        self.writer.store(&self.db, &compressed(&request.encode_to_vec()), SNAPPY, NOW).unwrap()
    }

    fn write_error(&self, body: &[u8]) -> RemoteWriteError {
        self.writer.store(&self.db, body, SNAPPY, NOW).unwrap_err()
    }

    /// Returns all stored samples, with timestamps and value bits.
    fn stored(&self) -> Vec<(String, Vec<(i64, u64)>)> {
        let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
        let querier = self.db.querier();
        let series = querier.select(&all, TimeRange::ALL).unwrap().map(|series| {
            let series = series.unwrap();
            let samples = series.float_samples(TimeRange::ALL).map(|sample| sample.unwrap());
            (
                series.labels().to_string(),
                samples.map(|sample| (sample.t, sample.v.to_bits())).collect(),
            )
        });
        series.collect()
    }
}

#[test]
fn server_clock_behind_shows_in_response_and_metrics() {
    let bench = bench();
    let ahead = |bench: &Bench| {
        let text = bench.registry.encode(ExpositionFormat::Classic);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("narthex_remote_write_max_ahead_seconds "));
        line.unwrap().parse::<f64>().unwrap()
    };
    assert!(ahead(&bench).is_nan(), "before the first request");
    let hour = 3_600_000;
    let outcome = bench
        .write(vec![series(&[("__name__", "a")], &[(NOW + hour, 1.0), (NOW + hour - 1, 2.0)])]);
    assert_eq!((outcome.samples, outcome.newest_ms), (0, Some(NOW + hour)));
    assert!(
        outcome.rejections.to_string().starts_with("2 too far in the future; {__name__=\"a\"}"),
        "{}",
        outcome.rejections
    );
    assert_eq!(ahead(&bench), 3600.0);
    let text = bench.registry.encode(ExpositionFormat::Classic);
    let counted = "narthex_remote_write_rejected_samples_total{reason=\"too_far_in_future\"} 2";
    assert!(text.lines().any(|line| line == counted), "{text}");
    bench.write(vec![series(&[("__name__", "a")], &[(NOW + 10, 1.0)])]);
    assert_eq!(ahead(&bench), 3600.0, "the largest of the last minutes");
}

#[test]
fn value_bits_are_stored_and_retry_is_safe() {
    let bench = bench();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let special = [(NOW, f64::NAN), (NOW + 2, f64::INFINITY), (NOW + 3, stale), (NOW + 4, 1.5)];
    for _ in 0..2 {
        let outcome = bench.write(vec![series(&[("__name__", "a"), ("job", "x")], &special)]);
        assert_eq!(outcome.samples, 4);
        assert!(outcome.rejections.is_empty(), "{}", outcome.rejections);
    }
    let bits = special.map(|(t, v)| (t, v.to_bits())).to_vec();
    assert_eq!(bench.stored(), [("{__name__=\"a\", job=\"x\"}".to_owned(), bits)]);
}

#[test]
fn unsorted_and_empty_labels_name_the_same_series() {
    let bench = bench();
    let outcome = bench.write(vec![
        series(&[("__name__", "a"), ("job", "x")], &[(NOW, 1.0)]),
        series(&[("job", "x"), ("__name__", "a"), ("zone", "")], &[(NOW + 1, 2.0)]),
        series(&[("__name__", "a"), ("job", "x")], &[(NOW + 2, 3.0)]),
    ]);
    assert_eq!(outcome.samples, 3);
    assert_eq!(bench.stored().len(), 1);
    assert_eq!(bench.stored()[0].1.len(), 3);
}

#[test]
fn scattered_labels_are_one_set() {
    let bench = bench();
    let field = |series: pb::TimeSeries| series.encode_to_vec();
    let split = [
        field(series(&[("__name__", "a")], &[(NOW, 1.0)])),
        field(series(&[("job", "x")], &[(NOW + 1, 2.0)])),
    ]
    .concat();
    let mut request = vec![0x0a, split.len() as u8];
    request.extend_from_slice(&split);
    let outcome = bench.writer.store(&bench.db, &request, PLAIN, NOW).unwrap();
    assert_eq!(outcome.samples, 2);
    assert_eq!(bench.stored()[0].0, "{__name__=\"a\", job=\"x\"}");
}

#[test]
fn valid_items_are_stored_and_invalid_ones_counted() {
    let bench = bench();
    bench.write(vec![series(&[("__name__", "a")], &[(NOW, 1.0)])]);
    let outcome = bench.write(vec![
        series(
            &[("__name__", "a")],
            &[(NOW, 2.0), (NOW - 1, 1.0), (NOW + 600_000, 1.0), (NOW + 600_001, 1.0)],
        ),
        series(&[("job", "x")], &[(NOW, 1.0), (NOW + 1, 1.0)]),
        series(&[("__name__", "a"), ("", "x")], &[(NOW, 1.0)]),
        series(&[("__name__", "a"), ("b", "x"), ("b", "y")], &[(NOW, 1.0)]),
        series(&[], &[(NOW, 1.0)]),
        series(&[("__name__", "b")], &[(NOW, 1.0)]),
    ]);
    assert_eq!(outcome.samples, 2);
    let count = |reason| outcome.rejections.count(reason);
    assert_eq!(count(RejectReason::DuplicateTimestamp), 1);
    assert_eq!(count(RejectReason::OutOfOrder), 1);
    assert_eq!(count(RejectReason::TooFarAhead), 1);
    assert_eq!(count(RejectReason::BadLabels), 5);
    assert_eq!(outcome.rejections.first_series().count(), 5);
    let text = outcome.rejections.to_string();
    for part in [
        "no metric name",
        "empty label name",
        "duplicate label name",
        "no labels",
        "1 out of order",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    assert!(
        metrics
            .contains("narthex_remote_write_rejected_samples_total{reason=\"invalid_labels\"} 5\n"),
        "{metrics}"
    );
    assert!(metrics.contains("narthex_remote_write_samples_total 3\n"), "{metrics}");
}

#[test]
fn labels_over_a_limit_are_rejected() {
    let bench = bench();
    let (name, value) = ("n".repeat(21), "v".repeat(1001));
    let many: Vec<String> = (0..10).map(|i| format!("l{i}")).collect();
    let mut too_many = vec![("__name__", "a")];
    too_many.extend(many.iter().map(|name| (name.as_str(), "x")));
    let outcome = bench.write(vec![
        series(&[("__name__", "a"), (&name, "x")], &[(NOW, 1.0)]),
        series(&[("__name__", "a"), ("b", &value)], &[(NOW, 1.0)]),
        series(&too_many, &[(NOW, 1.0)]),
    ]);
    assert_eq!((outcome.samples, outcome.rejections.count(RejectReason::BadLabels)), (0, 3));
    assert!(bench.stored().is_empty());
}

#[test]
fn series_over_the_active_limit_is_rejected() {
    let bench = bench_with(|options| options.series_limit.max = 1);
    let outcome = bench.write(vec![
        series(&[("__name__", "a")], &[(NOW, 1.0)]),
        series(&[("__name__", "b")], &[(NOW, 1.0)]),
    ]);
    assert_eq!((outcome.samples, outcome.rejections.count(RejectReason::SeriesLimit)), (1, 1));
}

#[test]
fn metadata_is_stored() {
    let bench = bench();
    let with_sample = series(&[("__name__", "a")], &[(NOW, 1.0)]);
    let request =
        pb::WriteRequest { timeseries: vec![with_sample], metadata: vec![family("a", "help"); 3] };
    let outcome = bench.writer.store(&bench.db, &request.encode_to_vec(), PLAIN, NOW).unwrap();
    assert_eq!(outcome.samples, 1);
    let metrics = bench.registry.encode(ExpositionFormat::Classic);
    assert!(metrics.contains("narthex_remote_write_metadata_total 3\n"), "{metrics}");
    // Prometheus sends requests with metadata alone every minute.
    let alone = pb::WriteRequest { timeseries: Vec::new(), metadata: request.metadata };
    let outcome = bench.writer.store(&bench.db, &alone.encode_to_vec(), PLAIN, NOW).unwrap();
    assert!(outcome.rejections.is_empty());
    let kept = list_all(bench.db.head());
    assert_eq!(
        kept["a"].iter().map(|metadata| metadata.help.as_str()).collect::<Vec<_>>(),
        ["help"]
    );
}

#[test]
fn invalid_metadata_is_rejected_and_rest_stored() {
    let bench = bench();
    bench.write(vec![series(&[("__name__", "good")], &[(NOW, 1.0)])]);
    let metadata =
        vec![family("", "no name"), family("good", "help"), family("long", &"x".repeat(101))];
    let request = pb::WriteRequest { timeseries: Vec::new(), metadata };
    let outcome = bench.writer.store(&bench.db, &request.encode_to_vec(), PLAIN, NOW).unwrap();
    assert_eq!(outcome.rejections.count(RejectReason::Metadata), 2);
    assert_eq!(
        outcome.rejections.to_string(),
        "2 metadata entries; {__name__=\"\"} (metadata without a metric family name); \
         {__name__=\"long\"} (unit and help text of 101 bytes, the limit is 100)"
    );
    assert_eq!(list_all(bench.db.head()).into_keys().collect::<Vec<_>>(), ["good"]);
}

#[test]
fn malformed_body_stores_nothing() {
    let bench = bench();
    let request = pb::WriteRequest {
        timeseries: (0..20).map(|i| series(&[("__name__", "a")], &[(NOW + i, 1.0)])).collect(),
        metadata: Vec::new(),
    }
    .encode_to_vec();
    let body = compressed(&request);
    for cut in 0..body.len() {
        assert!(
            matches!(
                bench.write_error(&body[..cut]),
                RemoteWriteError::Decompress(DecompressError::Malformed { .. })
            ),
            "truncated at {cut}"
        );
    }
    let cut_request = compressed(&request[..request.len() - 1]);
    assert!(matches!(
        bench.write_error(&cut_request),
        RemoteWriteError::Request(DecodeWriteRequestError::Malformed(_))
    ));
    assert!(bench.stored().is_empty());
}

#[test]
fn wrong_compression_is_detected() {
    let bench = bench();
    for (body, name) in [
        (&b"\x1f\x8b\x08\x00\x00\x00\x00\x00"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd\x04\x00\x01\x00", "zstd"),
        (b"\xff\x06\x00\x00sNaPpY\x01\x05", "in snappy's framing format"),
    ] {
        match bench.write_error(body) {
            RemoteWriteError::Decompress(DecompressError::WrongCompression { found, .. }) => {
                assert_eq!(found, name)
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn request_over_a_limit_stores_nothing() {
    let bench = bench();
    // One declares 4 GiB less one byte, the other one byte more than the limit.
    for declared in [&b"\xff\xff\xff\xff\x0f"[..], b"\x81\x80\x40"] {
        assert!(matches!(
            bench.write_error(declared),
            RemoteWriteError::Decompress(DecompressError::TooLarge { limit: 1_048_576 })
        ));
    }
    let many_series = (0..1001).map(|_| series(&[("__name__", "a")], &[(NOW, 1.0)])).collect();
    let body = pb::WriteRequest { timeseries: many_series, metadata: Vec::new() }.encode_to_vec();
    assert!(matches!(
        bench.write_error(&compressed(&body)),
        RemoteWriteError::Request(DecodeWriteRequestError::TooManySeries(1000))
    ));
    let many_samples: Vec<_> = (0..10_001).map(|i| (NOW + i, 1.0)).collect();
    let body = pb::WriteRequest {
        timeseries: vec![series(&[("__name__", "a")], &many_samples)],
        metadata: Vec::new(),
    };
    assert!(matches!(
        bench.write_error(&compressed(&body.encode_to_vec())),
        RemoteWriteError::Request(DecodeWriteRequestError::TooManySamples(10_000))
    ));
    assert!(bench.stored().is_empty());
}

#[test]
fn unready_database_rejects_writes() {
    let dir = tempfile::tempdir().unwrap();
    let locked = LockedDir::open(DbOptions::new(dir.path().to_owned())).unwrap();
    let handle = DbHandle::new(locked.shared().clone());
    let writer = RemoteWriter::new(limits(), WriteMetrics::register(&mut Registry::new()));
    let store = || -> Result<_, RemoteWriteError> {
        let db = handle.ready().map_err(WriteUnavailable::from)?;
        writer.store(db, &[], PLAIN, NOW)
    };
    let write_error = store().unwrap_err();
    assert!(
        matches!(write_error, RemoteWriteError::Unavailable(WriteUnavailable::Replaying)),
        "{write_error:?}"
    );
    handle.publish(locked.into_recovery().run().unwrap().db);
    store().unwrap();
    handle.close().unwrap();
    let write_error = store().unwrap_err();
    assert!(
        matches!(write_error, RemoteWriteError::Unavailable(WriteUnavailable::Closing)),
        "{write_error:?}"
    );
}

#[test]
fn recorded_metadata_applies_to_later_series() {
    let bench = bench();
    let golden = format!("{}/tests/golden/wire/rw1", env!("CARGO_MANIFEST_DIR"));
    for number in ["00", "02", "21"] {
        let body = std::fs::read(format!("{golden}/{number}.body")).unwrap();
        bench.writer.store(&bench.db, &body, SNAPPY, i64::MAX).unwrap();
    }
    let text = std::fs::read_to_string(format!("{golden}/00.json")).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sent = recorded["decoded"]["metadata"].as_array().unwrap();
    let kept = list_all(bench.db.head());
    for (family, values) in &kept {
        let sent =
            sent.iter().find(|entry| entry["metric_family_name"] == family.as_str()).unwrap();
        let [value] = &values[..] else { panic!("{family}: {values:?}") };
        assert_eq!(sent["type"].as_u64(), Some(value.metric_type as u64), "{family}");
        assert_eq!(
            (sent["help"].as_str(), sent["unit"].as_str()),
            (Some(&*value.help), Some(&*value.unit)),
            "{family}"
        );
    }
    let has = |family: &str| kept.contains_key(family);
    assert!(
        ["golden_wire_gauge", "golden_wire_seconds", "golden_wire_summary", "golden_wire_total"]
            .into_iter()
            .all(has)
    );
    assert!(has("golden_wire_untyped") && !has("up"), "{:?}", kept.keys());
}

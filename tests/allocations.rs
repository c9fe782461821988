//! Appends to known series and reading of scraped bodies allocate nothing per sample, series or
//! label, by a counting allocator.

use allocation_counter::measure;
use flate2::read::GzDecoder;
use narthex::exposition::entry::EntryValue;
use narthex::exposition::format::Format;
use narthex::exposition::open::open_parser;
use narthex::exposition::parser::ParserOptions;
use narthex::ingest::limits::DryRunLimits;
use narthex::ingest::limits::{IngestLimits, LabelLimits};
use narthex::ingest::metadata::MetadataLimits;
use narthex::ingest::outcome::WriteOutcome;
use narthex::metrics::registry::Registry;
use narthex::model::histogram::limits::HistogramLimits;
use narthex::model::label_name::NameValidationScheme;
use narthex::model::labels::LabelsBuilder;
use narthex::remote::body_compression::BodyCompression;
use narthex::remote::pb::io::prometheus::write::v2;
use narthex::remote::pb::{prometheus_copy, thanos};
use narthex::remote::write::limits::CountLimits;
use narthex::remote::write::limits::WriteLimits;
use narthex::remote::write::metrics::WriteMetrics;
use narthex::remote::write::{RemoteWriteError, RemoteWriteVersion, RemoteWriter, WireFormat};
use narthex::scrape::unit::label_limits::SeriesLabelLimits;
use narthex::scrape::unit::settings::{StartTimestamps, UnitSettings};
use narthex::scrape::unit::staging::StagedScrape;
use narthex::scrape::unit::store::{Scrape, ScrapedBody, Storage, TargetStore};
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::{Db, DbHandle};
use prost::Message;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[path = "support/wire.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod wire;

const SERIES: usize = 2000;
const START: i64 = 1_700_000_000_000;
const NOW: i64 = START + 3_600_000;

/// Encodes a request of remote write 1.0 with one sample of each series.
fn request_v1(round: i64) -> Vec<u8> {
    let timeseries = (0..SERIES)
        .map(|series| wire::TimeSeries {
            labels: [
                ("__name__", "known"),
                ("instance", "host:9100"),
                ("series", &series.to_string()),
            ]
            .map(|(name, value)| wire::Label { name: name.into(), value: value.into() })
            .into(),
            samples: vec![wire::Sample {
                bits: Some(42.0f64.to_bits()),
                timestamp: START + round * 15_000,
            }],
            ..Default::default()
        })
        .collect();
    let message = wire::WriteRequest { timeseries, ..Default::default() }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&message).expect("a small message")
}

/// Encodes the same request in remote write 2.0, with metadata.
fn request_v2(round: i64) -> Vec<u8> {
    let strings =
        ["", "__name__", "known", "instance", "host:9100", "series", "Help text.", "seconds"];
    let mut symbols: Vec<String> = strings.map(str::to_owned).to_vec();
    let known = symbols.len() as u32;
    symbols.extend((0..SERIES).map(|series| series.to_string()));
    let timeseries = (0..SERIES as u32).map(|series| v2::TimeSeries {
        labels_refs: vec![1, 2, 3, 4, 5, known + series],
        samples: vec![v2::Sample {
            value: 42.0,
            timestamp: START + round * 15_000,
            start_timestamp: START,
        }],
        metadata: Some(v2::Metadata { r#type: 1, help_ref: 6, unit_ref: 7 }),
        ..Default::default()
    });
    let message = v2::Request { symbols, timeseries: timeseries.collect() }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&message).expect("a small message")
}

/// Encodes the same request as a Thanos Receive router does: each of two tenants has half of the
/// series.
fn router_request(round: i64) -> Vec<u8> {
    let message =
        snap::raw::Decoder::new().decompress_vec(&request_v1(round)).expect("a valid snappy block");
    // Thanos once sent series in the field number of remote write 1.0.
    let timeseries = thanos::WriteRequest::decode(&*message).expect("a valid message").timeseries;
    let tuple = |(timeseries, tenant): (&[prometheus_copy::TimeSeries], &str)| {
        thanos::TimeSeriesTenantTuple { timeseries: timeseries.to_vec(), tenant: tenant.to_owned() }
    };
    let tuples = timeseries.chunks(SERIES / 2).zip(["blue", "green"]).map(tuple);
    thanos::WriteRequest { timeseries_tenant_data: tuples.collect(), ..Default::default() }
        .encode_to_vec()
}

#[test]
fn known_series_append_allocates_nothing_per_series() {
    let format = |version| WireFormat { version, packing: BodyCompression::SnappyBlock };
    assert_few_allocations(request_v1, |writer, db, body| {
        writer.store(db, body, format(RemoteWriteVersion::V1), NOW)
    });
    assert_few_allocations(request_v2, |writer, db, body| {
        writer.store(db, body, format(RemoteWriteVersion::V2), NOW)
    });
    assert_few_allocations(router_request, |writer, db, body| writer.store_thanos(db, body, NOW));
}

fn assert_few_allocations(
    request: fn(i64) -> Vec<u8>,
    write: impl Fn(&RemoteWriter, &Db, &[u8]) -> Result<WriteOutcome, RemoteWriteError>,
) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = LockedDir::open(DbOptions::new(dir.path().to_owned()))
        .expect("an unlocked directory")
        .into_recovery()
        .run()
        .expect("an empty directory")
        .db;
    let limits = WriteLimits {
        decoded_bytes: 64 << 20,
        counts: CountLimits { series: 200_000, samples: 2_000_000 },
        items: IngestLimits {
            labels: LabelLimits { count: 256, name_bytes: 4096, value_bytes: 4096 },
            metadata: MetadataLimits { name_bytes: 4096, text_bytes: 4096 },
            max_future_ms: 600_000,
            dry_run: DryRunLimits::NONE,
        },
    };
    let writer = RemoteWriter::new(limits, WriteMetrics::register(&mut Registry::new()));
    let store = |round| {
        let body = request(round);
        let mut stored = 0;
        let counted = measure(|| {
            let outcome = write(&writer, &db, &body);
            stored = outcome.expect("a valid request").samples;
        });
        assert_eq!(stored, SERIES as u64);
        counted.count_total
    };
    // The first rounds create the series and grow the buffers. Equal values take two bits per
    // sample, so no chunk grows later.
    let first = store(0);
    assert!(first > SERIES as u64, "{first} allocations for new series: the counter does not work");
    (1..10).for_each(|round| _ = store(round));
    for round in 10..40 {
        let allocations = store(round);
        assert!(allocations <= 16, "{allocations} allocations in round {round}");
    }
}

#[test]
fn protobuf_body_allocates_nothing_per_series() {
    let path = "tests/golden/scrape/prometheus3.protobuf.1.body.gz";
    let packed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .expect("the golden body can be read");
    let mut body = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut body).expect("the golden body unpacks");
    let options = ParserOptions { ignore_native_histograms: true, ..ParserOptions::default() };
    let read = |body: &[u8]| {
        let mut series = 0;
        let mut sum = 0.0;
        let info = measure(|| {
            let mut parser = open_parser(body, Format::Protobuf, options);
            while parser.next_entry().expect("the golden body is well-formed").is_some() {
                if let EntryValue::Float(value) = parser.series().value {
                    series += usize::from(!parser.series().key.is_empty());
                    sum += value;
                }
            }
        });
        assert!(sum.is_finite() || sum.is_nan());
        (series, info.count_total)
    };
    // The buffers have grown after the first copy of the body.
    let (once, allocations) = read(&body);
    let (tenfold, allocations_tenfold) = read(&body.repeat(10));
    assert!(once > 600, "only {once} series");
    assert_eq!(tenfold, 10 * once);
    assert_eq!(allocations_tenfold, allocations);
}

/// Samples of a scrape that belong to the scraper.
const REPORT_SAMPLES: u64 = 5;

#[test]
fn known_series_scrape_allocates_nothing_per_series() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = LockedDir::open(DbOptions::new(dir.path().to_owned()))
        .expect("an unlocked directory")
        .into_recovery()
        .run()
        .expect("an empty directory")
        .db;
    let handle = DbHandle::new(Arc::clone(db.shared()));
    handle.publish(db);
    let target_labels = [("instance", "host:9100"), ("job", "node")];
    let mut target_labels: LabelsBuilder<'_> = target_labels.into_iter().collect();
    let target_labels = target_labels.build().expect("valid labels");
    let mut target = TargetStore::new(&target_labels, false);
    let settings = UnitSettings {
        target_labels: Arc::new(target_labels),
        honor_labels: false,
        honor_timestamps: true,
        track_timestamps_staleness: false,
        metric_relabeling: Arc::new([]),
        validation: NameValidationScheme::default(),
        label_limits: SeriesLabelLimits { count: 10, name_length: 100, value_length: 100 },
        histogram_limits: HistogramLimits::default(),
        sample_limit: 2 * SERIES as u64,
        fallback_format: None,
        parser: ParserOptions::default(),
        start_timestamps: StartTimestamps::Ignore,
        extra_metrics: false,
        timeout: Duration::from_secs(10),
    };
    let limits = IngestLimits {
        labels: LabelLimits { count: 256, name_bytes: 4096, value_bytes: 4096 },
        metadata: MetadataLimits { name_bytes: 4096, text_bytes: 4096 },
        max_future_ms: 600_000,
        dry_run: DryRunLimits::NONE,
    };
    let mut body = "# HELP known Help text.\n# TYPE known gauge\n".to_owned();
    for series in 0..SERIES {
        body.push_str(&format!("known{{series=\"{series}\"}} 42\n"));
    }
    let mut staged = StagedScrape::default();
    let mut store = |round: i64| {
        let body = ScrapedBody { bytes: body.as_bytes(), content_type: "text/plain" };
        let timestamp_ms = START + round * 15_000;
        let scrape = Scrape { body: Ok(body), timestamp_ms };
        let storage = Storage { db: &handle, limits: &limits, now_ms: timestamp_ms };
        let mut stored = 0;
        let counted = measure(|| {
            let mut appended = || Duration::from_millis(1);
            let report = target.store(scrape, &settings, storage, &mut staged, &mut appended);
            stored = report.outcome.samples;
        });
        assert_eq!(stored, SERIES as u64 + REPORT_SAMPLES);
        counted.count_total
    };
    let first = store(0);
    assert!(first > SERIES as u64, "{first} allocations for new series: the counter does not work");
    (1..10).for_each(|round| _ = store(round));
    for round in 10..40 {
        let allocations = store(round);
        assert!(allocations <= 24, "{allocations} allocations in round {round}");
    }
}

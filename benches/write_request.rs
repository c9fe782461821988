//! Write requests: decoding in place compared with prost, and storing 2.0 compared with 1.0.
//!
//! The request is like those of a Prometheus server with default settings: 2000 series, one sample
//! each, twelve labels. Storing starts from a snappy block and existing series. The sizes of both
//! versions are printed.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use narthex::ingest::limits::DryRunLimits;
use narthex::ingest::limits::{IngestLimits, LabelLimits};
use narthex::ingest::metadata::MetadataLimits;
use narthex::ingest::request_series::RequestSeries;
use narthex::metrics::registry::Registry;
use narthex::remote::body_compression::BodyCompression;
use narthex::remote::pb::io::prometheus::write::v2;
use narthex::remote::pb::prometheus as pb;
use narthex::remote::write::limits::CountLimits;
use narthex::remote::write::limits::WriteLimits;
use narthex::remote::write::metrics::WriteMetrics;
use narthex::remote::write::v1::request_index::RequestIndexV1;
use narthex::remote::write::v2::request_index as v2_reader;
use narthex::remote::write::{RemoteWriteVersion, RemoteWriter, WireFormat};
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use narthex::tsdb::db::recovery::Recovered;
use prost::Message;
use std::collections::HashMap;
use std::hint::black_box;

const SERIES: usize = 2000;
const START: i64 = 1_762_300_800_000;
const LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };

/// Returns the labels of a series by its number.
fn labels(i: usize) -> [(&'static str, String); 12] {
    [
        ("__name__", format!("container_network_receive_bytes_total_{}", i % 50)),
        ("cluster", "eu-west-1-production".into()),
        ("container", "application".into()),
        ("endpoint", "https-metrics".into()),
        ("id", format!("/kubepods/burstable/pod{i:032x}")),
        ("instance", format!("10.0.{}.{}:10250", i / 250, i % 250)),
        ("interface", "eth0".into()),
        ("job", "kubelet".into()),
        ("namespace", "monitoring".into()),
        ("node", format!("ip-10-0-{}-{}.internal", i / 250, i % 250)),
        ("pod", format!("application-7d9c5b8f6d-{i:05}")),
        ("service", "kubelet".into()),
    ]
}

fn request(timestamp: i64) -> Vec<u8> {
    let timeseries = (0..SERIES).map(|i| pb::TimeSeries {
        labels: labels(i).map(|(name, value)| pb::Label { name: name.to_owned(), value }).into(),
        samples: vec![pb::Sample { value: i as f64 * 1.5, timestamp }],
        ..Default::default()
    });
    pb::WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() }.encode_to_vec()
}

/// Symbol table of a 2.0 request, without duplicates.
struct Symbols {
    texts: Vec<String>,
    places: HashMap<String, u32>,
}

impl Symbols {
    fn symbol_ref(&mut self, text: &str) -> u32 {
        let next = self.texts.len() as u32;
        *self.places.entry(text.to_owned()).or_insert_with(|| {
            self.texts.push(text.to_owned());
            next
        })
    }
}

/// Returns the same request as 2.0, with type and help text per series.
fn request_v2(timestamp: i64) -> Vec<u8> {
    let mut symbols = Symbols { texts: Vec::new(), places: HashMap::new() };
    symbols.symbol_ref("");
    let mut timeseries = Vec::new();
    for i in 0..SERIES {
        let labels = labels(i);
        let refs = labels
            .iter()
            .flat_map(|(name, value)| [symbols.symbol_ref(name), symbols.symbol_ref(value)])
            .collect();
        let help = format!("Cumulative count of bytes received, number {}.", i % 50);
        timeseries.push(v2::TimeSeries {
            labels_refs: refs,
            samples: vec![v2::Sample { value: i as f64 * 1.5, timestamp, start_timestamp: 0 }],
            metadata: Some(v2::Metadata {
                r#type: 1,
                help_ref: symbols.symbol_ref(&help),
                unit_ref: 0,
            }),
            ..Default::default()
        });
    }
    v2::Request { symbols: symbols.texts, timeseries }.encode_to_vec()
}

fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap_or_default()
}

fn write_request(c: &mut Criterion) {
    let body = request(START);
    let mut group = c.benchmark_group("write_request");
    group.throughput(Throughput::Elements(SERIES as u64));
    let mut index = RequestIndexV1::default();
    group.bench_function("check", |b| b.iter(|| index.validate(black_box(&body), LIMITS).is_ok()));
    group.bench_function("check and walk", |b| {
        b.iter(|| {
            let mut sum = 0;
            if let Ok(request) = index.validate(black_box(&body), LIMITS) {
                for series in request.series() {
                    sum += series.packed_labels().map_or(0, <[u8]>::len) as i64;
                    sum += series.samples().map(|sample| sample.t).sum::<i64>();
                }
            }
            sum
        });
    });
    group.bench_function("prost", |b| b.iter(|| pb::WriteRequest::decode(black_box(&body[..]))));
    group.finish();
}

fn write_request_v2(c: &mut Criterion) {
    let body = request_v2(START);
    let mut group = c.benchmark_group("write_request_v2");
    group.throughput(Throughput::Elements(SERIES as u64));
    let mut index = v2_reader::RequestIndexV2::default();
    let bounds = v2_reader::RequestLimitsV2 { counts: LIMITS, text_bytes: usize::MAX };
    group.bench_function("check", |b| b.iter(|| index.validate(black_box(&body), bounds).is_ok()));
    let mut buffer = Vec::new();
    group.bench_function("check and walk", |b| {
        b.iter(|| {
            let mut sum = 0;
            if let Ok(request) = index.validate(black_box(&body), bounds) {
                for series in request.series() {
                    let series = series.with_label_bytes(&mut buffer);
                    sum += series.label_bytes().map_or(0, <[u8]>::len) as i64;
                    sum += series.samples().map(|sample| sample.t).sum::<i64>();
                }
            }
            sum
        });
    });
    group.bench_function("prost", |b| b.iter(|| v2::Request::decode(black_box(&body[..]))));
    group.finish();
}

/// Builds a request with the given timestamp.
type BuildRequest = fn(i64) -> Vec<u8>;

fn store(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(SERIES as u64));
    for (name, version, make) in [
        ("1.0", RemoteWriteVersion::V1, request as BuildRequest),
        ("2.0", RemoteWriteVersion::V2, request_v2),
    ] {
        let message = make(START);
        println!("{name}: {} bytes, {} as a snappy block", message.len(), compress(&message).len());
        let Ok(dir) = tempfile::tempdir() else { return };
        let Ok(locked) = LockedDir::open(DbOptions::new(dir.path().to_owned())) else { return };
        let Ok(Recovered { db, .. }) = locked.into_recovery().run() else { return };
        let limits = WriteLimits {
            decoded_bytes: 64 << 20,
            counts: LIMITS,
            items: IngestLimits {
                labels: LabelLimits { count: 256, name_bytes: 4096, value_bytes: 4096 },
                metadata: MetadataLimits { name_bytes: 4096, text_bytes: 4096 },
                max_future_ms: i64::MAX,
                dry_run: DryRunLimits::NONE,
            },
        };
        let writer = RemoteWriter::new(limits, WriteMetrics::register(&mut Registry::new()));
        let form = WireFormat { version, packing: BodyCompression::SnappyBlock };
        let mut timestamp = START;
        group.bench_function(name, |b| {
            let next = || {
                timestamp += 1000;
                compress(&make(timestamp))
            };
            let stored = |body: Vec<u8>| {
                writer.store(&db, &body, form, START).map(|outcome| outcome.samples)
            };
            b.iter_batched(next, stored, BatchSize::NumIterations(50));
        });
    }
    group.finish();
}

criterion_group!(benches, write_request, write_request_v2, store);
criterion_main!(benches);

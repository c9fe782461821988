//! Appends to known series allocate nothing per sample, series or label, by a counting allocator.

use allocation_counter::measure;
use narthex::ingest::limits::DryRunLimits;
use narthex::ingest::limits::{IngestLimits, LabelLimits};
use narthex::ingest::metadata::MetadataLimits;
use narthex::ingest::outcome::WriteOutcome;
use narthex::metrics::registry::Registry;
use narthex::remote::body_compression::BodyCompression;
use narthex::remote::pb::io::prometheus::write::v2;
use narthex::remote::pb::{prometheus_copy, thanos};
use narthex::remote::write::limits::CountLimits;
use narthex::remote::write::limits::WriteLimits;
use narthex::remote::write::metrics::WriteMetrics;
use narthex::remote::write::{RemoteWriteError, RemoteWriteVersion, RemoteWriter, WireFormat};
use narthex::tsdb::db::Db;
use narthex::tsdb::db::locked_dir::LockedDir;
use narthex::tsdb::db::options::DbOptions;
use prost::Message;

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

//! Database contents after a router's request.

use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::metrics::registry::Registry;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::time::TimeRange;
use crate::remote::pb::prometheus_copy::{
    BucketSpan, Exemplar, Histogram, Sample, TimeSeries, histogram,
};
use crate::remote::pb::thanos::{Label, TimeSeriesTenantTuple, WriteRequest};
use crate::remote::write::RemoteWriter;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::thanos::tenant::TenantLabel;
use crate::tsdb::db::Db;
use crate::tsdb::db::LockedDir;
use crate::tsdb::db::options::DbOptions;
use prost::Message;
use tempfile::TempDir;

const NOW: i64 = 1_762_300_800_000;

struct Bench {
    db: Db,
    writer: RemoteWriter,
    _dir: TempDir,
}

fn bench(tenant_label: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let db = LockedDir::open(DbOptions::new(dir.path().to_owned()))
        .unwrap()
        .into_recovery()
        .run()
        .unwrap()
        .db;
    let limits = WriteLimits {
        decoded_bytes: 1 << 20,
        counts: CountLimits { series: 1000, samples: 10_000 },
        items: IngestLimits {
            labels: LabelLimits { count: 10, name_bytes: 20, value_bytes: 50 },
            metadata: MetadataLimits { name_bytes: 100, text_bytes: 100 },
            max_future_ms: 600_000,
            dry_run: DryRunLimits::NONE,
        },
    };
    let metrics = WriteMetrics::register(&mut Registry::new());
    let writer = RemoteWriter::new(limits, metrics).with_tenants(TenantLabel::new(tenant_label));
    Bench { db, writer, _dir: dir }
}

impl Bench {
    fn store(&self, request: &WriteRequest) -> WriteOutcome {
        self.writer.store_thanos(&self.db, &request.encode_to_vec(), NOW).unwrap()
    }

    /// Returns every series with its number of samples.
    fn stored(&self) -> Vec<String> {
        let all = [Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()];
        let series = self.db.querier().select(&all, TimeRange::ALL).unwrap().map(Result::unwrap);
        series
            .map(|series| format!("{} {}", series.labels(), series.samples(TimeRange::ALL).count()))
            .collect()
    }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries {
        labels: labels
            .iter()
            .map(|(n, v)| Label { name: (*n).to_owned(), value: (*v).to_owned() })
            .collect(),
        samples: samples.iter().map(|&(timestamp, value)| Sample { value, timestamp }).collect(),
        ..Default::default()
    }
}

fn of_tenants(tenants: Vec<(&str, Vec<TimeSeries>)>) -> WriteRequest {
    let tuple = |(tenant, timeseries): (&str, _)| TimeSeriesTenantTuple {
        timeseries,
        tenant: tenant.to_owned(),
    };
    WriteRequest {
        timeseries_tenant_data: tenants.into_iter().map(tuple).collect(),
        replica: 1,
        ..Default::default()
    }
}

#[test]
fn tenants_of_both_fields_are_separated() {
    let bench = bench("tenant_id");
    let up = || series(&[("__name__", "up"), ("zone", "x")], &[(NOW, 1.0)]);
    let both = WriteRequest {
        timeseries: vec![up()],
        tenant: "old".to_owned(),
        ..of_tenants(vec![
            ("a", vec![up()]),
            ("b", vec![up(), series(&[("__name__", "x")], &[(NOW, 1.0)])]),
            ("", vec![up()]),
        ])
    };
    // The second request has only known series.
    for _ in 0..2 {
        let outcome = bench.store(&both);
        assert_eq!((outcome.samples, outcome.rejections.to_string().as_str()), (5, ""));
    }
    let expected = [
        r#"{__name__="up", tenant_id="a", zone="x"} 1"#,
        r#"{__name__="up", tenant_id="b", zone="x"} 1"#,
        r#"{__name__="up", tenant_id="old", zone="x"} 1"#,
        r#"{__name__="up", zone="x"} 1"#,
        r#"{__name__="x", tenant_id="b"} 1"#,
    ];
    assert_eq!(bench.stored(), expected);
}

#[test]
fn tenant_label_replaces_label_of_sender() {
    let bench = bench("a");
    let spoofed = [
        series(&[("__name__", "m"), ("a", "other"), ("b", "1")], &[(NOW, 1.0)]),
        // Unsorted, with an empty value: the slow path leads to the same series.
        series(&[("b", "1"), ("a", "other"), ("__name__", "m")], &[(NOW + 1, 1.0)]),
        series(&[("a", ""), ("__name__", "m"), ("b", "1")], &[(NOW + 2, 1.0)]),
        series(&[("__name__", "m"), ("b", "1")], &[(NOW + 3, 1.0)]),
    ];
    assert_eq!(bench.store(&of_tenants(vec![("t", spoofed.to_vec())])).samples, 4);
    let twice = series(&[("__name__", "m"), ("a", "t"), ("a", "t"), ("b", "1")], &[(NOW + 4, 1.0)]);
    let outcome = bench.store(&of_tenants(vec![("t", vec![twice])]));
    assert_eq!(
        (outcome.samples, outcome.rejections.count(RejectReason::BadLabels)),
        (0, 1),
        "{}",
        outcome.rejections
    );
    assert_eq!(bench.stored(), [r#"{__name__="m", a="t", b="1"} 4"#]);
}

#[test]
fn tenants_are_merged_without_label_name() {
    let bench = bench("");
    let up = |t| vec![series(&[("__name__", "up"), ("tenant_id", "own")], &[(t, 1.0)])];
    assert_eq!(bench.store(&of_tenants(vec![("a", up(NOW)), ("b", up(NOW + 1))])).samples, 2);
    assert_eq!(bench.stored(), [r#"{__name__="up", tenant_id="own"} 2"#]);
}

#[test]
fn invalid_items_are_named_and_others_stored() {
    let bench = bench("tenant_id");
    let long = "t".repeat(51);
    let good = || vec![series(&[("__name__", "good")], &[(NOW, 1.0)])];
    let bad = vec![
        series(&[("no", "name")], &[(NOW, 1.0)]),
        series(&[("__name__", "good")], &[(NOW, 1.0), (NOW, 2.0), (NOW + 1, 3.0), (i64::MAX, 1.0)]),
        series(&[], &[(NOW, 1.0)]),
    ];
    let outcome = bench.store(&of_tenants(vec![("a", bad), (&long, good()), ("c", good())]));
    assert_eq!(outcome.samples, 3);
    let counts =
        [RejectReason::BadLabels, RejectReason::DuplicateTimestamp, RejectReason::TooFarAhead];
    assert_eq!(
        counts.map(|reason| outcome.rejections.count(reason)),
        [3, 1, 1],
        "{}",
        outcome.rejections
    );
    assert!(
        outcome.rejections.to_string().contains(r#"{no="name", tenant_id="a"} (no metric name)"#),
        "{}",
        outcome.rejections
    );
    assert_eq!(
        bench.stored(),
        [r#"{__name__="good", tenant_id="a"} 2"#, r#"{__name__="good", tenant_id="c"} 1"#]
    );
}

#[test]
fn histograms_and_exemplars_get_their_tenant() {
    let bench = bench("tenant_id");
    let histogram = Histogram {
        count: Some(histogram::Count::CountInt(3)),
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }],
        positive_deltas: vec![3],
        timestamp: NOW,
        ..Default::default()
    };
    let trace = vec![Label { name: "trace_id".to_owned(), value: "1".to_owned() }];
    let exemplar = Exemplar { labels: trace, value: 1.0, timestamp: NOW };
    let named = |histograms, exemplars| TimeSeries {
        histograms,
        exemplars,
        ..series(&[("__name__", "h")], &[])
    };
    // The exemplar precedes its series. The tenant without the series has none.
    let a = vec![named(vec![], vec![exemplar.clone()]), named(vec![histogram], vec![])];
    let outcome =
        bench.store(&of_tenants(vec![("a", a), ("b", vec![named(vec![], vec![exemplar])])]));
    assert_eq!((outcome.histograms, outcome.exemplars), (1, 1), "{}", outcome.rejections);
    assert_eq!(outcome.rejections.count_of(ItemKind::Exemplar, RejectReason::UnknownSeries), 1);
    assert_eq!(bench.stored(), [r#"{__name__="h", tenant_id="a"} 1"#]);
}

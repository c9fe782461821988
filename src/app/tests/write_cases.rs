//! Responses to writes as a table of cases, each sent over every protocol but that of a Thanos
//! router (`thanos_write`) and followed by a read. All of them store the same data identically.

use crate::app::tests::edge::{TestServer, now_ms, series};
use crate::app::tests::write_path::{WritePath, WriteResult};
use crate::remote::pb::prometheus as pb;
use crate::server::management::lifecycle::Phase;
use crate::testing::crash_disk::{CrashDisk, DiskCall};
use proptest::prelude::*;
use std::sync::Arc;
use tokio::runtime::Runtime;

const EXPORT_ALL: &str = "/api/v1/export?values=bits&match[]={__name__!=%22%22}";
const EXEMPLARS: &str = "/api/v1/query_exemplars?query=%7B__name__!=%22%22%7D";

/// Request, expected response and expected data.
struct WriteCase {
    name: &'static str,
    flags: &'static [&'static str],
    /// Series stored before the request.
    before: Vec<pb::TimeSeries>,
    sent: Vec<pb::TimeSeries>,
    status: u16,
    /// Parts of the expected message.
    messages: &'static [&'static str],
    /// Expected counts of stored samples, histograms and exemplars.
    stored: [u64; 3],
    /// All series expected after the request.
    expected: Vec<pb::TimeSeries>,
}

fn rejected(series: Vec<pb::TimeSeries>) -> WriteCase {
    WriteCase {
        name: "",
        flags: &[],
        before: Vec::new(),
        sent: series,
        status: 400,
        messages: &[],
        stored: [0; 3],
        expected: Vec::new(),
    }
}

fn histogram(timestamp: i64, count: u64) -> pb::Histogram {
    pb::Histogram {
        count: Some(pb::histogram::Count::CountInt(count)),
        zero_count: Some(pb::histogram::ZeroCount::ZeroCountInt(0)),
        zero_threshold: 0.001,
        sum: 7.5,
        positive_spans: vec![pb::BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 1],
        timestamp,
        ..Default::default()
    }
}

fn exemplar(timestamp: i64, id: &str) -> pb::Exemplar {
    let label = pb::Label { name: "trace_id".into(), value: id.into() };
    pb::Exemplar { labels: vec![label], value: 0.5, timestamp }
}

fn labelled(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> pb::TimeSeries {
    let labels = labels
        .iter()
        .map(|(name, value)| pb::Label { name: (*name).into(), value: (*value).into() });
    pb::TimeSeries { labels: labels.collect(), ..series("", samples) }
}

fn table() -> Vec<WriteCase> {
    let now = now_ms();
    let good = series("up", &[(now, 1.0), (now + 1, f64::INFINITY)]);
    let every_kind = pb::TimeSeries {
        histograms: vec![histogram(now, 3)],
        exemplars: vec![exemplar(now, "a"), exemplar(now + 1, "b")],
        ..series("kinds", &[])
    };
    let all = vec![good.clone(), every_kind.clone()];
    let mixed = series("up", &[(now, 5.0), (now + 2, 3.0), (now + 3_600_000, 1.0)]);
    vec![
        WriteCase {
            name: "all stored",
            status: 204,
            stored: [2, 1, 2],
            expected: all.clone(),
            ..rejected(all.clone())
        },
        WriteCase {
            name: "duplicates",
            before: all.clone(),
            status: 204,
            stored: [2, 1, 2],
            expected: all.clone(),
            ..rejected(all)
        },
        WriteCase { name: "empty request", status: 204, ..rejected(Vec::new()) },
        WriteCase {
            name: "partially invalid",
            before: vec![good.clone()],
            messages: &[
                "1 duplicate timestamp",
                "1 too far in the future",
                "1 invalid labels",
                "up",
            ],
            stored: [1, 0, 0],
            expected: vec![series("up", &[(now, 1.0), (now + 1, f64::INFINITY), (now + 2, 3.0)])],
            ..rejected(vec![mixed, labelled(&[("a", "nameless")], &[(now, 1.0)])])
        },
        WriteCase {
            name: "invalid",
            messages: &["2 invalid labels"],
            ..rejected(vec![labelled(&[("a", "nameless")], &[(now, 1.0), (now + 1, 1.0)])])
        },
        WriteCase {
            name: "unsorted labels and an empty one",
            before: vec![labelled(&[("__name__", "x"), ("a", "1")], &[(now, 1.0)])],
            status: 204,
            stored: [1, 0, 0],
            expected: vec![labelled(
                &[("__name__", "x"), ("a", "1")],
                &[(now, 1.0), (now + 1, 2.0)],
            )],
            ..rejected(vec![labelled(
                &[("b", ""), ("a", "1"), ("__name__", "x")],
                &[(now + 1, 2.0)],
            )])
        },
        WriteCase {
            name: "series over the limit of active series",
            flags: &["--storage.tsdb.max-active-series=1"],
            before: vec![good.clone()],
            messages: &["1 over the limit", "other"],
            expected: vec![good.clone()],
            ..rejected(vec![series("other", &[(now, 1.0)])])
        },
        WriteCase {
            name: "too many series",
            flags: &["--storage.remote.write-max-series=1"],
            status: 413,
            messages: &["more than 1 series"],
            ..rejected(vec![series("a", &[(now, 1.0)]), series("b", &[(now, 1.0)])])
        },
        WriteCase {
            name: "too many bytes",
            flags: &["--storage.remote.write-max-decoded-size=200"],
            status: 413,
            ..rejected(vec![series(&"x".repeat(400), &[(now, 1.0)])])
        },
    ]
}

/// Returns all stored data: export lines and exemplars.
async fn stored_data(edge: &TestServer) -> (Vec<String>, String) {
    let export = edge.get(EXPORT_ALL).await;
    let mut lines: Vec<String> = export.text().lines().map(str::to_owned).collect();
    lines.sort();
    (lines, edge.get(EXEMPLARS).await.text().to_owned())
}

async fn data_of(series: &[pb::TimeSeries]) -> (Vec<String>, String) {
    let edge = TestServer::ready(&[]).await;
    for single in series {
        assert_eq!(WritePath::Http1.write(&edge, std::slice::from_ref(single)).await.status, 204);
    }
    stored_data(&edge).await
}

#[tokio::test]
async fn responses_are_equal_over_every_path() {
    for row in table() {
        let expected = data_of(&row.expected).await;
        for path in WritePath::ALL {
            let context = format!("{}, over {path:?}", row.name);
            let edge = TestServer::ready(row.flags).await;
            if !row.before.is_empty() {
                assert_eq!(path.write(&edge, &row.before).await.status, 204, "before {context}");
            }
            let WriteResult { status, text, stored } = path.write(&edge, &row.sent).await;
            assert_eq!(status, row.status, "{context}: {text}");
            for part in row.messages {
                assert!(text.contains(part), "{context}: {part:?} is not in {text:?}");
            }
            // No counts: 1.0 over HTTP, rejected unary calls (in the details), too large requests.
            if let Some(stored) = stored {
                assert_eq!(stored, row.stored, "{context}");
            }
            assert_eq!(stored_data(&edge).await, expected, "{context}");
        }
    }
}

#[tokio::test]
async fn malformed_bytes_are_rejected_over_every_path() {
    for path in WritePath::ALL {
        let edge = TestServer::ready(&[]).await;
        let whole = path.message(&[series("up", &[(now_ms(), 1.0)])]);
        for bytes in [&b"\x2a\xff"[..], &whole[..whole.len() - 1], b"\x00\x00"] {
            let result = path.write_bytes(&edge, bytes).await;
            assert_eq!(result.status, 400, "{path:?}: {}", result.text);
        }
        assert_eq!(stored_data(&edge).await.0, [""; 0], "{path:?}");
        assert_eq!(
            path.write(&edge, &[series("up", &[(now_ms(), 1.0)])]).await.status,
            204,
            "{path:?}"
        );
    }
}

#[tokio::test]
async fn temporary_rejection_is_503_over_every_path() {
    let good = [series("up", &[(now_ms(), 1.0)])];
    for path in WritePath::ALL {
        let edge = TestServer::starting(&[]).await;
        assert_eq!(path.write(&edge, &good).await.status, 503, "starting, {path:?}");
        edge.recover();
        edge.context.process.lifecycle.advance(Phase::Ready);
        assert_eq!(path.write(&edge, &good).await.status, 204, "{path:?}");
        let disk = CrashDisk::new();
        let full = TestServer::ready_on(Arc::new(disk.clone()), &[]).await;
        disk.set_free_bytes(Some(0));
        assert_eq!(path.write(&full, &good).await.status, 503, "full, {path:?}");
        assert_eq!(path.write(&full, &good).await.status, 503, "read-only, {path:?}");
        edge.context.process.db.close().unwrap();
        assert_eq!(path.write(&edge, &good).await.status, 503, "closed, {path:?}");
        edge.context.process.lifecycle.advance(Phase::Draining);
        assert_eq!(path.write(&edge, &good).await.status, 503, "draining, {path:?}");
    }
}

#[tokio::test]
async fn wal_failure_is_500_over_every_path() {
    for path in WritePath::ALL {
        let disk = CrashDisk::new();
        let edge =
            TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
        let now = now_ms();
        assert_eq!(path.write(&edge, &[series("up", &[(now, 1.0)])]).await.status, 204, "{path:?}");
        disk.fail_with_eio(DiskCall::Sync, 1);
        assert_eq!(
            path.write(&edge, &[series("up", &[(now + 1, 1.0)])]).await.status,
            500,
            "{path:?}"
        );
        assert_eq!(
            path.write(&edge, &[series("up", &[(now + 2, 1.0)])]).await.status,
            503,
            "{path:?}"
        );
    }
}

/// Generates series with few names and timestamps, so that they conflict. Each has a sample: in 2.0
/// a series without samples is an error.
fn any_series() -> impl Strategy<Value = pb::TimeSeries> {
    let label = ("[ab_]{0,2}", "[xyé]{0,2}");
    let sample = (0..6i64, prop_oneof![Just(1.0), Just(-0.0), Just(f64::INFINITY), any::<f64>()]);
    let labels = prop::collection::vec(label, 0..3);
    (
        prop::option::weighted(0.9, "[mn]"),
        labels,
        prop::collection::vec(sample, 1..4),
        prop::collection::vec(0..6i64, 0..2),
    )
        .prop_map(|(name, labels, samples, histograms)| {
            let name = name.map(|name| ("__name__".to_owned(), name));
            let labels =
                name.into_iter().chain(labels).map(|(name, value)| pb::Label { name, value });
            pb::TimeSeries {
                labels: labels.collect(),
                samples: samples
                    .into_iter()
                    .map(|(t, value)| pb::Sample { value, timestamp: START + t })
                    .collect(),
                exemplars: histograms.iter().map(|t| exemplar(START + t, &t.to_string())).collect(),
                histograms: histograms.into_iter().map(|t| histogram(START + 10 + t, 3)).collect(),
            }
        })
}

const START: i64 = 1_762_300_800_000;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn same_data_is_stored_equally_over_every_path(
        requests in prop::collection::vec(prop::collection::vec(any_series(), 0..4), 1..4),
    ) {
        Runtime::new().unwrap().block_on(async {
            let mut first = None;
            for path in WritePath::ALL {
                let edge = TestServer::ready(&[]).await;
                let mut results = Vec::new();
                for request in &requests {
                    let WriteResult { status, text, .. } = path.write(&edge, request).await;
                    results.push((status, text.trim_end().to_owned()));
                }
                let actual = (results, stored_data(&edge).await);
                assert_eq!(first.get_or_insert_with(|| actual.clone()), &actual, "{path:?}");
            }
        });
    }
}

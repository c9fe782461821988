//! The answer contract of writes as one table of situations, each over every way in and followed by a read-back; and the same data over
//! every way is stored the same.

use crate::app::edge::{TestServer, now_ms, series};
use crate::app::ways::{WritePath, WriteResult};
use crate::remote::pb::prometheus as pb;
use crate::server::lifecycle::Phase;
use crate::tsdb::fs::crash_disk::{CrashDisk, DiskCall};
use proptest::prelude::*;
use std::sync::Arc;
use tokio::runtime::Runtime;

const EVERYTHING: &str = "/api/v1/export?values=bits&match[]={__name__!=%22%22}";
const EXEMPLARS: &str = "/api/v1/query_exemplars?query=%7B__name__!=%22%22%7D";

/// What becomes of a request.
struct Situation {
    what: &'static str,
    flags: &'static [&'static str],
    /// What is stored before.
    before: Vec<pb::TimeSeries>,
    sent: Vec<pb::TimeSeries>,
    status: u16,
    /// Parts of what is said.
    says: &'static [&'static str],
    /// How many of it are stored, where it is stored at all.
    stored: [u64; 3],
    /// All that is there afterwards.
    there: Vec<pb::TimeSeries>,
}

fn bad(series: Vec<pb::TimeSeries>) -> Situation {
    Situation {
        what: "",
        flags: &[],
        before: Vec::new(),
        sent: series,
        status: 400,
        says: &[],
        stored: [0; 3],
        there: Vec::new(),
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

fn table() -> Vec<Situation> {
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
        Situation {
            what: "all stored",
            status: 204,
            stored: [2, 1, 2],
            there: all.clone(),
            ..bad(all.clone())
        },
        Situation {
            what: "all there already",
            before: all.clone(),
            status: 204,
            stored: [2, 1, 2],
            there: all.clone(),
            ..bad(all)
        },
        Situation { what: "nothing in it", status: 204, ..bad(Vec::new()) },
        Situation {
            what: "some bad",
            before: vec![good.clone()],
            says: &["1 duplicate timestamp", "1 too far in the future", "1 invalid labels", "up"],
            stored: [1, 0, 0],
            there: vec![series("up", &[(now, 1.0), (now + 1, f64::INFINITY), (now + 2, 3.0)])],
            ..bad(vec![mixed, labelled(&[("a", "nameless")], &[(now, 1.0)])])
        },
        Situation {
            what: "all bad",
            says: &["2 invalid labels"],
            ..bad(vec![labelled(&[("a", "nameless")], &[(now, 1.0), (now + 1, 1.0)])])
        },
        Situation {
            what: "labels in another order, and an empty one",
            before: vec![labelled(&[("__name__", "x"), ("a", "1")], &[(now, 1.0)])],
            status: 204,
            stored: [1, 0, 0],
            there: vec![labelled(&[("__name__", "x"), ("a", "1")], &[(now, 1.0), (now + 1, 2.0)])],
            ..bad(vec![labelled(&[("b", ""), ("a", "1"), ("__name__", "x")], &[(now + 1, 2.0)])])
        },
        Situation {
            what: "a series over the limit of active ones",
            flags: &["--storage.tsdb.max-active-series=1"],
            before: vec![good.clone()],
            says: &["1 over the limit", "other"],
            there: vec![good.clone()],
            ..bad(vec![series("other", &[(now, 1.0)])])
        },
        Situation {
            what: "more series than a request may have",
            flags: &["--storage.remote.write-max-series=1"],
            status: 413,
            says: &["more than 1 series"],
            ..bad(vec![series("a", &[(now, 1.0)]), series("b", &[(now, 1.0)])])
        },
        Situation {
            what: "more bytes than a request may have",
            flags: &["--storage.remote.write-max-decoded-size=200"],
            status: 413,
            ..bad(vec![series(&"x".repeat(400), &[(now, 1.0)])])
        },
    ]
}

/// What an edge holds, as its export and exemplars have it.
async fn holds(edge: &TestServer) -> (Vec<String>, String) {
    let export = edge.get(EVERYTHING).await;
    let mut lines: Vec<String> = export.text().lines().map(str::to_owned).collect();
    lines.sort();
    (lines, edge.get(EXEMPLARS).await.text().to_owned())
}

async fn holding(series: &[pb::TimeSeries]) -> (Vec<String>, String) {
    let edge = TestServer::ready(&[]).await;
    for one in series {
        assert_eq!(WritePath::Http1.write(&edge, std::slice::from_ref(one)).await.status, 204);
    }
    holds(&edge).await
}

#[tokio::test]
async fn every_situation_is_answered_alike_over_every_way_and_read_back() {
    for row in table() {
        let there = holding(&row.there).await;
        for way in WritePath::ALL {
            let context = format!("{}, over {way:?}", row.what);
            let edge = TestServer::ready(row.flags).await;
            if !row.before.is_empty() {
                assert_eq!(way.write(&edge, &row.before).await.status, 204, "before {context}");
            }
            let WriteResult { status, text, stored } = way.write(&edge, &row.sent).await;
            assert_eq!(status, row.status, "{context}: {text}");
            for part in row.says {
                assert!(text.contains(part), "{context}: {part:?} is not in {text:?}");
            }
            // 1.0 has no counts over HTTP, a unary refusal has them in its details, and of what is too large nothing is said.
            if let Some(stored) = stored {
                assert_eq!(stored, row.stored, "{context}");
            }
            assert_eq!(holds(&edge).await, there, "{context}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_over_every_way() {
    for way in WritePath::ALL {
        let edge = TestServer::ready(&[]).await;
        let whole = way.message(&[series("up", &[(now_ms(), 1.0)])]);
        for bytes in [&b"\x2a\xff"[..], &whole[..whole.len() - 1], b"\x00\x00"] {
            let verdict = way.write_bytes(&edge, bytes).await;
            assert_eq!(verdict.status, 400, "{way:?}: {}", verdict.text);
        }
        assert_eq!(holds(&edge).await.0, [""; 0], "{way:?}");
        assert_eq!(
            way.write(&edge, &[series("up", &[(now_ms(), 1.0)])]).await.status,
            204,
            "{way:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_taken_now_is_503_over_every_way() {
    let good = [series("up", &[(now_ms(), 1.0)])];
    for way in WritePath::ALL {
        let edge = TestServer::starting(&[]).await;
        assert_eq!(way.write(&edge, &good).await.status, 503, "starting, {way:?}");
        edge.context.db.replay().unwrap();
        edge.context.lifecycle.advance(Phase::Ready);
        assert_eq!(way.write(&edge, &good).await.status, 204, "{way:?}");
        let disk = CrashDisk::new();
        let full = TestServer::ready_on(Arc::new(disk.clone()), &[]).await;
        disk.set_free_bytes(Some(0));
        assert_eq!(way.write(&full, &good).await.status, 503, "full, {way:?}");
        assert_eq!(way.write(&full, &good).await.status, 503, "read-only, {way:?}");
        edge.context.db.close().unwrap();
        assert_eq!(way.write(&edge, &good).await.status, 503, "closed, {way:?}");
        edge.context.lifecycle.advance(Phase::Draining);
        assert_eq!(way.write(&edge, &good).await.status, 503, "draining, {way:?}");
    }
}

#[tokio::test]
async fn a_storage_fault_is_500_over_every_way() {
    for way in WritePath::ALL {
        let disk = CrashDisk::new();
        let edge =
            TestServer::ready_on(Arc::new(disk.clone()), &["--storage.tsdb.wal-sync=always"]).await;
        let now = now_ms();
        assert_eq!(way.write(&edge, &[series("up", &[(now, 1.0)])]).await.status, 204, "{way:?}");
        disk.fail_with_eio(DiskCall::Sync, 1);
        assert_eq!(
            way.write(&edge, &[series("up", &[(now + 1, 1.0)])]).await.status,
            500,
            "{way:?}"
        );
        assert_eq!(
            way.write(&edge, &[series("up", &[(now + 2, 1.0)])]).await.status,
            503,
            "{way:?}"
        );
    }
}

/// Series with few names, so that they meet; their samples with few times, so that they conflict. A series without any is an error in 2.0.
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
                    .map(|(t, value)| pb::Sample { value, timestamp: BEGIN + t })
                    .collect(),
                exemplars: histograms.iter().map(|t| exemplar(BEGIN + t, &t.to_string())).collect(),
                histograms: histograms.into_iter().map(|t| histogram(BEGIN + 10 + t, 3)).collect(),
            }
        })
}

const BEGIN: i64 = 1_762_300_800_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_data_over_every_way_is_stored_the_same(requests in prop::collection::vec(prop::collection::vec(any_series(), 0..4), 1..4)) {
        Runtime::new().unwrap().block_on(async {
            let mut first = None;
            for way in WritePath::ALL {
                let edge = TestServer::ready(&[]).await;
                let mut verdicts = Vec::new();
                for request in &requests {
                    let WriteResult { status, text, .. } = way.write(&edge, request).await;
                    verdicts.push((status, text.trim_end().to_owned()));
                }
                let found = (verdicts, holds(&edge).await);
                assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{way:?}");
            }
        });
    }
}

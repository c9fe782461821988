//! Limits of data over every write path: at the limit, above it, and above it in a dry run.

use crate::app::tests::edge::{TestServer, now_ms, series};
use crate::app::tests::thanos_write::forward_series;
use crate::app::tests::write_path::WritePath;
use crate::remote::pb::io::prometheus::write::v2;
use crate::remote::pb::prometheus as pb;
use prost::Message;

const REJECTED: &str = "narthex_remote_write_rejected_samples_total";
const DRY_RUN: &str = "narthex_remote_write_rejected_samples_dry_run_total";
/// Without a tenant label, requests of a Thanos router store what all others store.
const NO_TENANTS: &str = "--thanos.tenant-label-name=";

/// Write paths; `None` is a Thanos router. Others share the code of one of these.
const PATHS: [Option<WritePath>; 5] = [
    Some(WritePath::Http1),
    Some(WritePath::Http2),
    Some(WritePath::GrpcV1),
    Some(WritePath::StreamV2),
    None,
];

/// Limit with a request at it and one above it.
struct LimitCase {
    flag: &'static str,
    value: &'static str,
    at: Vec<pb::TimeSeries>,
    above: Vec<pb::TimeSeries>,
    status: u16,
    reason: &'static str,
    /// Number of items above the limit.
    count: u64,
}

fn labeled(labels: &[(&str, &str)]) -> Vec<pb::TimeSeries> {
    let labels = [("__name__", "up")].iter().chain(labels);
    let labels =
        labels.map(|(name, value)| pb::Label { name: (*name).into(), value: (*value).into() });
    vec![pb::TimeSeries { labels: labels.collect(), ..series("", &[(now_ms(), 1.0)]) }]
}

fn cases() -> Vec<LimitCase> {
    let now = now_ms();
    let (up, other) = (series("up", &[(now, 1.0)]), series("other", &[(now, 1.0)]));
    let case = |flag, value, at, above, status, reason, count| LimitCase {
        flag,
        value,
        at,
        above,
        status,
        reason,
        count,
    };
    let samples =
        |count| vec![series("up", &(0..count).map(|t| (now + t, 1.0)).collect::<Vec<_>>())];
    vec![
        case(
            "storage.remote.write-max-future",
            "10m",
            vec![series("up", &[(now + 600_000, 1.0)])],
            vec![series("up", &[(now + 900_000, 1.0), (now + 900_001, 1.0)])],
            400,
            "too_far_in_future",
            2,
        ),
        case(
            "storage.remote.write-max-labels",
            "3",
            labeled(&[("a", "1"), ("b", "2")]),
            labeled(&[("a", "1"), ("b", "2"), ("c", "3")]),
            400,
            "invalid_labels",
            1,
        ),
        case(
            "storage.remote.write-max-label-name-size",
            "8B",
            labeled(&[("name_of8", "1")]),
            labeled(&[("name_of_9", "1")]),
            400,
            "invalid_labels",
            1,
        ),
        case(
            "storage.remote.write-max-label-value-size",
            "5B",
            labeled(&[("a", "12345")]),
            labeled(&[("a", "123456")]),
            400,
            "invalid_labels",
            1,
        ),
        case(
            "storage.remote.write-max-series",
            "1",
            vec![up.clone()],
            vec![up.clone(), other.clone()],
            413,
            "too_large",
            2,
        ),
        case("storage.remote.write-max-samples", "2", samples(2), samples(3), 413, "too_large", 3),
        case(
            "storage.tsdb.max-active-series",
            "1",
            vec![up.clone()],
            vec![up, other],
            400,
            "series_limit",
            1,
        ),
    ]
}

/// Sends series over a path, or as a Thanos router. Returns the equivalent HTTP status.
async fn write(server: &TestServer, path: Option<WritePath>, sent: &[pb::TimeSeries]) -> u16 {
    match path {
        Some(path) => path.write(server, sent).await.status,
        None => match forward_series(server, sent.to_vec()).await.grpc_status() {
            "0" => 204,
            "6" => 400,
            other => panic!("unexpected status code {other}"),
        },
    }
}

/// Returns the value of a counter with these labels, or the sum of all its values.
pub(super) async fn counter(server: &TestServer, name: &str, labels: &str) -> f64 {
    let metrics = server.get("/metrics").await;
    let lines = metrics.text().lines().filter(|line| {
        line.starts_with(&format!("{name}{{")) && line.contains(&format!("{{{labels}"))
    });
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// Returns the number of stored samples.
pub(super) async fn stored_samples(server: &TestServer) -> usize {
    let export = server.get("/api/v1/export?match[]={__name__!=%22%22}").await;
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    export.text().lines().map(|text| line(text)["values"].as_array().unwrap().len()).sum()
}

fn samples_of(sent: &[pb::TimeSeries]) -> usize {
    sent.iter().map(|series| series.samples.len()).sum()
}

#[tokio::test]
async fn data_limits_apply_over_every_path() {
    for case in cases() {
        let LimitCase { flag, value, .. } = case;
        let limit = format!("--{flag}={value}");
        for path in PATHS {
            let context = format!("{flag}, over {path:?}");
            let server = TestServer::ready(&[NO_TENANTS, &limit]).await;
            assert_eq!(write(&server, path, &case.at).await, 204, "{context}");
            assert_eq!(stored_samples(&server).await, samples_of(&case.at), "{context}");
            let status = if path.is_some() { case.status } else { 400 };
            assert_eq!(write(&server, path, &case.above).await, status, "{context}");
            assert_eq!(stored_samples(&server).await, samples_of(&case.at), "{context}");
            assert_eq!(counter(&server, DRY_RUN, "").await, 0.0, "{context}");
        }
    }
}

#[tokio::test]
async fn data_over_a_limit_in_a_dry_run_is_stored_and_counted() {
    for case in cases() {
        let LimitCase { flag, value, reason, .. } = case;
        let (limit, dry_run) = (format!("--{flag}={value}"), format!("--{flag}-dry-run"));
        for path in PATHS {
            let context = format!("{flag}, over {path:?}");
            let server = TestServer::ready(&[NO_TENANTS, &limit, &dry_run]).await;
            assert_eq!(write(&server, path, &case.above).await, 204, "{context}");
            assert_eq!(stored_samples(&server).await, samples_of(&case.above), "{context}");
            let labels = format!("limit=\"{flag}\",reason=\"{reason}\"");
            let count = case.count as f64;
            assert_eq!(counter(&server, DRY_RUN, &labels).await, count, "{context}");
            assert_eq!(counter(&server, DRY_RUN, "").await, count, "{context}");
            assert_eq!(counter(&server, REJECTED, "").await, 0.0, "{context}");
        }
    }
}

/// Encodes a sample and metadata of its series or family.
fn described(path: WritePath, help: &str) -> Vec<u8> {
    let message = path.message(&[series("up", &[(now_ms(), 1.0)])]);
    if path.is_v2() {
        let mut request = v2::Request::decode(&*message).unwrap();
        request.symbols.push(help.to_owned());
        let help_ref = request.symbols.len() as u32 - 1;
        request.timeseries[0].metadata = Some(v2::Metadata { help_ref, ..Default::default() });
        request.encode_to_vec()
    } else {
        let mut request = pb::WriteRequest::decode(&*message).unwrap();
        request.metadata.push(pb::MetricMetadata {
            metric_family_name: "up".into(),
            help: help.into(),
            ..Default::default()
        });
        request.encode_to_vec()
    }
}

#[tokio::test]
async fn metadata_limit_applies_over_every_path() {
    let limit = "--storage.remote.write-max-metadata-size=5B";
    let dry_run = "--storage.remote.write-max-metadata-size-dry-run";
    for path in WritePath::ALL {
        let server = TestServer::ready(&[limit]).await;
        assert_eq!(path.write_bytes(&server, &described(path, "12345")).await.status, 204);
        assert_eq!(path.write_bytes(&server, &described(path, "123456")).await.status, 400);
        let server = TestServer::ready(&[limit, dry_run]).await;
        assert_eq!(path.write_bytes(&server, &described(path, "123456")).await.status, 204);
        assert!(server.get("/api/v1/metadata").await.text().contains("123456"), "{path:?}");
        let labels = "limit=\"storage.remote.write-max-metadata-size\",reason=\"metadata\"";
        assert_eq!(counter(&server, DRY_RUN, labels).await, 1.0, "{path:?}");
        let too_large = "x".repeat((64 << 10) + 1);
        assert_eq!(path.write_bytes(&server, &described(path, &too_large)).await.status, 400);
        assert_eq!(counter(&server, REJECTED, "reason=\"metadata\"").await, 1.0, "{path:?}");
    }
}

#[tokio::test]
async fn dry_run_rejects_beyond_its_bounds() {
    let server = TestServer::ready(&[
        "--storage.remote.write-max-future=1m",
        "--storage.remote.write-max-future-dry-run",
        "--storage.remote.write-max-decoded-size=1KB",
        "--storage.remote.write-max-series=1",
        "--storage.remote.write-max-series-dry-run",
        "--storage.remote.write-max-samples=1",
        "--storage.remote.write-max-samples-dry-run",
    ])
    .await;
    let now = now_ms();
    // A quarter of the block range of two hours, and a minute.
    let far = series("up", &[(now + 31 * 60_000, 1.0)]);
    let result = WritePath::Http1.write(&server, &[far]).await;
    assert_eq!(result.status, 400);
    assert!(result.text.contains("1 too far in the future"), "{}", result.text);
    let empty = vec![pb::TimeSeries::default(); 5];
    let result = WritePath::Http1.write(&server, &empty).await;
    assert_eq!((result.status, result.text.contains("more than 4 series")), (413, true));
    let many = pb::TimeSeries { samples: vec![pb::Sample::default(); 129], ..Default::default() };
    let result = WritePath::Http1.write(&server, &[many]).await;
    assert_eq!((result.status, result.text.contains("more than 128 samples")), (413, true));
}

#[tokio::test]
async fn too_many_symbols_count_against_the_series_limit() {
    let flags =
        ["--storage.remote.write-max-series=1", "--storage.remote.write-max-series-dry-run"];
    let message = WritePath::Http2.message(&[series("up", &[(now_ms(), 1.0)])]);
    let mut request = v2::Request::decode(&*message).unwrap();
    request.symbols.resize(4096 + 17, String::new());
    let bytes = request.encode_to_vec();
    let enforced = TestServer::ready(&flags[..1]).await;
    assert_eq!(WritePath::Http2.write_bytes(&enforced, &bytes).await.status, 413);
    let dry_run = TestServer::ready(&flags).await;
    assert_eq!(WritePath::Http2.write_bytes(&dry_run, &bytes).await.status, 204);
    let labels = "limit=\"storage.remote.write-max-series\"";
    assert_eq!(counter(&dry_run, DRY_RUN, labels).await, 1.0);
}

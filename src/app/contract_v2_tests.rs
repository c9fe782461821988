//! The answer contract of remote write 2.0 over HTTP, row by row, each with what is stored then.

use crate::app::edge::{TestResponse, TestServer, now_ms, snappy_block};
use crate::remote::pb::io::prometheus::write::v2 as pb;
use crate::server::lifecycle::Phase;
use crate::tsdb::db::settings::Settings;
use axum::http::StatusCode;
use prost::Message;

const TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// A series with labels `__name__` and, of the symbols, `name`.
struct Series<'a> {
    name: &'a str,
    samples: &'a [(i64, f64)],
    histograms: &'a [i64],
    exemplars: &'a [i64],
}

const NOTHING: Series<'_> = Series { name: "", samples: &[], histograms: &[], exemplars: &[] };

fn histogram(timestamp: i64) -> pb::Histogram {
    let count = Some(pb::histogram::Count::CountInt(3));
    let spans = vec![pb::BucketSpan { offset: 0, length: 1 }];
    pb::Histogram {
        timestamp,
        count,
        positive_spans: spans,
        positive_deltas: vec![3],
        ..Default::default()
    }
}

fn request(all: &[Series<'_>]) -> Vec<u8> {
    let mut request =
        pb::Request { symbols: vec![String::new(), "__name__".into()], timeseries: Vec::new() };
    for series in all {
        request.symbols.push(series.name.to_owned());
        let samples = series.samples.iter().map(|&(timestamp, value)| pb::Sample {
            value,
            timestamp,
            start_timestamp: 0,
        });
        let exemplar =
            |&timestamp: &i64| pb::Exemplar { timestamp, value: 1.0, labels_refs: Vec::new() };
        request.timeseries.push(pb::TimeSeries {
            labels_refs: vec![1, request.symbols.len() as u32 - 1],
            samples: samples.collect(),
            histograms: series.histograms.iter().map(|&t| histogram(t)).collect(),
            exemplars: series.exemplars.iter().map(exemplar).collect(),
            metadata: Some(pb::Metadata::default()),
        });
    }
    snappy_block(&request.encode_to_vec())
}

fn good() -> Vec<u8> {
    request(&[Series { name: "good", samples: &[(now_ms(), 1.0)], ..NOTHING }])
}

impl TestServer {
    async fn write_v2(&self, body: Vec<u8>) -> TestResponse {
        self.write_as(TYPE, "snappy", body).await
    }

    async fn stored(&self) -> String {
        self.get("/api/v1/export?match[]={__name__!=%22%22}").await.text().to_owned()
    }
}

/// What the headers say is stored: samples, histograms, exemplars.
fn written(got: &TestResponse) -> [&str; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|kind| got.header(&format!("x-prometheus-remote-write-{kind}-written")))
}

#[tokio::test]
async fn all_stored_is_204_with_the_three_headers() {
    let edge = TestServer::ready(&[]).await;
    let now = now_ms();
    let body = request(&[
        Series { name: "a", samples: &[(now, 1.0), (now + 1, 2.0)], exemplars: &[now], ..NOTHING },
        Series { name: "h", histograms: &[now], ..NOTHING },
    ]);
    for _ in 0..2 {
        let got = edge.write_v2(body.clone()).await;
        assert_eq!((got.status, got.text()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(written(&got), ["2", "1", "1"]);
    }
    let stored = edge.stored().await;
    assert!(stored.contains("\"values\":[1.0,2.0]") && stored.contains("\"h\""), "{stored}");
    let empty = edge.write_v2(snappy_block(&[])).await;
    assert_eq!((empty.status, written(&empty)), (StatusCode::NO_CONTENT, ["0", "0", "0"]));
}

#[tokio::test]
async fn the_type_with_blanks_and_quotes_is_2_0_and_the_plain_one_is_1_0() {
    let edge = TestServer::ready(&[]).await;
    for content_type in [
        "application/x-protobuf; proto=io.prometheus.write.v2.Request",
        "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"",
        "Application/X-Protobuf ; charset=utf-8 ; PROTO=io.prometheus.write.v2.Request",
    ] {
        let got = edge.write_as(content_type, "snappy", good()).await;
        assert_eq!(
            (got.status, written(&got)),
            (StatusCode::NO_CONTENT, ["1", "0", "0"]),
            "{content_type}"
        );
    }
    // Read as 1.0 it has nothing, which its reserved fields are for.
    for content_type in
        ["application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest"]
    {
        let body = request(&[Series { name: "other", samples: &[(now_ms(), 1.0)], ..NOTHING }]);
        let got = edge.write_as(content_type, "snappy", body).await;
        assert_eq!(
            (got.status, written(&got)),
            (StatusCode::NO_CONTENT, ["", "", ""]),
            "{content_type}"
        );
    }
    assert!(!edge.stored().await.contains("other"));
}

#[tokio::test]
async fn what_is_good_is_stored_and_what_is_bad_is_400_with_what_was_stored() {
    let edge = TestServer::ready(&[]).await;
    let strict = Settings { out_of_order_window_ms: 0, ..edge.context.db.settings() };
    edge.context.db.apply_settings(strict).unwrap();
    let now = now_ms();
    let far = now + 3_600_000;
    let got = edge
        .write_v2(request(&[
            Series {
                name: "mixed",
                samples: &[(now, 1.0), (now - 1, 1.0), (now, 2.0), (far, 1.0)],
                exemplars: &[now, far],
                ..NOTHING
            },
            Series { name: "", samples: &[(now, 1.0)], ..NOTHING },
            Series { name: "h", histograms: &[now, now - 1], ..NOTHING },
            Series { name: "nothing", ..NOTHING },
        ]))
        .await;
    assert_eq!(
        (got.status, written(&got)),
        (StatusCode::BAD_REQUEST, ["1", "1", "1"]),
        "{}",
        got.text()
    );
    for part in [
        "1 samples, 1 histograms, 1 exemplars stored",
        "1 out of order",
        "1 duplicate timestamp",
        "1 too far in the future",
        "1 invalid labels",
        "1 series without a sample",
        "1 out of order (histograms)",
        "1 too far in the future (exemplars)",
        "mixed",
    ] {
        assert!(got.text().contains(part), "{part} in {}", got.text());
    }
    let stored = edge.stored().await;
    assert!(stored.contains("\"values\":[1.0]") && !stored.contains("nothing"), "{stored}");
}

#[tokio::test]
async fn all_bad_is_400_with_zeros_and_nothing_is_stored() {
    let edge = TestServer::ready(&[]).await;
    let out_of_table = pb::Request {
        symbols: vec![String::new()],
        timeseries: vec![pb::TimeSeries {
            labels_refs: vec![1, 2],
            samples: vec![pb::Sample { value: 1.0, timestamp: now_ms(), start_timestamp: 0 }],
            ..Default::default()
        }],
    };
    for body in [
        request(&[Series { samples: &[(now_ms(), 1.0)], ..NOTHING }]),
        request(&[Series { name: "a", ..NOTHING }]),
        snappy_block(&out_of_table.encode_to_vec()),
        snappy_block(b"\x2a\xff"),
        b"\x05".to_vec(),
        Vec::new(),
    ] {
        let got = edge.write_v2(body).await;
        assert_eq!(
            (got.status, written(&got)),
            (StatusCode::BAD_REQUEST, ["0", "0", "0"]),
            "{}",
            got.text()
        );
        assert!(!got.text().is_empty());
    }
    assert_eq!(edge.stored().await, "");
    assert_eq!(edge.write_v2(good()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_unknown_message_or_encoding_is_415() {
    let edge = TestServer::ready(&[]).await;
    for (content_type, encoding) in [
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/x-protobuf;proto=", "snappy"),
        ("application/json;proto=io.prometheus.write.v2.Request", "snappy"),
        (TYPE, "gzip"),
    ] {
        let got = edge.write_as(content_type, encoding, good()).await;
        assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {encoding}");
    }
    assert_eq!(edge.stored().await, "");
}

#[tokio::test]
async fn over_a_limit_of_size_is_413_with_zeros() {
    let flags =
        ["--storage.remote.write-max-body-size=1KB", "--storage.remote.write-max-decoded-size=2KB"];
    let edge = TestServer::ready(&flags).await;
    let long = "x".repeat(1000);
    let now = now_ms();
    // The name is sent once and meant three times.
    let series = pb::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![pb::Sample { value: 1.0, timestamp: now, start_timestamp: 0 }],
        ..Default::default()
    };
    let symbols = vec![String::new(), "__name__".into(), long];
    let meant = pb::Request { symbols, timeseries: vec![series; 3] }.encode_to_vec();
    assert!(meant.len() < 2000, "{}", meant.len());
    for body in [
        vec![0; 1025],
        b"\xff\xff\xff\xff\x0f".to_vec(),
        snappy_block(&vec![0; 4096]),
        snappy_block(&meant),
    ] {
        let got = edge.write_v2(body).await;
        assert_eq!(
            (got.status, written(&got)),
            (StatusCode::PAYLOAD_TOO_LARGE, ["0", "0", "0"]),
            "{}",
            got.text()
        );
    }
    let edge = TestServer::ready(&["--storage.remote.write-max-series=1"]).await;
    let two = request(&[
        Series { name: "a", samples: &[(now, 1.0)], ..NOTHING },
        Series { name: "b", samples: &[(now, 1.0)], ..NOTHING },
    ]);
    assert_eq!(edge.write_v2(two).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(edge.stored().await, "");
}

#[tokio::test]
async fn starting_draining_and_closed_are_503_with_zeros() {
    let edge = TestServer::starting(&[]).await;
    let got = edge.write_v2(good()).await;
    got.assert_retry_later();
    assert_eq!(written(&got), ["0", "0", "0"]);
    edge.context.lifecycle.advance(Phase::Draining);
    edge.write_v2(good()).await.assert_retry_later();
    let edge = TestServer::ready(&[]).await;
    edge.context.db.close().unwrap();
    let got = edge.write_v2(good()).await;
    got.assert_retry_later();
    assert_eq!(written(&got), ["0", "0", "0"]);
}

#[tokio::test]
async fn metadata_of_a_series_is_shown() {
    let edge = TestServer::ready(&[]).await;
    let request = pb::Request {
        symbols: ["", "__name__", "http_seconds_count", "seconds", "How long."]
            .map(str::to_owned)
            .to_vec(),
        timeseries: vec![pb::TimeSeries {
            labels_refs: vec![1, 2],
            samples: vec![pb::Sample { value: 1.0, timestamp: now_ms(), start_timestamp: 0 }],
            metadata: Some(pb::Metadata { r#type: 3, help_ref: 4, unit_ref: 3 }),
            ..Default::default()
        }],
    };
    assert_eq!(
        edge.write_v2(snappy_block(&request.encode_to_vec())).await.status,
        StatusCode::NO_CONTENT
    );
    let shown = edge.get("/api/v1/metadata").await;
    assert_eq!(
        shown.text(),
        r#"{"status":"success","data":{"http_seconds":[{"type":"histogram","unit":"seconds","help":"How long."}]}}"#
    );
}

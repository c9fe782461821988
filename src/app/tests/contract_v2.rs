//! Responses to remote write 2.0 over HTTP, one test per row of the contract, with the stored data.

use crate::app::tests::edge::{TestResponse, TestServer, now_ms, snappy_block};
use crate::remote::pb::io::prometheus::write::v2 as pb;
use crate::server::management::lifecycle::Phase;
use crate::tsdb::db::settings::Settings;
use axum::http::StatusCode;
use prost::Message;

const TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Series with the labels `__name__` = `name`.
struct Series<'a> {
    name: &'a str,
    samples: &'a [(i64, f64)],
    histograms: &'a [i64],
    exemplars: &'a [i64],
}

const EMPTY: Series<'_> = Series { name: "", samples: &[], histograms: &[], exemplars: &[] };

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

fn valid_v2() -> Vec<u8> {
    request(&[Series { name: "good", samples: &[(now_ms(), 1.0)], ..EMPTY }])
}

impl TestServer {
    async fn write_v2(&self, body: Vec<u8>) -> TestResponse {
        self.write_as(TYPE, "snappy", body).await
    }

    async fn stored(&self) -> String {
        self.get("/api/v1/export?match[]={__name__!=%22%22}").await.text().to_owned()
    }
}

/// Returns the counts of the written headers: samples, histograms, exemplars.
fn written(got: &TestResponse) -> [&str; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|kind| got.header(&format!("x-prometheus-remote-write-{kind}-written")))
}

#[tokio::test]
async fn stored_request_is_204_with_written_headers() {
    let edge = TestServer::ready(&[]).await;
    let now = now_ms();
    let body = request(&[
        Series { name: "a", samples: &[(now, 1.0), (now + 1, 2.0)], exemplars: &[now], ..EMPTY },
        Series { name: "h", histograms: &[now], ..EMPTY },
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
async fn content_type_selects_version() {
    let edge = TestServer::ready(&[]).await;
    for content_type in [
        "application/x-protobuf; proto=io.prometheus.write.v2.Request",
        "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"",
        "Application/X-Protobuf ; charset=utf-8 ; PROTO=io.prometheus.write.v2.Request",
    ] {
        let got = edge.write_as(content_type, "snappy", valid_v2()).await;
        assert_eq!(
            (got.status, written(&got)),
            (StatusCode::NO_CONTENT, ["1", "0", "0"]),
            "{content_type}"
        );
    }
    // Decoded as 1.0 the message is empty: 2.0 reserves the field numbers of 1.0.
    for content_type in
        ["application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest"]
    {
        let body = request(&[Series { name: "other", samples: &[(now_ms(), 1.0)], ..EMPTY }]);
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
async fn partially_invalid_request_is_400_with_written_headers() {
    let edge = TestServer::ready(&[]).await;
    let strict =
        Settings { out_of_order_window_ms: 0, ..edge.context.process.db.shared().settings() };
    edge.context.process.db.apply_settings(strict).unwrap();
    let now = now_ms();
    let far = now + 3_600_000;
    let got = edge
        .write_v2(request(&[
            Series {
                name: "mixed",
                samples: &[(now, 1.0), (now - 1, 1.0), (now, 2.0), (far, 1.0)],
                exemplars: &[now, far],
                ..EMPTY
            },
            Series { name: "", samples: &[(now, 1.0)], ..EMPTY },
            Series { name: "h", histograms: &[now, now - 1], ..EMPTY },
            Series { name: "nothing", ..EMPTY },
        ]))
        .await;
    assert_eq!(
        (got.status, written(&got)),
        (StatusCode::BAD_REQUEST, ["1", "1", "1"]),
        "{}",
        got.text()
    );
    for part in [
        "stored 1 samples, 1 histograms, 1 exemplars",
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
async fn invalid_request_is_400_with_zero_headers() {
    let edge = TestServer::ready(&[]).await;
    let unknown_symbol = pb::Request {
        symbols: vec![String::new()],
        timeseries: vec![pb::TimeSeries {
            labels_refs: vec![1, 2],
            samples: vec![pb::Sample { value: 1.0, timestamp: now_ms(), start_timestamp: 0 }],
            ..Default::default()
        }],
    };
    for body in [
        request(&[Series { samples: &[(now_ms(), 1.0)], ..EMPTY }]),
        request(&[Series { name: "a", ..EMPTY }]),
        snappy_block(&unknown_symbol.encode_to_vec()),
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
    assert_eq!(edge.write_v2(valid_v2()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn unknown_message_or_encoding_is_415() {
    let edge = TestServer::ready(&[]).await;
    for (content_type, encoding) in [
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/x-protobuf;proto=", "snappy"),
        ("application/json;proto=io.prometheus.write.v2.Request", "snappy"),
        (TYPE, "gzip"),
    ] {
        let got = edge.write_as(content_type, encoding, valid_v2()).await;
        assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {encoding}");
    }
    assert_eq!(edge.stored().await, "");
}

#[tokio::test]
async fn size_limits_give_413_with_zero_headers() {
    let flags =
        ["--storage.remote.write-max-body-size=1KB", "--storage.remote.write-max-decoded-size=2KB"];
    let edge = TestServer::ready(&flags).await;
    let long = "x".repeat(1000);
    let now = now_ms();
    // The name occurs once in the symbols and is referenced three times.
    let series = pb::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![pb::Sample { value: 1.0, timestamp: now, start_timestamp: 0 }],
        ..Default::default()
    };
    let symbols = vec![String::new(), "__name__".into(), long];
    let resolved = pb::Request { symbols, timeseries: vec![series; 3] }.encode_to_vec();
    assert!(resolved.len() < 2000, "{}", resolved.len());
    for body in [
        vec![0; 1025],
        b"\xff\xff\xff\xff\x0f".to_vec(),
        snappy_block(&vec![0; 4096]),
        snappy_block(&resolved),
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
        Series { name: "a", samples: &[(now, 1.0)], ..EMPTY },
        Series { name: "b", samples: &[(now, 1.0)], ..EMPTY },
    ]);
    assert_eq!(edge.write_v2(two).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(edge.stored().await, "");
}

#[tokio::test]
async fn starting_draining_and_closed_are_503() {
    let edge = TestServer::starting(&[]).await;
    let got = edge.write_v2(valid_v2()).await;
    got.assert_retry_later();
    assert_eq!(written(&got), ["0", "0", "0"]);
    edge.context.process.lifecycle.advance(Phase::Draining);
    edge.write_v2(valid_v2()).await.assert_retry_later();
    let edge = TestServer::ready(&[]).await;
    edge.context.process.db.close().unwrap();
    let got = edge.write_v2(valid_v2()).await;
    got.assert_retry_later();
    assert_eq!(written(&got), ["0", "0", "0"]);
}

#[tokio::test]
async fn series_metadata_is_returned() {
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
    let response = edge.get("/api/v1/metadata").await;
    assert_eq!(
        response.text(),
        concat!(
            r#"{"status":"success","data":{"http_seconds":"#,
            r#"[{"type":"histogram","unit":"seconds","help":"How long."}]}}"#
        )
    );
}

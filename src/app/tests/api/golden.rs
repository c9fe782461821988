//! Responses of the HTTP API compared with recordings of Prometheus 3.14.0 (`tests/golden/api`).

use crate::app::tests::edge::{TestResponse, TestServer, grpc_request, request, snappy_block};
use crate::remote::pb::prometheus as pb;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// The recorded responses of a server with these flags; `data` is one without special flags.
pub(super) fn recorded(group: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api/answers.json.gz");
    let mut file: Value =
        serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap();
    let Value::Array(mut answers) = file["answers"].take() else {
        panic!("answers.json.gz has no list `answers`")
    };
    answers.retain(|answer| answer["group"] == group);
    answers
}

/// Sends the recorded requests of these cases and compares status and JSON or text.
async fn assert_as_recorded(group: &str, cases: &[&str]) {
    let edge = TestServer::ready(&[]).await;
    let recorded = recorded(group);
    for case in cases {
        let expected = recorded.iter().find(|answer| answer["case"] == *case).expect(case);
        let got = send(&edge, expected).await;
        assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{case}: {}", got.text());
        for name in ["Content-Type", "X-Content-Type-Options"] {
            let headers = expected["headers"].as_array().unwrap();
            let header = headers.iter().find(|header| header[0] == name);
            let value = header.map_or("", |header| header[1].as_str().unwrap());
            assert_eq!(got.header(name), value, "{case}: {name}");
        }
        match expected.get("json") {
            Some(json) => {
                assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), *json, "{case}");
            }
            None => assert_eq!(got.text(), expected["body"], "{case}"),
        }
    }
}

pub(super) async fn send(edge: &TestServer, recorded: &Value) -> TestResponse {
    let (method, path) = (recorded["method"].as_str().unwrap(), recorded["path"].as_str().unwrap());
    let mut request = Request::builder().method(method).uri(path);
    for header in recorded["request_headers"].as_array().into_iter().flatten() {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let body = match &recorded["form"] {
        Value::Object(form) => {
            let mut encoded = form_urlencoded::Serializer::new(String::new());
            form.iter().for_each(|(name, value)| {
                encoded.append_pair(name, value.as_str().unwrap());
            });
            encoded.finish()
        }
        Value::String(body) => body.clone(),
        _ => String::new(),
    };
    edge.send(request.body(body.into()).unwrap()).await
}

/// Writes the series of the recorded server.
async fn write_data_set(edge: &TestServer) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api/data-set.json.gz");
    let data: Value = serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap();
    let label = |(name, value): (&String, &Value)| pb::Label {
        name: name.clone(),
        value: value.as_str().unwrap().to_owned(),
    };
    let sample = |sample: &Value| pb::Sample {
        timestamp: sample[0].as_i64().unwrap(),
        value: sample[1].as_f64().unwrap_or_else(|| sample[1].as_str().unwrap().parse().unwrap()),
    };
    let series = data["series"].as_array().unwrap().iter().map(|series| pb::TimeSeries {
        labels: series[0].as_object().unwrap().iter().map(label).collect(),
        samples: series[1].as_array().unwrap().iter().map(sample).collect(),
        ..Default::default()
    });
    let written = edge.write(snappy_block(&request(series.collect()))).await;
    assert_eq!(written.status, StatusCode::NO_CONTENT, "{}", written.text());
}

/// Returns `true` if the values are equal. `*` in the recording equals any value.
fn equals_recording(recorded: &Value, got: &Value) -> bool {
    match (recorded, got) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(recorded), Value::Array(got)) => {
            recorded.len() == got.len()
                && recorded.iter().zip(got).all(|(recorded, got)| equals_recording(recorded, got))
        }
        (Value::Object(recorded), Value::Object(got)) => {
            recorded.len() == got.len()
                && recorded.iter().all(|(key, value)| {
                    got.get(key).is_some_and(|got| equals_recording(value, got))
                })
        }
        _ => recorded == got,
    }
}

/// Recorded cases whose response differs in narthex, and the reason.
const DIFFERENT: &[(&str, &[&str])] = &[
    ("a range that ends before it starts is empty", &["labels-reversed", "series-reversed"]),
    (
        "times that Go cannot hold overflow in Prometheus, and NaN is a time there",
        &["labels-bad-end", "labels-nan", "labels-huge"],
    ),
    (
        "the messages are those of Go's libraries",
        &[
            "labels-bad-start",
            "labels-limit-word",
            "labels-limit-float",
            "values-bad-utf8",
            "values-bad-limit",
        ],
    ),
    ("a slash in a label name reaches the handler", &["values-slash"]),
    ("series are sorted", &["series-odd"]),
    (
        "the contents are those of another program",
        &["config", "runtimeinfo", "buildinfo", "flags", "features"],
    ),
    (
        "the part is not supported",
        &[
            "self-metrics",
            "rules-bad-type",
            "query",
            "query-none",
            "query-bad",
            "query-bad-time",
            "query-exec-error",
            "query-string",
            "query-timeout-bad",
            "query-range-too-many",
            "search-off",
            "openapi",
            "otlp-off",
        ],
    ),
    ("the message names the flag", &["admin-off", "admin-snapshot-off"]),
    (
        "reads and writes have messages of their own, and 415 for an unknown type",
        &[
            "read-empty",
            "read-garbage",
            "write-empty",
            "write-garbage",
            "write-bad-type",
            "write-proto-v3",
            "write-encoding",
        ],
    ),
];

#[tokio::test]
async fn responses_over_the_recorded_data_equal_recording() {
    let edge = TestServer::ready(&[]).await;
    write_data_set(&edge).await;
    let mut different: Vec<&str> =
        DIFFERENT.iter().flat_map(|(_, cases)| cases.iter().copied()).collect();
    let recorded = recorded("data");
    assert!(recorded.len() > 150, "{}", recorded.len());
    for expected in recorded {
        let case = expected["case"].as_str().unwrap();
        let got = send(&edge, &expected).await;
        let is_equal = u64::from(got.status.as_u16()) == expected["status"]
            && match expected.get("json") {
                Some(json) => serde_json::from_slice(&got.body)
                    .is_ok_and(|got: Value| equals_recording(json, &got)),
                None => got.text() == expected["body"],
            };
        match different.iter().position(|listed| *listed == case) {
            Some(at) => {
                assert!(!is_equal, "{case} is equal now");
                different.swap_remove(at);
            }
            None => assert!(is_equal, "{case}: {} {}\n{expected}", got.status, got.text()),
        }
    }
    assert!(different.is_empty(), "not recorded: {different:?}");
}

#[tokio::test]
async fn empty_match_response_equals_recording() {
    assert_as_recorded(
        "data",
        &[
            "labels-match-empty",
            "labels-match-all-empty",
            "labels-match-star",
            "labels-match-blank",
            "series-no-match",
            "series-empty-match",
        ],
    )
    .await;
}

#[tokio::test]
async fn invalid_match_response_equals_recording() {
    assert_as_recorded(
        "data",
        &[
            "labels-match-bad",
            "labels-match-range",
            "values-bad-match",
            "series-bad",
            "series-one-bad",
            "series-offset",
            "series-at",
            "series-or",
        ],
    )
    .await;
}

#[tokio::test]
async fn exemplar_query_responses_equal_recording() {
    assert_as_recorded(
        "data",
        &[
            "exemplars",
            "exemplars-no-query",
            "exemplars-reversed",
            "exemplars-no-time",
            "exemplars-bad",
        ],
    )
    .await;
}

#[tokio::test]
async fn exemplar_query_without_selector_is_204() {
    let edge = TestServer::ready(&[]).await;
    for query in ["1", "time()", "%22text%22"] {
        let got = edge.get(&format!("/api/v1/query_exemplars?query={query}")).await;
        assert_eq!((got.status, got.text()), (StatusCode::NO_CONTENT, ""), "{query}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_equal_recording() {
    assert_as_recorded(
        "data",
        &[
            "nothing",
            "status-nothing",
            "v1-slash",
            "v2",
            "upper",
            "labels-put",
            "labels-delete",
            "values-post",
            "series-delete",
            "write-get",
            "read-get",
            "admin-get",
        ],
    )
    .await;
    assert_as_recorded("http", &["page /nothing", "page /-/nothing", "page /api"]).await;
}

#[tokio::test]
async fn responses_without_scrape_pools_equal_recording() {
    assert_as_recorded("data", &["alertmanagers"]).await;
    assert_as_recorded(
        "targets",
        &[
            "pool-config-missing",
            "pool-config-none",
            "metadata-metric-none",
            "metadata-limit-0",
            "metadata-limit-bad",
            "metadata-match-bad",
            "metadata-match-none",
            "steps-no-pool",
            "steps-no-labels",
            "steps-bad-pool",
        ],
    )
    .await;
}

#[tokio::test]
async fn features_are_a_true_part_of_the_recording() {
    let flags = ["--web.enable-admin-api", "--enable-feature=st-storage,xor2-encoding"];
    let edge = TestServer::ready(&flags).await;
    let recorded = recorded("data");
    let expected = recorded.iter().find(|answer| answer["case"] == "features").unwrap();
    let mut got: Value = serde_json::from_str(edge.get("/api/v1/features").await.text()).unwrap();
    // Prometheus lists it only where it is enabled by flag.
    let metadata = got["data"]["tsdb"].as_object_mut().unwrap().remove("metadata_wal_records");
    assert_eq!(metadata, Some(Value::Bool(true)));
    let categories = got["data"].as_object().unwrap();
    assert_eq!(
        categories.keys().collect::<Vec<_>>(),
        ["api", "prometheus", "scrape", "service_discovery_providers", "tsdb"]
    );
    let mut enabled = Vec::new();
    for (category, features) in categories {
        let features = features.as_object().unwrap();
        let known = expected["json"]["data"][category].as_object().unwrap();
        assert_eq!(features.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
        enabled.extend(features.iter().filter(|(_, on)| **on == true).map(|(name, _)| name));
    }
    let of_flags = ["admin", "st_storage"];
    let always = [
        "label_values_match",
        "remote_write_receiver",
        "time_range_labels",
        "time_range_series",
        "server_mode",
        "exemplar_storage",
        "native_histograms",
        "xor2_encoding",
        "isolation",
        "extra_scrape_metrics",
        "consul",
        "dns",
        "docker",
        "file",
        "http",
        "kubernetes",
        "static",
    ];
    enabled.sort();
    let mut truth: Vec<&str> = of_flags.into_iter().chain(always).collect();
    truth.sort_unstable();
    assert_eq!(enabled, truth);
}

#[tokio::test]
async fn notifications_of_a_ready_server_equal_recording() {
    assert_as_recorded("data", &["notifications"]).await;
}

#[tokio::test]
async fn unclean_paths_are_redirected_like_recording() {
    let edge = TestServer::ready(&[]).await;
    let recorded = recorded("data");
    for case in ["values-no-name", "v1", "labels-slash", "double-slash"] {
        let expected = recorded.iter().find(|answer| answer["case"] == case).expect(case);
        let got = send(&edge, expected).await;
        assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{case}");
        for header in expected["headers"].as_array().unwrap() {
            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
            assert_eq!(got.header(&name.to_lowercase()), value, "{case}: {name}");
        }
        assert_eq!(got.text(), expected["body"], "{case}");
    }
    for (method, path, status, location) in [
        (Method::GET, "/metrics/", 301, "/metrics"),
        (Method::GET, "/-/ready/", 301, "/-/ready"),
        (Method::POST, "/api/v1/write/", 308, "/write"),
        (Method::POST, "//api/v1/write?x=1", 307, "/api/v1/write?x=1"),
        (Method::GET, "/api/v1/label/../values", 307, "/api/v1/values"),
        (Method::GET, "/nothing//at/all", 307, "/nothing/at/all"),
        (Method::GET, "/api/v1/", 404, ""),
        (Method::GET, "/nothing/", 404, ""),
        (Method::GET, "/api/v1/write/", 404, ""),
    ] {
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        let got = edge.send(request).await;
        assert_eq!(
            (got.status.as_u16(), got.header("location")),
            (status, location),
            "{method} {path}"
        );
    }
    let got = edge.send(grpc_request("/narthex.v1.Write//WriteV1", b"")).await;
    assert_eq!((got.status, got.grpc_status()), (StatusCode::OK, "12"));
}

//! `format_query` and `parse_query`, and errors of `query_exemplars` and `match[]`. Expected
//! responses are those of Prometheus 3.14.

use crate::app::tests::edge::{TestResponse, TestServer};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const FORMAT: &str = "/api/v1/format_query";
const PARSE: &str = "/api/v1/parse_query";
const EXEMPLARS: &str = "/api/v1/query_exemplars";
const SERIES: &str = "/api/v1/series";

/// Sends a parameter in the query string, or in a form.
async fn send(
    edge: &TestServer,
    method: &str,
    path: &str,
    (name, value): (&str, &str),
) -> TestResponse {
    let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let parameters = format!("{name}={value}");
    let request = if method == "GET" {
        Request::get(format!("{path}?{parameters}")).body(String::new())
    } else {
        Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(parameters)
    };
    edge.send(request.expect("a request").map(Into::into)).await
}

fn body_of(response: &TestResponse) -> Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

#[tokio::test]
async fn expressions_are_formatted_and_parsed() {
    let edge = TestServer::ready(&[]).await;
    let matrix = json!({
        "type": "matrixSelector", "name": "up", "range": 300_000, "rangeExpr": null,
        "matchers": [{"name": "__name__", "type": "=", "value": "up"}],
        "offset": 0, "offsetExpr": null, "timestamp": null, "startOrEnd": null,
        "anchored": false, "smoothed": false,
    });
    let cases = [
        ("1", json!("1"), json!({"type": "numberLiteral", "val": "1"})),
        ("'a'", json!("\"a\""), json!({"type": "stringLiteral", "val": "a"})),
        (" up[300s] # all", json!("up[5m]"), matrix),
    ];
    for (query, text, tree) in cases {
        for (path, data) in [(FORMAT, &text), (PARSE, &tree)] {
            for method in ["GET", "POST"] {
                let got = send(&edge, method, path, ("query", query)).await;
                assert_eq!(got.status, StatusCode::OK, "{method} {path} {query}");
                assert_eq!(got.header("content-type"), "application/json", "{method} {path}");
                assert_eq!(body_of(&got), json!({"status": "success", "data": data}), "{query}");
            }
        }
    }
}

#[tokio::test]
async fn long_expression_is_broken_into_lines() {
    let edge = TestServer::ready(&[]).await;
    let sum = "sum by (job, instance) (rate(a_metric_with_a_name_of_many_words_total[5m]))";
    let got = send(&edge, "POST", FORMAT, ("query", &format!("{sum}/{sum}"))).await;
    let operand = "  sum by (job, instance) (rate(a_metric_with_a_name_of_many_words_total[5m]))";
    let expected = format!("{operand}\n/\n{operand}");
    assert_eq!(body_of(&got), json!({"status": "success", "data": expected}));
}

#[tokio::test]
async fn invalid_expression_has_the_error_of_prometheus() {
    let edge = TestServer::ready(&[]).await;
    for (query, error) in [
        ("sum(", "1:5: parse error: unclosed left parenthesis"),
        ("foo(", "1:5: parse error: unclosed left parenthesis"),
        ("", "unknown position: parse error: no expression found in input"),
        (
            "-'a'",
            "1:1: parse error: unary expression only allowed on expressions of type scalar \
             or instant vector, got \"string\"",
        ),
    ] {
        for method in ["GET", "POST"] {
            for (path, prefix) in [
                (FORMAT, "invalid parameter \"query\": "),
                (PARSE, "invalid parameter \"query\": "),
                (EXEMPLARS, ""),
            ] {
                let got = send(&edge, method, path, ("query", query)).await;
                assert_eq!(got.status, StatusCode::BAD_REQUEST, "{method} {path} {query}");
                let error = format!("{prefix}{error}");
                let expected = json!({"status": "error", "errorType": "bad_data", "error": error});
                assert_eq!(body_of(&got), expected, "{method} {path} {query}");
            }
        }
    }
}

#[tokio::test]
async fn invalid_match_has_the_error_of_prometheus() {
    let edge = TestServer::ready(&[]).await;
    let prefix = "invalid parameter \"match[]\": ";
    for (selector, error) in [
        ("{", "1:2: parse error: unexpected end of input inside braces"),
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("{a=~'.*'}", "match[] must contain at least one non-empty matcher"),
    ] {
        let got = send(&edge, "POST", SERIES, ("match[]", selector)).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{selector}");
        let message = body_of(&got)["error"].as_str().expect("an error").to_owned();
        assert_eq!(message.strip_prefix(prefix).unwrap_or(&message), error, "{selector}");
    }
}

#[tokio::test]
async fn excessive_expression_is_rejected_quickly() {
    let edge = TestServer::ready(&[]).await;
    let nested = "(".repeat(100_000) + "1" + &")".repeat(100_000);
    let long = "a or ".repeat(2_000_000) + "a";
    let wide = "a or ".repeat(100_001) + "a";
    let regex = format!("{{a=~'{}'}}", "(a{1000}){1000}".repeat(1000));
    for query in [nested, "(".repeat(100_000), "-".repeat(1 << 20), long, wide, regex] {
        for path in [FORMAT, PARSE, EXEMPLARS] {
            let start = Instant::now();
            let got = send(&edge, "POST", path, ("query", &query)).await;
            assert_eq!(got.status, StatusCode::BAD_REQUEST, "{path} {query:.20}");
            assert_eq!(body_of(&got)["errorType"], "bad_data", "{path} {query:.20}");
            assert!(got.body.len() < 100_000, "{path} {query:.20}: {}", got.body.len());
            assert!(start.elapsed() < Duration::from_secs(10), "{path} {query:.20}");
        }
    }
}

//! Route prefix and external URL, compared with recordings of Prometheus; HEAD of every route.

use crate::app::tests::api::golden::{recorded, send};
use crate::app::tests::api::origins::{headers_with, recorded_headers_with};
use crate::app::tests::edge::TestServer;
use crate::server::router;
use axum::body::Body;
use axum::http::{Method, Request};

#[tokio::test]
async fn prefix_and_external_url_equal_recording() {
    for (group, flags) in [
        ("prefix", &["--web.external-url=http://host/ext/", "--web.route-prefix=p/"][..]),
        ("external-url", &["--web.external-url=http://host/ext"]),
    ] {
        let edge = TestServer::ready(flags).await;
        let mut compared = 0;
        for expected in recorded(group) {
            let path = expected["path"].as_str().unwrap();
            let got = send(&edge, &expected).await;
            if ["/p/", "/ext/"].contains(&path) && expected["status"] == 302 {
                // narthex has a landing page in place of a redirect to one.
                assert_eq!(got.status, 200, "{group} {path}");
                assert!(got.text().contains("href=\"/ext/metrics\""), "{}", got.text());
                continue;
            }
            if path == "/p/query" {
                assert_eq!(got.status, 404, "{group} {path}");
                continue;
            }
            assert_eq!(u64::from(got.status.as_u16()), expected["status"], "{group} {path}");
            if path == "/p" {
                // Prometheus has the path of the external URL only in redirects of its pages.
                assert_eq!(got.header("location"), "/ext/", "{group} {path}");
                continue;
            }
            let location = recorded_headers_with(&expected, &["location"]);
            assert_eq!(headers_with(&got, &["location"]), location, "{group} {path}");
            if expected["status"] != 200 {
                assert_eq!(got.text(), expected["body"], "{group} {path}");
            }
            compared += 1;
        }
        assert!(compared >= 6, "{group}: {compared}");
    }
}

#[tokio::test]
async fn redirects_have_the_path_of_the_external_url() {
    let flags = ["--web.external-url=https://host/ext", "--web.route-prefix=/"];
    let edge = TestServer::ready(&flags).await;
    for (path, location) in [
        ("/metrics/", "/ext/metrics"),
        ("//metrics?a=b", "/ext/metrics?a=b"),
        ("/api/v1", "/ext/api/v1/"),
    ] {
        let got = edge.get(path).await;
        assert_eq!(got.header("location"), location, "{path}");
        assert!(got.text().contains(location), "{path}");
    }
}

/// Sends a request without body. Returns the head of the response: status, content type, location.
async fn head_of(edge: &TestServer, method: &Method, path: &str) -> (u16, String, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    // The body is dropped: that of live notifications has no end.
    let got = edge.respond(request).await;
    let header =
        |name: &str| got.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    (got.status().as_u16(), header("content-type"), header("location"))
}

#[tokio::test]
async fn every_route_moves_below_the_prefix() {
    let plain = TestServer::ready(&[]).await;
    let unprefixed = router::http_paths(&plain.context);
    assert!(unprefixed.len() > 40);
    for (prefix, flag) in
        [("/p/q", "--web.route-prefix=/p/q"), ("/ext", "--web.external-url=https://host/ext/")]
    {
        let edge = TestServer::ready(&[flag]).await;
        let served = router::http_paths(&edge.context);
        assert_eq!(served.len(), unprefixed.len());
        for (route, without) in served.iter().zip(&unprefixed) {
            assert_eq!(*route.pattern, format!("{prefix}{}", without.pattern));
            assert_eq!(route.methods, without.methods);
            let bare = without.pattern.replace("{name}", "job");
            let full = format!("{prefix}{bare}");
            for method in [&without.methods[..], &[Method::OPTIONS]].concat() {
                let expected = head_of(&plain, &method, &bare).await;
                assert_eq!(head_of(&edge, &method, &full).await, expected, "{method} {full}");
                let (status, ..) = head_of(&edge, &method, &bare).await;
                let expected = match (bare.as_str(), method.as_str()) {
                    ("/", "GET") => 302,
                    ("/", _) => 405,
                    _ => 404,
                };
                assert_eq!(status, expected, "{method} {bare}");
            }
        }
        // gRPC has no prefix.
        let got = edge.grpc("/narthex.v1.Write/WriteV1", b"").await;
        assert_eq!(got.grpc_status(), "0");
        // Handlers in the metrics have no prefix, either.
        let metrics = edge.get(&format!("{prefix}/metrics")).await;
        assert!(metrics.text().contains("handler=\"/api/v1/labels\""), "{}", metrics.text());
        assert!(!metrics.text().contains(&format!("handler=\"{prefix}")), "{}", metrics.text());
    }
}

#[tokio::test]
async fn head_responses_are_those_of_get_without_body() {
    let edge = TestServer::ready(&[]).await;
    for route in router::http_paths(&edge.context) {
        let path = route.pattern.replace("{name}", "job");
        let expected = if route.methods.contains(&Method::GET) {
            head_of(&edge, &Method::GET, &path).await
        } else {
            (405, "text/plain; charset=utf-8".to_owned(), String::new())
        };
        assert_eq!(head_of(&edge, &Method::HEAD, &path).await, expected, "{path}");
    }
    let get = edge.get("/api/v1/labels").await;
    let request = Request::head("/api/v1/labels").body(Body::empty()).unwrap();
    let head = edge.send(request).await;
    assert_eq!(head.body.len(), 0);
    assert_eq!(head.header("content-length"), get.body.len().to_string());
}

#[tokio::test]
async fn prefix_like_a_grpc_path_is_served() {
    let prefix = "/grpc.health.v1.Health";
    let edge = TestServer::ready(&[&format!("--web.route-prefix={prefix}")]).await;
    assert_eq!(edge.get(&format!("{prefix}/-/ready")).await.status, 200);
    assert_eq!(edge.get(&format!("{prefix}/api/v1/label/a/values")).await.status, 200);
    assert_eq!(edge.grpc("/grpc.health.v1.Health/Check", b"").await.grpc_status(), "0");
}

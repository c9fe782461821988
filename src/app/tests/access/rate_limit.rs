//! Rate limit of the web configuration.

use crate::app::tests::access::{basic, users};
use crate::app::tests::edge::{TestResponse, TestServer, valid_request};
use crate::app::tests::error_details::ErrorDetails;
use crate::config::web::contents::{RateLimit, WebConfig};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn server(burst: u32, names: &[(&str, &str)], flags: &[&str]) -> TestServer {
    let rate_limit = Some(RateLimit { interval: HOUR, burst });
    let web = WebConfig { rate_limit, users: users(names), ..WebConfig::default() };
    TestServer::with_web(web, flags).await
}

fn assert_too_many(response: &TestResponse, path: &str) {
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    assert_eq!(response.text(), "Too Many Requests\n");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn excess_writes_get_503_and_other_requests_429() {
    let server = server(2, &[], &[]).await;
    assert_eq!(server.get("/-/healthy").await.status, StatusCode::OK);
    assert_eq!(server.get("/nothing").await.status, StatusCode::NOT_FOUND);
    // Go's client follows redirects with the body, so a sender can use any path that leads to the
    // route of writes.
    for path in ["/api/v1/write", "//api/v1/write", "/x/../api/v1/write", "/api/v1/write/", "/x"] {
        let response = server.post(path).await;
        response.assert_retry_later();
        assert!(response.text().contains("rate_limit"), "{path}: {}", response.text());
    }
    for path in ["/api/v1/read", "/api/v1/series", "/"] {
        assert_too_many(&server.post(path).await, path);
    }
    for path in ["/nothing", "//", "/api/v1/write/", "//api/v1/write", "/-/healthy"] {
        assert_too_many(&server.get(path).await, path);
    }
    for path in ["/narthex.v1.Write/WriteV1", "/grpc.health.v1.Health/Check", "/nothing"] {
        let response = server.grpc(path, &valid_request()).await;
        assert_eq!(response.grpc_status(), "14", "{path}");
        assert!(ErrorDetails::of(&response).retry_delay.is_some(), "{path}");
    }
}

#[tokio::test]
async fn rejected_credentials_use_the_rate_limit() {
    let server = server(3, &[("a", "one")], &["--web.health-without-auth"]).await;
    let statuses = |count: usize, path: &'static str, password: &'static str| {
        let server = &server;
        async move {
            let mut statuses = Vec::new();
            for _ in 0..count {
                let request = Request::get(path).header("authorization", basic("a", password));
                let request = request.body(Body::empty()).unwrap();
                statuses.push(server.send(request).await.status.as_u16());
            }
            statuses
        }
    };
    assert_eq!(statuses(2, "/metrics", "two").await, [401, 401]);
    assert_eq!(statuses(2, "/metrics", "one").await, [200, 429]);
    assert_eq!(statuses(1, "/-/healthy", "one").await, [429]);
}

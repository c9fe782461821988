//! Credentials of every route, over HTTP and gRPC.
//!
//! The lists of routes are those of the router, so a new route is in the scan. The gRPC methods are
//! those of the compiled descriptors.
//!
//! | module | contents |
//! |---|---|
//! | `rate_limit` | rate limit of the web configuration |

mod rate_limit;

use crate::app::tests::edge::{TestResponse, TestServer, grpc_request, valid_request};
use crate::config::web::contents::{PasswordHash, WebConfig};
use crate::remote::pb;
use crate::server::grpc::health;
use crate::server::requests::time_limits::RouteKind;
use crate::server::router;
use crate::server::transport::client_cert::VerifiedClientCert;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_types::FileDescriptorSet;
use std::collections::BTreeMap;

const UNAUTHENTICATED: &str = "16";

pub(super) fn users(given: &[(&str, &str)]) -> BTreeMap<String, PasswordHash> {
    let users = given.iter().map(|(name, password)| {
        let hash = bcrypt::hash_with_salt(password, 4, [9; 16]).unwrap().to_string();
        ((*name).to_owned(), PasswordHash(hash))
    });
    users.collect()
}

pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).parse().unwrap()
}

async fn server(flags: &[&str]) -> TestServer {
    let users = users(&[("alice", "wonder"), ("bob", "bü:ilder")]);
    TestServer::with_web(WebConfig { users, ..WebConfig::default() }, flags).await
}

/// Credentials that admit nobody. The first request has none.
fn rejected_credentials() -> Vec<Option<HeaderValue>> {
    let value = |text: &str| Some(text.parse().unwrap());
    vec![
        None,
        Some(basic("alice", "wonde")),
        Some(basic("nobody", "wonder")),
        Some(basic("", "")),
        value("Basic"),
        value("Basic !!!"),
        value("Bearer YWxpY2U6d29uZGVy"),
        value("Basic YWxpY2U="),
    ]
}

fn with_credentials(
    mut request: Request<Body>,
    credentials: Option<&HeaderValue>,
) -> Request<Body> {
    if let Some(value) = credentials {
        request.headers_mut().insert("authorization", value.clone());
    }
    request
}

fn assert_unauthorized(response: &TestResponse, method: &Method, what: &str) {
    assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{what}");
    assert_eq!(response.header("www-authenticate"), "Basic", "{what}");
    assert_eq!(response.header("content-type"), "text/plain; charset=utf-8", "{what}");
    assert_eq!(response.header("x-content-type-options"), "nosniff", "{what}");
    let body = if method == Method::HEAD { "" } else { "Unauthorized\n" };
    assert_eq!(response.text(), body, "{what}");
}

/// Returns a path for every route of HTTP, with a value for each parameter.
fn http_paths(server: &TestServer) -> Vec<String> {
    let paths: Vec<String> = router::http_paths(&server.context)
        .iter()
        .map(|known| known.pattern.replace("{name}", "job"))
        .collect();
    assert!(paths.len() > 40, "{paths:?}");
    assert!(paths.iter().all(|path| !path.contains('{')), "{paths:?}");
    paths
}

/// Returns the path of every method in the descriptors.
fn grpc_methods() -> Vec<String> {
    let sets = [
        pb::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = Vec::new();
    for file in sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file) {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            methods.extend(service.method.iter().map(|m| format!("/{name}/{}", m.name())));
        }
    }
    methods.sort();
    methods.dedup();
    methods
}

#[tokio::test]
async fn no_http_route_is_open_without_credentials() {
    assert_nothing_is_open(&[]).await;
}

#[tokio::test]
async fn nothing_is_open_below_or_outside_of_a_prefix() {
    assert_nothing_is_open(&["--web.route-prefix=/p"]).await;
}

async fn assert_nothing_is_open(flags: &[&str]) {
    let server = server(flags).await;
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE"];
    let mut paths = http_paths(&server);
    // The root and paths outside of the route prefix, redirects, unknown paths and paths of
    // Prometheus's pages.
    let others = [
        "/",
        "/p",
        "/p/metrics/",
        "/p//",
        "/p/nothing",
        "/-/healthy",
        "/metrics",
        "/api/v1/write",
        "/metrics/",
        "//",
        "/-/healthy/",
        "/-//healthy",
        "/x/../-/healthy",
        "/%2d/healthy",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/nothing",
        "/graph",
        "/classic/static/x",
        "/debug/pprof/",
        "/favicon.ico",
        "/narthex.v1.Write/WriteV1",
        "/grpc.health.v1.Health/Check",
    ];
    paths.extend(others.map(str::to_owned));
    for path in &paths {
        for method in methods.map(|method| method.parse::<Method>().unwrap()) {
            for credentials in rejected_credentials() {
                let request = Request::builder().method(&method).uri(path.as_str());
                let request =
                    with_credentials(request.body(Body::from("x")).unwrap(), credentials.as_ref());
                let response = server.send(request).await;
                assert_unauthorized(
                    &response,
                    &method,
                    &format!("{method} {path} {credentials:?}"),
                );
            }
            let right = Some(basic("bob", "bü:ilder"));
            let request = Request::builder().method(&method).uri(path.as_str());
            let request = with_credentials(request.body(Body::empty()).unwrap(), right.as_ref());
            let response = server.respond(request).await;
            assert_ne!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    // The form of the path of `OPTIONS *`, and no path at all.
    for (method, uri) in [(Method::OPTIONS, "*"), (Method::CONNECT, "narthex:9201")] {
        let request = Request::builder().method(&method).uri(uri).body(Body::empty()).unwrap();
        assert_unauthorized(&server.send(request).await, &method, uri);
    }
}

#[tokio::test]
async fn no_grpc_method_is_open_without_credentials() {
    let server = server(&[]).await;
    let methods = grpc_methods();
    let (_, health) = health::service().await;
    let routes = router::grpc_paths(&server.context, health);
    for route in &routes {
        let prefix = route.strip_suffix("{*method}").unwrap_or(route);
        assert!(methods.iter().any(|method| method.starts_with(prefix)), "{route}");
    }
    assert!(routes.len() > 12 && methods.len() >= routes.len(), "{methods:?}");
    let unknown = ["/narthex.v1.Write/Nothing", "/nothing", "/api/v1/write", "/metrics"];
    let paths = methods.iter().map(String::as_str).chain(unknown);
    for path in paths {
        for credentials in rejected_credentials() {
            let request = with_credentials(grpc_request(path, b""), credentials.as_ref());
            let response = server.send(request).await;
            assert_eq!(response.status, StatusCode::OK, "{path}");
            assert_eq!(response.grpc_status(), UNAUTHENTICATED, "{path} {credentials:?}");
            assert!(response.body.is_empty() && response.header("www-authenticate").is_empty());
        }
    }
    for path in methods {
        let right = basic("alice", "wonder");
        let response = server.respond(with_credentials(grpc_request(&path, b""), Some(&right)));
        let status = response.await.headers().get("grpc-status").cloned();
        assert_ne!(status.as_ref().map(HeaderValue::as_bytes), Some(&b"16"[..]), "{path}");
    }
    let right = with_credentials(
        grpc_request("/narthex.v1.Write/WriteV1", &valid_request()),
        Some(&basic("alice", "wonder")),
    );
    assert_eq!(server.send(right).await.grpc_status(), "0");
}

#[tokio::test]
async fn flag_opens_health_and_readiness_only() {
    let server = server(&["--web.health-without-auth"]).await;
    for known in router::http_paths(&server.context) {
        let path = known.pattern.replace("{name}", "job");
        let status = server.get(&path).await.status;
        let is_open = ["/-/healthy", "/-/ready"].contains(&&*known.pattern);
        assert_eq!(is_open, known.kind == RouteKind::Probe, "{path}");
        let expected = if is_open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "{path}");
    }
    for path in ["/-/healthy/", "//-/healthy", "/-/healthy/x", "/-/ready%20", "/nothing"] {
        assert_eq!(server.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let health = server.grpc("/grpc.health.v1.Health/Check", b"").await;
    assert_eq!(health.grpc_status(), UNAUTHENTICATED);
}

#[tokio::test]
async fn without_users_everything_is_open() {
    let server = TestServer::ready(&[]).await;
    for credentials in rejected_credentials() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = server.send(with_credentials(request, credentials.as_ref())).await;
        assert_eq!(response.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn replaced_users_apply_to_the_next_request() {
    let server = server(&[]).await;
    let get = |credentials: Option<HeaderValue>| {
        let request = Request::get("/-/healthy").body(Body::empty()).unwrap();
        let request = with_credentials(request, credentials.as_ref());
        let sent = server.send(request);
        async move { sent.await.status.as_u16() }
    };
    assert_eq!(get(Some(basic("alice", "wonder"))).await, 200);
    server.context.access.authenticator.replace_users(&users(&[("alice", "new")]));
    assert_eq!(get(Some(basic("alice", "wonder"))).await, 401);
    assert_eq!(get(Some(basic("alice", "new"))).await, 200);
    assert_eq!(get(Some(basic("bob", "bü:ilder"))).await, 401);
    server.context.access.authenticator.replace_users(&BTreeMap::new());
    assert_eq!(get(None).await, 200);
    server.context.access.authenticator.replace_users(&users(&[("", "")]));
    assert_eq!((get(None).await, get(Some(basic("", ""))).await), (401, 200));
}

#[tokio::test]
async fn metrics_count_rejected_requests_and_cached_results() {
    let server = server(&[]).await;
    let get = |credentials: HeaderValue| {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        server.send(with_credentials(request, Some(&credentials)))
    };
    for _ in 0..3 {
        assert_eq!(server.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(get(basic("alice", "no")).await.status, StatusCode::UNAUTHORIZED);
    }
    get(basic("alice", "wonder")).await;
    let response = get(basic("alice", "wonder")).await;
    for (name, expected) in [
        ("narthex_unauthenticated_requests_total", 6.0),
        ("narthex_password_cache_hits_total", 3.0),
        ("narthex_password_cache_misses_total", 2.0),
        ("narthex_password_checks", 0.0),
        ("narthex_password_checks_waiting", 0.0),
        ("narthex_password_checks_rejected_total", 0.0),
        ("narthex_rate_limited_requests_total", 0.0),
    ] {
        let prefix = format!("{name} ");
        let value = response.text().lines().find_map(|line| line.strip_prefix(&prefix));
        assert_eq!(value.map(|value| value.parse::<f64>().unwrap()), Some(expected), "{name}");
    }
    // A request that is not admitted is not one of its route.
    assert!(!response.text().contains("code=\"401\""));
}

#[tokio::test]
async fn disabled_grpc_has_no_methods() {
    let server = TestServer::ready(&["--no-grpc.enabled"]).await;
    for path in grpc_methods() {
        assert_eq!(server.grpc(&path, b"").await.grpc_status(), "12", "{path}");
        assert_eq!(server.post(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(server.get("/-/healthy").await.status, StatusCode::OK);
}

#[tokio::test]
async fn certificate_replaces_the_password_of_grpc_methods_only() {
    let server = server(&["--grpc.auth=cert"]).await;
    let send = |mut request: Request<Body>, has_certificate: bool, password: Option<&str>| {
        if has_certificate {
            request.extensions_mut().insert(VerifiedClientCert);
        }
        let password = password.map(|password| basic("alice", password));
        server.send(with_credentials(request, password.as_ref()))
    };
    for path in grpc_methods() {
        let response = send(grpc_request(&path, b""), false, Some("wonder")).await;
        assert_eq!(response.grpc_status(), UNAUTHENTICATED, "{path}");
    }
    let write = || grpc_request("/narthex.v1.Write/WriteV1", &valid_request());
    assert_eq!(send(write(), true, None).await.grpc_status(), "0");
    assert_eq!(send(write(), true, Some("wrong")).await.grpc_status(), "0");
    let unknown = send(grpc_request("/nothing", b""), true, None).await;
    assert_eq!(unknown.grpc_status(), "12");
    // The content type of gRPC does not replace the password of a path of HTTP.
    for path in http_paths(&server) {
        let response = send(grpc_request(&path, b""), true, None).await;
        assert_eq!(response.grpc_status(), UNAUTHENTICATED, "{path}");
        let request = Request::get(&path).body(Body::empty()).unwrap();
        assert_eq!(send(request, true, None).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let page = || Request::get("/metrics").body(Body::empty()).unwrap();
    assert_eq!(send(page(), false, Some("wonder")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn grpc_needs_a_certificate_also_without_users() {
    let server = TestServer::ready(&["--grpc.auth=cert"]).await;
    let check = || grpc_request("/grpc.health.v1.Health/Check", b"\0");
    assert_eq!(server.send(check()).await.grpc_status(), UNAUTHENTICATED);
    let mut request = check();
    request.extensions_mut().insert(VerifiedClientCert);
    assert_ne!(server.send(request).await.grpc_status(), UNAUTHENTICATED);
    assert_eq!(server.get("/metrics").await.status, StatusCode::OK);
}

//! Redirects.

use super::server::{Reply, Server, ok, status};
use super::{client, fetch, get};
use crate::config::file::http_client::auth::BasicAuth;
use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::headers::HeaderValues;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::http_client::message::ClientRequest;
use crate::model::secret::Secret;
use http::{HeaderValue, Method};
use std::time::Duration;
use tokio::time::Instant;

/// Settings with every kind of credentials.
fn config() -> HttpClientConfig {
    let auth = BasicAuth {
        username: Some(Source::Inline("u".to_owned())),
        password: Some(Source::Inline(Secret::new("p"))),
    };
    let mut config =
        HttpClientConfig { auth: Some(ClientAuth::Basic(auth)), ..HttpClientConfig::default() };
    let plain = HeaderValues { values: vec!["1".to_owned()], ..HeaderValues::default() };
    let secret = HeaderValues { secrets: vec![Secret::new("s")], ..HeaderValues::default() };
    config.headers.insert("X-Own".to_owned(), plain.clone());
    config.headers.insert("Cookie".to_owned(), plain);
    config.headers.insert("X-Secret".to_owned(), secret);
    config
}

/// Redirects `/to?URL` to `URL`; anything else is a page.
fn redirects(seen: &super::server::Seen) -> Reply {
    let path = seen.line().split(' ').nth(1).unwrap_or_default();
    match path.split_once('?') {
        Some((code, target)) => {
            let code = code.trim_start_matches('/');
            status(&format!("{code} T"), &format!("Location: {target}\r\n"))
        }
        None => ok(path),
    }
}

#[tokio::test]
async fn redirect_to_the_same_host_keeps_credentials() {
    let server = Server::start(redirects).await;
    let client = client(&config());
    for code in ["301", "302", "303", "307", "308"] {
        assert_eq!(fetch(&client, &server.url(&format!("/{code}?/there"))).await, "200 /there");
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 10);
    for request in &seen {
        assert_eq!(request.header("authorization"), ["Basic dTpw"], "{}", request.head);
        assert_eq!(request.header("x-secret"), ["s"]);
    }
    assert_eq!(seen[1].header("referer"), [server.url("/301?/there")]);
    assert_eq!(server.connections(), [0; 10], "bodies of redirects are read to the end");
}

#[tokio::test]
async fn redirect_to_another_host_drops_credentials_for_good() {
    let server = Server::start(redirects).await;
    let client = client(&config());
    let port = server.port;
    // The third request is sent to the first host again.
    let back = format!("http://127.0.0.1:{port}/end");
    let other = format!("http://localhost:{port}/302?{back}");
    let last = fetch(&client, &server.url(&format!("/307?{other}"))).await;
    assert_eq!(last, "200 /end");
    let sent: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| {
            ["authorization", "cookie", "x-secret", "x-own"].map(|name| seen.header(name).len())
        })
        .collect();
    assert_eq!(sent, [[1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1]]);
}

#[tokio::test]
async fn redirects_that_are_not_followed() {
    let server = Server::start(redirects).await;
    let following = client(&config());
    let not_following = client(&HttpClientConfig { follow_redirects: false, ..config() });
    let response = get(&not_following, &server.url("/302?/there")).await.unwrap();
    assert_eq!(response.status_text(), "302 T");
    assert_eq!(fetch(&following, &server.url("/304?/there")).await, "304 ");
    let empty = Server::start(|_| status("302 Found", "")).await;
    let response = get(&following, &empty.url("/")).await.unwrap();
    assert_eq!(response.status_text(), "302 Found");
    let ftp = fetch(&following, &server.url("/302?ftp://h/x")).await;
    assert_eq!(ftp, "Get \"ftp://h/x\": unsupported protocol scheme \"ftp\"");
    let bad = fetch(&following, &server.url("/302?http://h:x/")).await;
    let expected = ": failed to parse Location header: URL has an invalid port";
    assert!(bad.ends_with(expected), "{bad}");
}

#[tokio::test]
async fn redirect_loop_ends_after_10_requests() {
    let server = Server::start(|_| status("302 Found", "Location: /loop\r\n")).await;
    let error = fetch(&client(&config()), &server.url("/loop")).await;
    let expected = format!("Get \"{}\": stopped after 10 redirects", server.url("/loop"));
    assert_eq!((error, server.seen().len()), (expected, 10));
}

#[tokio::test]
async fn body_is_kept_by_307_but_not_sent_to_another_host() {
    let server = Server::start(redirects).await;
    let client = client(&HttpClientConfig::default());
    let send = async |path: &str| {
        let mut request = ClientRequest::get(super::url(&server.url(path)));
        request.method = Method::POST;
        request.body = "secret=s".into();
        request.headers.insert("content-type", HeaderValue::from_static("x/y"));
        client.send(&request, Instant::now() + Duration::from_secs(60)).await
    };
    assert_eq!(send("/307?/a").await.unwrap().status.as_u16(), 200);
    assert_eq!(send("/303?/b").await.unwrap().status.as_u16(), 200);
    let other = format!("/307?http://localhost:{}/c", server.port);
    let error = send(&other).await.unwrap_err().to_string();
    assert!(error.ends_with("redirect to another host would send it the request body"), "{error}");
    let sent: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| {
            let method = seen.line().split(' ').next().unwrap_or_default().to_owned();
            (method, seen.body.clone(), seen.header("content-type").len())
        })
        .collect();
    let expected = [
        ("POST", "secret=s", 1),
        ("POST", "secret=s", 1),
        ("POST", "secret=s", 1),
        ("GET", "", 0),
        ("POST", "secret=s", 1),
    ]
    .map(|(method, body, types)| (method.to_owned(), body.to_owned(), types));
    assert_eq!(sent, expected);
}

//! Headers, credentials, unix sockets.

use super::server::{Server, ok};
use super::{client, fetch, url};
use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::auth::{Authorization, BasicAuth};
use crate::config::file::http_client::headers::HeaderValues;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::http_client::message::ClientRequest;
use crate::model::secret::Secret;
use http::{HeaderValue, Method};
use std::time::Duration;
use tokio::time::Instant;

fn with_auth(auth: ClientAuth) -> HttpClientConfig {
    HttpClientConfig { auth: Some(auth), ..HttpClientConfig::default() }
}

fn inline(text: &str) -> Option<Source<Secret>> {
    Some(Source::Inline(Secret::new(text)))
}

#[tokio::test]
async fn request_has_host_agent_and_configured_headers() {
    let server = Server::start(|_| ok("a 1\n")).await;
    let values = |values: &[&str], secrets: &[&str]| HeaderValues {
        values: values.iter().map(|&value| value.to_owned()).collect(),
        secrets: secrets.iter().map(|&value| Secret::new(value)).collect(),
        files: Vec::new(),
    };
    let mut config = HttpClientConfig::default();
    config.headers.insert("X-One".to_owned(), values(&["1", "2"], &[]));
    config.headers.insert("x-lower".to_owned(), values(&[], &["s3cret"]));
    config.headers.insert("Accept".to_owned(), values(&["mine"], &[]));
    let client = client(&config);
    let mut request = ClientRequest::get(url(&server.url("/m?a=b")));
    request.headers.insert("accept", HeaderValue::from_static("text/plain"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let response = client.send(&request, deadline).await.unwrap();
    assert_eq!(response.status_text(), "200 OK");
    assert_eq!(response.body.read_to_end(100).await.unwrap(), "a 1\n");
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "GET /m?a=b HTTP/1.1");
    for (name, expected) in [
        ("Host", vec![format!("127.0.0.1:{}", server.port)]),
        ("User-Agent", vec!["narthex/test".to_owned()]),
        ("Accept", vec!["text/plain".to_owned(), "mine".to_owned()]),
        ("X-One", vec!["1".to_owned(), "2".to_owned()]),
        ("X-Lower", vec!["s3cret".to_owned()]),
        ("Authorization", vec![]),
        ("Accept-Encoding", vec![]),
    ] {
        assert_eq!(seen.header(name), expected, "{name}");
        // Old servers compare names with case.
        assert!(expected.is_empty() || seen.head.contains(&format!("\n{name}: ")), "{name}");
    }
}

#[tokio::test]
async fn credentials_are_those_of_the_url_or_the_settings() {
    let server = Server::start(|_| ok("")).await;
    let basic = |username: &str, password| {
        let username = Some(Source::Inline(username.to_owned()));
        with_auth(ClientAuth::Basic(BasicAuth { username, password }))
    };
    let authorization = |scheme: &str, credentials| {
        with_auth(ClientAuth::Authorization(Authorization {
            scheme: scheme.to_owned(),
            credentials,
        }))
    };
    let plain = server.url("/");
    let with_user = plain.replace("127", "u%40:p@127");
    for (config, url, expected) in [
        (HttpClientConfig::default(), &plain, None),
        (HttpClientConfig::default(), &with_user, Some("Basic dUA6cA==")),
        (basic("us:er", inline("p\u{e4} ss")), &plain, Some("Basic dXM6ZXI6cMOkIHNz")),
        (basic("user", None), &plain, Some("Basic dXNlcjo=")),
        (with_auth(ClientAuth::Basic(BasicAuth::default())), &plain, Some("Basic Og==")),
        (basic("other", None), &with_user, Some("Basic dUA6cA==")),
        (authorization("Bearer", inline("tok en")), &plain, Some("Bearer tok en")),
        (authorization("Custom", inline("abc")), &plain, Some("Custom abc")),
    ] {
        assert_eq!(fetch(&client(&config), url).await, "200 ");
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.header("authorization"), Vec::from_iter(expected), "{config:?}");
    }
}

#[tokio::test]
async fn rotated_files_are_used_by_the_next_request() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    write("user", "u\n");
    write("password", "one");
    write("header", "h1");
    let auth = BasicAuth {
        username: Some(Source::File(dir.path().join("user"))),
        password: Some(Source::File(dir.path().join("password"))),
    };
    let mut config = with_auth(ClientAuth::Basic(auth));
    let files = vec![dir.path().join("header")];
    config.headers.insert("X-T".to_owned(), HeaderValues { files, ..HeaderValues::default() });
    let client = client(&config);
    let server = Server::start(|_| ok("")).await;
    assert_eq!(fetch(&client, &server.url("/")).await, "200 ");
    write("password", "two\n");
    write("header", "h2");
    assert_eq!(fetch(&client, &server.url("/")).await, "200 ");
    std::fs::remove_file(dir.path().join("password")).unwrap();
    let error = fetch(&client, &server.url("/")).await;
    let path = dir.path().join("password");
    let expected = format!(
        "Get \"{}\": unable to read file {}: no such file or directory",
        server.url("/"),
        path.display()
    );
    assert_eq!(error, expected);
    write("password", "three");
    assert_eq!(fetch(&client, &server.url("/")).await, "200 ");
    let seen = server.seen();
    let sent: Vec<_> =
        seen.iter().flat_map(|seen| seen.header("authorization")).map(str::to_owned).collect();
    assert_eq!(sent, ["Basic dTpvbmU=", "Basic dTp0d28=", "Basic dTp0aHJlZQ=="]);
    let tokens: Vec<_> = seen.iter().flat_map(|seen| seen.header("x-t")).collect();
    assert_eq!(tokens, ["h1", "h2", "h2"]);
    assert_eq!(server.connections(), [0, 0, 0], "a secret does not need a new connection");
}

#[tokio::test]
async fn unix_socket_replaces_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = Server::start_unix(&path, |_| ok("unix"));
    let client = client(&HttpClientConfig::default());
    let mut request = ClientRequest::get(url("http://localhost/x"));
    request.unix_socket = Some(path.clone());
    let deadline = Instant::now() + Duration::from_secs(60);
    for _ in 0..2 {
        let response = client.send(&request, deadline).await.unwrap();
        assert_eq!(response.body.read_to_end(100).await.unwrap(), "unix");
    }
    assert_eq!(server.connections(), [0, 0]);
    assert_eq!(server.seen()[0].header("host"), ["localhost"]);
    request.unix_socket = Some(dir.path().join("missing"));
    let error = client.send(&request, deadline).await.unwrap_err().to_string();
    let expected = format!(
        "Get \"http://localhost/x\": dial unix {}: connect: no such file or directory",
        dir.path().join("missing").display()
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn ipv6_host_has_brackets() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let length = stream.read(&mut head).unwrap();
        let is_expected =
            String::from_utf8_lossy(&head[..length]).contains(&format!("Host: [::1]:{port}\r\n"));
        let body = if is_expected { "yes" } else { "no" };
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").unwrap();
    });
    let client = client(&HttpClientConfig::default());
    assert_eq!(fetch(&client, &format!("http://[::1]:{port}/")).await, "200 yes");
}

#[tokio::test]
async fn body_and_host_of_a_request_are_sent() {
    let server = Server::start(|seen| ok(&seen.body)).await;
    let client = client(&HttpClientConfig::default());
    let mut request = ClientRequest::get(url(&server.url("/")));
    request.method = Method::POST;
    request.body = "a=b".into();
    request.host = Some("other:1".to_owned());
    let response = client.send(&request, Instant::now() + Duration::from_secs(60)).await.unwrap();
    assert_eq!(response.body.read_to_end(3).await.unwrap(), "a=b");
    assert_eq!(server.seen()[0].header("host"), ["other:1"]);
}

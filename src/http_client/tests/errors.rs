//! Texts of errors; secrets in them and in debug output.

use super::server::{Reply, Server, ok, status};
use super::{client, fetch, get};
use crate::config::file::http_client::auth::BasicAuth;
use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::headers::HeaderValues;
use crate::config::file::http_client::oauth2::{OAuth2Config, OAuth2Grant};
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::http_client::client::HttpClient;
use crate::http_client::message::ClientRequest;
use crate::model::secret::Secret;
use crate::model::url::Url;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn refused_and_unresolvable_targets() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = client(&HttpClientConfig::default());
    let page = format!("http://127.0.0.1:{port}/x");
    let expected =
        format!("Get \"{page}\": dial tcp 127.0.0.1:{port}: connect: connection refused");
    assert_eq!(fetch(&client, &page).await, expected);
    let error = fetch(&client, "http://no-such-host.invalid/x").await;
    let expected = "Get \"http://no-such-host.invalid/x\": dial tcp: lookup no-such-host.invalid: ";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn invalid_responses() {
    for (response, expected) in [
        ("", "EOF"),
        ("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", "malformed HTTP response: "),
        ("\0\x01\x02 hello\r\n\r\n", "malformed HTTP response: "),
        ("SSH-2.0-x\r\n", "malformed HTTP response: "),
    ] {
        let server = Server::start(move |_| Reply::Close(response.to_owned())).await;
        let error = fetch(&client(&HttpClientConfig::default()), &server.url("/")).await;
        let expected = format!("Get \"{}\": {expected}", server.url("/"));
        assert!(error.starts_with(&expected), "{response:?}: {error}");
    }
}

#[tokio::test]
async fn head_of_a_response_is_limited() {
    let server = Server::start(|_| {
        let line = format!("X: {}\r\n", "x".repeat(60_000));
        Reply::Hang(format!("HTTP/1.1 200 OK\r\n{}", line.repeat(40)))
    })
    .await;
    let error = fetch(&client(&HttpClientConfig::default()), &server.url("/")).await;
    assert!(error.contains("malformed HTTP response: "), "{error}");
}

#[tokio::test]
async fn https_request_to_a_plain_server() {
    let server = Server::start(|_| ok("")).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let client = client(&HttpClientConfig::default());
    let error = fetch(&client, &format!("https://127.0.0.1:{port}/")).await;
    assert!(error.ends_with("tls: first record does not look like a TLS handshake"), "{error}");
    // This server waits for the rest of a request.
    let request = ClientRequest::get(super::url(&format!("https://127.0.0.1:{}/", server.port)));
    let error = client.send(&request, Instant::now() + Duration::from_millis(300)).await;
    assert!(error.unwrap_err().to_string().ends_with(": context deadline exceeded"));
}

/// Settings in which every secret contains `hidden`.
fn secret_settings(token_url: &str, proxy: &str) -> Vec<HttpClientConfig> {
    let secret = || Some(Source::Inline(Secret::new("hidden-1")));
    let basic = BasicAuth { username: Some(Source::Inline("u".to_owned())), password: secret() };
    let oauth2 = OAuth2Config {
        client_id: "id".to_owned(),
        token_url: Url::parse(token_url).unwrap(),
        scopes: Vec::new(),
        endpoint_params: BTreeMap::new(),
        grant_type: None,
        grant: OAuth2Grant::ClientCredentials(secret()),
        tls: TlsClientConfig::default(),
        proxy: ProxyConfig::default(),
    };
    let proxy = ProxyConfig {
        url: Some(Url::parse(proxy).unwrap()),
        connect_headers: BTreeMap::from([("X-P".to_owned(), vec![Secret::new("hidden-2")])]),
        ..ProxyConfig::default()
    };
    let headers = HeaderValues { secrets: vec![Secret::new("hidden-3")], ..Default::default() };
    let base = HttpClientConfig {
        headers: BTreeMap::from([("X-S".to_owned(), headers)]),
        ..HttpClientConfig::default()
    };
    vec![
        HttpClientConfig { auth: Some(ClientAuth::Basic(basic)), ..base.clone() },
        HttpClientConfig { auth: Some(ClientAuth::OAuth2(Box::new(oauth2))), ..base.clone() },
        HttpClientConfig { proxy, ..base },
    ]
}

#[tokio::test]
async fn no_error_and_no_debug_output_has_a_secret() {
    // The server repeats what it gets, as careless ones do.
    let echo = Server::start(|seen| {
        let body = format!("{{\"error\":\"{}\"}}", seen.head.replace("\r\n", " "));
        let length = body.len();
        Reply::Send(format!("HTTP/1.1 403 F\r\nContent-Length: {length}\r\n\r\n{body}"))
    })
    .await;
    let loops = Server::start(|seen| {
        let target = format!("http://u:hidden-9@{}/", seen.header("host")[0]);
        status("302 F", &format!("Location: {target}\r\n"))
    })
    .await;
    let with_user = |url: String| url.replace("127", "u:hidden-4@127");
    let settings =
        secret_settings(&with_user(echo.url("/token")), &with_user(echo.url("").to_owned()));
    let mut texts = Vec::new();
    for config in &settings {
        let client = HttpClient::new(config, "", &|_| None).unwrap();
        texts.push(format!("{config:?} {client:?}"));
        for page in [
            with_user(loops.url("/")),
            "https://u:hidden-6@127.0.0.1:1/".to_owned(),
            "http://u:hidden-5@127.0.0.1:1/".to_owned(),
        ] {
            let request = ClientRequest::get(Url::parse(&page).unwrap());
            texts.push(format!("{request:?}"));
            match client.send(&request, Instant::now() + Duration::from_secs(60)).await {
                Ok(response) => texts.push(format!("{response:?}")),
                Err(error) => texts.push(format!("{error} {error:?} {:?}", error.failure())),
            }
        }
        // The token and the tunnel fail before any request.
        for page in ["http://127.0.0.1:1/", "https://127.0.0.1:1/"] {
            match get(&client, page).await {
                Ok(response) => texts.push(format!("{response:?}")),
                Err(error) => texts.push(format!("{error}")),
            }
        }
    }
    let encoded = ["aWQ6aGlkZGVu", "dTpoaWRkZW4"];
    for text in &texts {
        let is_hidden = !text.contains("hidden") && encoded.iter().all(|code| !text.contains(code));
        assert!(is_hidden, "{text}");
    }
    let all = texts.join("\n");
    for expected in ["oauth2: cannot fetch token: 403 F\n", "response to CONNECT: 403 F", "xxxxx"] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
}

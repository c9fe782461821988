//! HTTP and SOCKS5 proxies.

use super::server::{Reply, Server, ok};
use super::{client, fetch, tls};
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::model::secret::Secret;
use crate::model::url::Url;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn config(proxy: &str, tls: TlsClientConfig) -> HttpClientConfig {
    let proxy = ProxyConfig {
        url: Some(Url::parse(proxy).unwrap()),
        connect_headers: BTreeMap::from([("X-P".to_owned(), vec![Secret::new("one")])]),
        ..ProxyConfig::default()
    };
    HttpClientConfig { proxy, tls, ..HttpClientConfig::default() }
}

/// Starts a proxy for `CONNECT` requests, which requires credentials, and returns its port and the
/// heads of the requests.
async fn connect_proxy(server_port: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let is_allowed = head.to_lowercase().contains("proxy-authorization: basic dtpw\r\n");
            log.lock().unwrap().push(head);
            if !is_allowed {
                let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                stream.write_all(refused).await.unwrap();
                continue;
            }
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", server_port)).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (port, heads)
}

#[tokio::test]
async fn plain_request_is_forwarded_by_an_http_proxy() {
    let proxy = Server::start(|_| ok("from proxy")).await;
    let client =
        client(&config(&format!("http://u:p@127.0.0.1:{}", proxy.port), Default::default()));
    for page in ["http://a.test/x?y", "http://b.test:81/"] {
        assert_eq!(fetch(&client, page).await, "200 from proxy");
    }
    let seen = proxy.seen();
    assert_eq!(seen[0].line(), "GET http://a.test/x?y HTTP/1.1");
    assert_eq!(seen[1].line(), "GET http://b.test:81/ HTTP/1.1");
    assert_eq!(
        (seen[0].header("host"), seen[1].header("host")),
        (vec!["a.test"], vec!["b.test:81"])
    );
    assert_eq!(seen[0].header("proxy-authorization"), ["Basic dTpw"]);
    // These headers are for `CONNECT` only.
    assert!(seen[0].header("x-p").is_empty());
    assert_eq!(proxy.connections(), [0, 0], "a connection to a proxy serves all targets");
}

#[tokio::test]
async fn https_request_opens_a_tunnel() {
    let ca = tls::Authority::new();
    let server =
        Server::start_with(Some(tls::acceptor(&ca.issue(&["a.test"]), &[])), |_| ok("tls")).await;
    let (port, heads) = connect_proxy(server.port).await;
    let settings = TlsClientConfig { ca: Some(ca.inline()), ..TlsClientConfig::default() };
    let client = client(&config(&format!("http://u:p@127.0.0.1:{port}"), settings.clone()));
    for _ in 0..2 {
        assert_eq!(fetch(&client, "https://a.test:8443/x").await, "200 tls");
    }
    assert_eq!(server.connections(), [0, 0]);
    assert_eq!(server.seen()[0].line(), "GET /x HTTP/1.1");
    assert!(server.seen()[0].header("proxy-authorization").is_empty());
    let heads = heads.lock().unwrap().join("").to_lowercase();
    assert!(heads.starts_with("connect a.test:8443 http/1.1\r\nhost: a.test:8443\r\n"), "{heads}");
    assert!(heads.contains("\r\nx-p: one\r\n"), "{heads}");

    let without = super::client(&config(&format!("http://u:wrong@127.0.0.1:{port}"), settings));
    let error = fetch(&without, "https://a.test:8443/x").await;
    let expected = format!(
        "Get \"https://a.test:8443/x\": proxyconnect tcp: proxy http://u:xxxxx@127.0.0.1:{port}: \
         response to CONNECT: 407 Proxy Authentication Required"
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn https_proxy_is_verified() {
    let ca = tls::Authority::new();
    let proxy = Server::start_with(Some(tls::acceptor(&ca.server(), &["h2"])), |_| ok("p")).await;
    let url = format!("https://127.0.0.1:{}", proxy.port);
    let settings = TlsClientConfig { ca: Some(ca.inline()), ..TlsClientConfig::default() };
    assert_eq!(fetch(&client(&config(&url, settings)), "http://a.test/").await, "200 p");
    let error = fetch(&client(&config(&url, TlsClientConfig::default())), "http://a.test/").await;
    let expected = format!(
        "Get \"http://a.test/\": proxyconnect tcp: proxy {url}: tls: failed to verify certificate: \
         x509: certificate signed by unknown authority"
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn unreachable_and_broken_proxies() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}");
    let client_of = |url: &str| client(&config(url, TlsClientConfig::default()));
    let expected = format!(
        "Get \"http://a.test/\": proxyconnect tcp: proxy {url}: dial tcp 127.0.0.1:{port}: connect: \
         connection refused"
    );
    assert_eq!(fetch(&client_of(&url), "http://a.test/").await, expected);
    for (response, scheme, reason) in [
        ("SSH-2.0\r\n\r\n", "http", "unexpected response of the proxy: malformed status line"),
        ("HTTP/1.1 200 OK\r\n", "http", "unexpected response of the proxy: EOF"),
        ("HTTP/1.1 502 Bad\r\n\r\n", "http", "response to CONNECT: 502 Bad"),
    ] {
        let proxy = Server::start(move |_| Reply::Close(response.to_owned())).await;
        let url = format!("{scheme}://127.0.0.1:{}", proxy.port);
        let error = fetch(&client_of(&url), "https://a.test/").await;
        let expected = format!("Get \"https://a.test/\": proxyconnect tcp: proxy {url}: {reason}");
        assert_eq!(error, expected, "{response:?}");
    }
}

/// Starts a SOCKS5 proxy that answers a script of (expected bytes, reply).
async fn socks(script: Vec<(Vec<u8>, Vec<u8>)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for (expected, reply) in script {
            let mut read = vec![0; expected.len()];
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(read, expected);
            stream.write_all(&reply).await.unwrap();
        }
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        let _ = stream.read_u8().await;
    });
    port
}

#[tokio::test]
async fn socks5_proxy_gets_names_addresses_and_credentials() {
    let name = [&[5, 1, 0, 3, 6][..], b"a.test", &[0, 80]].concat();
    let user = [&[1, 1][..], b"u", &[1], b"p"].concat();
    let v4 = vec![5, 1, 0, 1, 10, 0, 0, 1, 0, 81];
    let mut v6 = vec![5, 1, 0, 4];
    v6.extend_from_slice(&std::net::Ipv6Addr::LOCALHOST.octets());
    v6.extend_from_slice(&[0, 80]);
    let connected = vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let named = vec![5, 0, 0, 3, 1, b'x', 0, 0];
    for (user_info, page, script, expected) in [
        (
            "",
            "http://a.test/",
            vec![(vec![5, 1, 0], vec![5, 0]), (name.clone(), connected.clone())],
            "200 ok",
        ),
        (
            "u:p@",
            "http://10.0.0.1:81/",
            vec![(vec![5, 2, 0, 2], vec![5, 2]), (user.clone(), vec![1, 0]), (v4, named)],
            "200 ok",
        ),
        ("u:p@", "http://[::1]/", vec![(vec![5, 2, 0, 2], vec![5, 0]), (v6, connected)], "200 ok"),
        (
            "u:p@",
            "http://a.test/",
            vec![(vec![5, 2, 0, 2], vec![5, 2]), (user, vec![1, 1])],
            "socks connect: username/password rejected",
        ),
        (
            "",
            "http://a.test/",
            vec![(vec![5, 1, 0], vec![5, 255])],
            "socks connect: no acceptable authentication methods",
        ),
        (
            "",
            "http://a.test/",
            vec![(vec![5, 1, 0], vec![4, 0])],
            "unexpected response of the proxy: not SOCKS5",
        ),
        (
            "",
            "http://a.test/",
            vec![(vec![5, 1, 0], vec![5, 0]), (name, vec![5, 5, 0, 1])],
            "socks connect: connection refused",
        ),
    ] {
        let port = socks(script).await;
        let url = format!("socks5://{user_info}127.0.0.1:{port}");
        let result = fetch(&client(&config(&url, TlsClientConfig::default())), page).await;
        assert!(result.ends_with(expected), "{page} {user_info}: {result}");
    }
}

//! The HTTP client with real proxies and an OAuth2 server: squid, tinyproxy, and servers in Python.

use std::path::Path;
use std::time::Duration;

use narthex::config::file::http_client::auth::ClientAuth;
use narthex::config::file::http_client::oauth2::{OAuth2Config, OAuth2Grant};
use narthex::config::file::http_client::proxy::ProxyConfig;
use narthex::config::file::http_client::settings::HttpClientConfig;
use narthex::config::file::http_client::source::Source;
use narthex::config::file::http_client::tls::TlsClientConfig;
use narthex::http_client::client::HttpClient;
use narthex::http_client::message::ClientRequest;
use narthex::model::url::Url;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::proxies::Proxy;
use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::launch::{Launch, Server};
use crate::support::tls::cert_path;
use crate::support::wait::wait_until;

/// Deadline of a request, long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns status and body of a page, or the error.
fn fetch(runtime: &Runtime, client: &HttpClient, page: &str) -> String {
    let request = ClientRequest::get(Url::parse(page).expect("a URL"));
    runtime.block_on(async {
        match client.send(&request, Instant::now() + PATIENCE).await {
            Err(error) => error.to_string(),
            Ok(response) => {
                let status = response.status_text();
                let body = response.body.read_to_end(1 << 20).await.expect("a body");
                format!("{status}: {}", String::from_utf8_lossy(&body))
            }
        }
    })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn client(config: &HttpClientConfig) -> HttpClient {
    HttpClient::new(config, "narthex/test", &|_| None).expect("a valid client")
}

/// Settings with a proxy, and the CA of the golden certificates.
fn through(proxy: &str) -> HttpClientConfig {
    let proxy = ProxyConfig { url: Url::parse(proxy).ok(), ..ProxyConfig::default() };
    let ca = Some(Source::File(cert_path("ca.crt")));
    let tls = TlsClientConfig {
        ca,
        // The golden certificate names no address.
        server_name: Some("localhost".to_owned()),
        ..TlsClientConfig::default()
    };
    HttpClientConfig { proxy, tls, ..HttpClientConfig::default() }
}

/// Plain and TLS server, each a narthex.
fn servers(dir: &Path) -> (Server, Server) {
    let web = dir.join("web.yml");
    let text = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n",
        cert_path("server.crt").display(),
        cert_path("server.key").display()
    );
    std::fs::write(&web, text).expect("a web configuration");
    let plain = Launch::narthex(&dir.join("plain")).start();
    let tls = Launch::narthex(&dir.join("tls")).web_config(&web).start();
    (plain, tls)
}

/// Checks plain and TLS requests through a proxy that requires user `u` with password `p`.
fn check_proxy(dir: &Path, scheme: &str, port: u16) {
    let (plain, tls) = servers(dir);
    let runtime = runtime();
    let page = plain.http.url("/-/healthy");
    let secure = format!("https://127.0.0.1:{}/-/healthy", tls.port);
    let allowed = client(&through(&format!("{scheme}://u:p@127.0.0.1:{port}")));
    for _ in 0..2 {
        let result = fetch(&runtime, &allowed, &page);
        assert!(result.starts_with("200 OK: "), "{result}");
        wait_until("the TLS server", || fetch(&runtime, &allowed, &secure).starts_with("200 OK: "));
    }
    let refused = client(&through(&format!("{scheme}://u:hidden@127.0.0.1:{port}")));
    let plain_result = fetch(&runtime, &refused, &page);
    let tls_result = fetch(&runtime, &refused, &secure);
    for result in [&plain_result, &tls_result] {
        let is_refused =
            result.contains("407") || result.contains("401") || result.contains("rejected");
        assert!(is_refused && !result.contains("hidden"), "{result}");
    }
}

#[test]
#[ignore = "needs squid: run tests/run"]
fn requests_through_squid_are_authenticated_and_tunneled() {
    let temp_dir = dir::temp();
    let proxy = Proxy::squid(temp_dir.path(), "u", "p");
    check_proxy(temp_dir.path(), "http", proxy.port);
}

#[test]
#[ignore = "needs tinyproxy: run tests/run"]
fn requests_through_tinyproxy_are_authenticated_and_tunneled() {
    let temp_dir = dir::temp();
    let proxy = Proxy::tinyproxy(temp_dir.path(), "u", "p");
    check_proxy(temp_dir.path(), "http", proxy.port);
}

#[test]
#[ignore = "needs Python: run tests/run"]
fn requests_through_socks5_are_authenticated_and_tunneled() {
    let temp_dir = dir::temp();
    let mut proxy = Foreign::start("socks5.py", &["u", "p"]);
    let port = proxy.step("port")["port"].as_u64().expect("a port");
    let port = u16::try_from(port).expect("a port");
    check_proxy(temp_dir.path(), "socks5", port);
    let first = proxy.step("connect");
    assert_eq!((first["user"].as_str(), first["kind"].as_u64()), (Some("u"), Some(1)));

    let server = Launch::narthex(&temp_dir.path().join("named")).start();
    let named = server.http.url("/-/healthy").replace("127.0.0.1", "no-such-host.invalid");
    let client = client(&through(&format!("socks5h://u:p@127.0.0.1:{port}")));
    let result = fetch(&runtime(), &client, &named);
    assert!(result.starts_with("200 OK: "), "the proxy resolves names: {result}");
}

#[test]
#[ignore = "needs Python: run tests/run"]
fn expired_tokens_and_rotated_secrets_are_replaced() {
    let temp_dir = dir::temp();
    let path = |name: &str| temp_dir.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("a file");
    write("client", "id:s&cret one");
    write("secret", "s&cret one\n");
    let client_file = path("client");
    let arguments = [client_file.to_str().expect("UTF-8"), "12"];
    let mut server = Foreign::start("token_endpoint.py", &arguments);
    let port = server.step("port")["port"].as_u64().expect("a port");
    let url = |path: &str| Url::parse(&format!("http://127.0.0.1:{port}{path}")).expect("a URL");
    let oauth2 = OAuth2Config {
        client_id: "id".to_owned(),
        token_url: url("/token"),
        scopes: vec!["r".to_owned()],
        endpoint_params: std::collections::BTreeMap::new(),
        grant_type: None,
        grant: OAuth2Grant::ClientCredentials(Some(Source::File(path("secret")))),
        tls: TlsClientConfig::default(),
        proxy: ProxyConfig::default(),
    };
    let auth = Some(ClientAuth::OAuth2(Box::new(oauth2)));
    let client = client(&HttpClientConfig { auth, ..HttpClientConfig::default() });
    let (runtime, page) = (runtime(), url("/page").to_string());
    // Tokens are valid for 2 s: some requests need a new one, and none fails.
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        assert_eq!(fetch(&runtime, &client, &page), "200 OK: a 1\n");
        std::thread::sleep(Duration::from_millis(100));
    }
    for _ in 0..2 {
        assert_eq!(server.step("token")["scope"][0], "r");
    }
    write("client", "id:two");
    write("secret", "wrong");
    let expected =
        format!("Get \"{page}\": oauth2: cannot fetch token: 401 Unauthorized: invalid_client");
    let error = fetch(&runtime, &client, &page);
    assert!(error == expected || error.contains("cannot fetch token"), "{error}");
    assert!(!error.contains("wrong") && !error.contains("cret"), "{error}");
    write("secret", "two");
    assert_eq!(fetch(&runtime, &client, &page), "200 OK: a 1\n");
}

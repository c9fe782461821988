//! OAuth2 tokens.

use super::server::{Reply, Seen, Server, ok, status};
use super::{client, fetch, url};
use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::oauth2::{
    JWT_BEARER, JwtAlgorithm, JwtBearer, OAuth2Config, OAuth2Grant,
};
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::http_client::client::HttpClient;
use crate::model::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

/// Settings with client credentials.
fn oauth2(server: &Server, secret: Source<Secret>) -> OAuth2Config {
    OAuth2Config {
        client_id: "i d".to_owned(),
        token_url: url(&server.url("/token")),
        scopes: vec!["r".to_owned(), "w".to_owned()],
        endpoint_params: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        grant_type: None,
        grant: OAuth2Grant::ClientCredentials(Some(secret)),
        tls: TlsClientConfig::default(),
        proxy: ProxyConfig::default(),
    }
}

fn config(oauth2: OAuth2Config) -> HttpClientConfig {
    let auth = Some(ClientAuth::OAuth2(Box::new(oauth2)));
    HttpClientConfig { auth, ..HttpClientConfig::default() }
}

fn inline(text: &str) -> Source<Secret> {
    Source::Inline(Secret::new(text))
}

fn json(body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}");
    Reply::Send(format!("{head}\r\n\r\n{body}"))
}

/// Starts an endpoint that issues numbered tokens with a lifetime, and shows pages elsewhere.
async fn endpoint(lifetime: u64) -> Server {
    let number = Mutex::new(0);
    Server::start(move |seen| {
        if !seen.line().contains(" /token ") {
            return ok(seen.header("authorization").first().unwrap_or(&""));
        }
        let mut number = number.lock().unwrap();
        *number += 1;
        json(&format!("{{\"access_token\":\"t{number}\",\"expires_in\":{lifetime}}}"))
    })
    .await
}

fn token_requests(server: &Server) -> Vec<Seen> {
    server.seen().into_iter().filter(|seen| seen.line().contains(" /token ")).collect()
}

#[tokio::test]
async fn token_is_requested_once_and_kept() {
    let server = endpoint(3600).await;
    let client = client(&config(oauth2(&server, inline("s&c"))));
    let page = server.url("/");
    let pages = tokio::join!(fetch(&client, &page), fetch(&client, &page), fetch(&client, &page));
    assert_eq!([pages.0, pages.1, pages.2], ["200 Bearer t1"; 3]);
    assert_eq!(fetch(&client, &page).await, "200 Bearer t1");
    let requests = token_requests(&server);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line(), "POST /token HTTP/1.1");
    assert_eq!(requests[0].header("authorization"), ["Basic aStkOnMlMjZj"]);
    assert_eq!(requests[0].header("content-type"), ["application/x-www-form-urlencoded"]);
    assert_eq!(requests[0].body, "grant_type=client_credentials&k=v&scope=r+w");
}

#[tokio::test]
async fn expired_token_is_replaced() {
    // A token is not used in its last 10 s.
    let server = endpoint(9).await;
    let client = client(&config(oauth2(&server, inline("s"))));
    for expected in ["200 Bearer t1", "200 Bearer t2"] {
        assert_eq!(fetch(&client, &server.url("/")).await, expected);
    }
}

#[tokio::test]
async fn rotated_secret_replaces_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "one\n").unwrap();
    let server = endpoint(3600).await;
    let client = client(&config(oauth2(&server, Source::File(path.clone()))));
    assert_eq!(fetch(&client, &server.url("/")).await, "200 Bearer t1");
    std::fs::write(&path, "two").unwrap();
    assert_eq!(fetch(&client, &server.url("/")).await, "200 Bearer t2");
    assert_eq!(fetch(&client, &server.url("/")).await, "200 Bearer t2");
    std::fs::remove_file(&path).unwrap();
    let error = fetch(&client, &server.url("/")).await;
    assert!(
        error.contains(": unable to read oauth2 client secret: unable to read file "),
        "{error}"
    );
}

#[tokio::test]
async fn endpoint_that_refuses_the_header_gets_parameters() {
    let server = Server::start(|seen| {
        if !seen.line().contains(" /token ") {
            ok(seen.header("authorization").first().unwrap_or(&""))
        } else if seen.header("authorization").is_empty() {
            json("{\"access_token\":\"t\",\"expires_in\":1}")
        } else {
            status("401 Unauthorized", "")
        }
    })
    .await;
    let client = client(&config(oauth2(&server, inline("s"))));
    for _ in 0..2 {
        assert_eq!(fetch(&client, &server.url("/")).await, "200 Bearer t");
    }
    let requests = token_requests(&server);
    assert_eq!(requests.len(), 3, "the accepted form is remembered");
    let expected = "client_id=i+d&client_secret=s&grant_type=client_credentials&k=v&scope=r+w";
    assert_eq!((requests[1].body.as_str(), requests[2].body.as_str()), (expected, expected));
}

#[tokio::test]
async fn errors_of_the_endpoint() {
    for (reply, expected) in [
        (
            "403 Forbidden\r\nContent-Length: 2\r\n\r\n{}",
            "oauth2: cannot fetch token: 403 Forbidden",
        ),
        (
            "400 Bad Request\r\nContent-Length: 26\r\n\r\n{\"error\":\"invalid_client\"}",
            "oauth2: cannot fetch token: 400 Bad Request: invalid_client",
        ),
        ("200 OK\r\nContent-Length: 2\r\n\r\n{}", "oauth2: server response missing access_token"),
        (
            "200 OK\r\nContent-Length: 1\r\n\r\n<",
            "oauth2: cannot parse response of the token endpoint",
        ),
        ("200 OK\r\nContent-Length: 9\r\n\r\n{", "oauth2: cannot fetch token: unexpected EOF"),
    ] {
        let server = Server::start(move |_| Reply::Close(format!("HTTP/1.1 {reply}"))).await;
        let client = client(&config(oauth2(&server, inline("hidden"))));
        let error = fetch(&client, "http://127.0.0.1:1/").await;
        assert_eq!(error, format!("Get \"http://127.0.0.1:1/\": {expected}"));
    }
    let server = Server::start(|_| Reply::Hang(String::new())).await;
    let client = client(&config(oauth2(&server, inline("hidden"))));
    let request = crate::http_client::message::ClientRequest::get(url("http://127.0.0.1:1/"));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_millis(200);
    let error = client.send(&request, deadline).await.unwrap_err();
    assert!(error.to_string().ends_with("context deadline exceeded"), "{error}");
}

/// Makes an RSA key; `None` without openssl.
fn rsa_key(form: &[&str]) -> Option<String> {
    let output = Command::new("openssl").args(form).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).expect("PEM"))
}

#[tokio::test]
async fn assertion_is_signed() {
    let pkcs8 = rsa_key(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let Some(pem) = pkcs8 else { return };
    for (algorithm, name) in [
        (None, "RS256"),
        (Some(JwtAlgorithm::Rs384), "RS384"),
        (Some(JwtAlgorithm::Rs512), "RS512"),
    ] {
        let server = endpoint(3600).await;
        let mut claims = serde_json::Map::new();
        claims.insert("c".to_owned(), serde_json::json!(["d", 1]));
        let jwt = JwtBearer {
            key: Some(inline(&pem)),
            key_id: Some("kid".to_owned()),
            algorithm,
            issuer: None,
            audience: Some("w".to_owned()),
            claims,
        };
        let mut settings = oauth2(&server, inline(""));
        settings.grant_type = Some(JWT_BEARER.to_owned());
        settings.grant = OAuth2Grant::JwtBearer(jwt);
        let client = client(&config(settings));
        assert_eq!(fetch(&client, &server.url("/")).await, "200 Bearer t1");
        let request = token_requests(&server).remove(0);
        assert!(request.header("authorization").is_empty());
        let fields: BTreeMap<String, String> =
            form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
        assert_eq!(fields["grant_type"], JWT_BEARER);
        assert_eq!((fields["scope"].as_str(), fields["k"].as_str()), ("r w", "v"));
        let parts: Vec<&str> = fields["assertion"].split('.').collect();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let header = serde_json::json!({"alg": name, "typ": "JWT", "kid": "kid"});
        assert_eq!(json(parts[0]), header);
        let payload = json(parts[1]);
        for (claim, expected) in [
            ("iss", serde_json::json!("i d")),
            ("sub", serde_json::json!("i d")),
            ("aud", serde_json::json!("w")),
            ("scope", serde_json::json!("r w")),
            ("c", serde_json::json!(["d", 1])),
        ] {
            assert_eq!(payload[claim], expected, "{claim}");
        }
        let lifetime = payload["exp"].as_u64().unwrap() - payload["iat"].as_u64().unwrap();
        assert_eq!((lifetime, payload["jti"].as_str().unwrap().len()), (600, 36));
        verify(&pem, name, &format!("{}.{}", parts[0], parts[1]), parts[2]);
    }
}

/// Verifies a signature with openssl.
fn verify(pem: &str, name: &str, signed: &str, signature: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("key"), pem).unwrap();
    std::fs::write(path("text"), signed).unwrap();
    std::fs::write(path("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let digest = name.replace("RS", "-sha");
    let output = Command::new("openssl")
        .args(["dgst", &digest, "-prverify"])
        .arg(path("key"))
        .arg("-signature")
        .args([path("signature"), path("text")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Verified OK\n", "{output:?}");
}

#[test]
fn unusable_key_is_an_error_without_its_text() {
    let jwt = |key| JwtBearer {
        key,
        key_id: None,
        algorithm: None,
        issuer: None,
        audience: None,
        claims: serde_json::Map::new(),
    };
    let build = |key| {
        let settings = OAuth2Config {
            client_id: "id".to_owned(),
            token_url: url("http://h/"),
            scopes: Vec::new(),
            endpoint_params: BTreeMap::new(),
            grant_type: Some(JWT_BEARER.to_owned()),
            grant: OAuth2Grant::JwtBearer(jwt(key)),
            tls: TlsClientConfig::default(),
            proxy: ProxyConfig::default(),
        };
        HttpClient::new(&config(settings), "", &|_| None).unwrap_err().to_string()
    };
    let expected = "oauth2: jwt-bearer needs client_certificate_key or client_certificate_key_file";
    assert_eq!(build(None), expected);
    let expected = "oauth2: client_certificate_key is not an RSA private key in PEM";
    assert_eq!(build(Some(inline("hidden-k"))), expected);
    let ecdsa = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let error = build(Some(inline(&ecdsa)));
    assert!(error.starts_with("oauth2: client_certificate_key cannot be used: "), "{error}");
}

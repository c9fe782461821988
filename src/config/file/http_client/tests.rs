//! Tests of HTTP client settings.

use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::source::Source;
use crate::config::yaml::value::Value;
use std::path::Path;

/// Reads settings. Returns the effective YAML, and the problems with positions.
fn read(text: &str) -> (HttpClientConfig, String, Vec<String>) {
    let (source, tree) = Source::parse(text, Path::new("/dir"), false);
    let mut mapping = Value::root(&source, &tree).mapping().expect("a mapping");
    let config = HttpClientConfig::read(&mut mapping);
    mapping.finish();
    let mut yaml = YamlMapping::default();
    config.add_to(&mut yaml);
    let shown = yaml.to_yaml().expect("YAML");
    let problems = source.into_findings().problems;
    (config, shown, problems.iter().map(ToString::to_string).collect())
}

const FLAGS: &str = "follow_redirects: true\nenable_http2: true\n";

#[test]
fn effective_settings_are_those_of_prometheus() {
    for (text, expected) in [
        ("basic_auth:\n", FLAGS.to_owned()),
        ("basic_auth: {}\n", format!("basic_auth: {{}}\n{FLAGS}")),
        (
            "basic_auth: {username: u, password: hidden-p}\n",
            format!("basic_auth:\n  username: u\n  password: <secret>\n{FLAGS}"),
        ),
        (
            "basic_auth: {username_file: u.txt, password_file: dir/p.txt}\n",
            format!(
                "basic_auth:\n  username_file: /dir/u.txt\n  password_file: /dir/dir/p.txt\n{FLAGS}"
            ),
        ),
        ("authorization: {}\n", format!("authorization:\n  type: Bearer\n{FLAGS}")),
        (
            "authorization: {type: ' Custom ', credentials: hidden-c}\n",
            format!("authorization:\n  type: Custom\n  credentials: <secret>\n{FLAGS}"),
        ),
        (
            "bearer_token: hidden-t\n",
            format!("authorization:\n  type: Bearer\n  credentials: <secret>\n{FLAGS}"),
        ),
        (
            "bearer_token_file: t.txt\n",
            format!("authorization:\n  type: Bearer\n  credentials_file: /dir/t.txt\n{FLAGS}"),
        ),
        ("tls_config: {}\n", FLAGS.to_owned()),
        (
            "tls_config: {ca_file: ca.pem, cert_file: c.pem, key_file: /k.pem, server_name: s, \
             insecure_skip_verify: true, min_version: TLS12, max_version: TLS13}\n",
            "tls_config:\n  ca_file: /dir/ca.pem\n  cert_file: /dir/c.pem\n  key_file: /k.pem\n  \
             server_name: s\n  insecure_skip_verify: true\n  min_version: TLS12\n  \
             max_version: TLS13\n"
                .to_owned()
                + FLAGS,
        ),
        ("proxy_url: ''\n", FLAGS.to_owned()),
        (
            "proxy_url: http://u:hidden-p@p:3128\nno_proxy: a.example,10.0.0.0/8\n\
             proxy_connect_header: {X-P: [hidden-one, hidden-two]}\n",
            format!(
                "{FLAGS}proxy_url: http://u:xxxxx@p:3128\nno_proxy: a.example,10.0.0.0/8\n\
                 proxy_connect_header:\n  X-P:\n  - <secret>\n  - <secret>\n"
            ),
        ),
        ("proxy_from_environment: true\n", format!("{FLAGS}proxy_from_environment: true\n")),
        (
            "follow_redirects: false\nenable_http2: false\n",
            "follow_redirects: false\nenable_http2: false\n".to_owned(),
        ),
        (
            "http_headers:\n  X-A: {values: [a, b]}\n  x-b: {secrets: [hidden-c]}\n  \
             X-C: {files: [h.txt]}\n  X-D: {}\n",
            format!(
                "{FLAGS}http_headers:\n  X-A:\n    values:\n    - a\n    - b\n  X-C:\n    files:\n    \
                 - /dir/h.txt\n  X-D: {{}}\n  x-b:\n    secrets:\n    - <secret>\n"
            ),
        ),
        (
            "oauth2:\n  client_id: a\n  client_secret: hidden-b\n  token_url: http://u:hidden-p@t/x\n  \
             scopes: [r, w]\n  endpoint_params: {k: v}\n  proxy_url: http://p:1\n  \
             tls_config: {server_name: s}\n",
            "oauth2:\n  client_id: a\n  client_secret: <secret>\n  scopes:\n  - r\n  - w\n  \
             token_url: http://u:xxxxx@t/x\n  endpoint_params:\n    k: v\n  tls_config:\n    \
             server_name: s\n    insecure_skip_verify: false\n  proxy_url: http://p:1\n"
                .to_owned()
                + FLAGS,
        ),
        (
            "oauth2:\n  client_id: a\n  token_url: http://t/\n  \
             grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n  \
             client_certificate_key: hidden-k\n  client_certificate_key_id: kid\n  \
             signature_algorithm: RS512\n  iss: i\n  audience: w\n  claims: {c: d}\n",
            "oauth2:\n  client_id: a\n  client_certificate_key_id: kid\n  \
             client_certificate_key: <secret>\n  \
             grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n  \
             signature_algorithm: RS512\n  iss: i\n  audience: w\n  claims:\n    c: d\n  \
             token_url: http://t/\n"
                .to_owned()
                + FLAGS,
        ),
    ] {
        let (config, shown, problems) = read(text);
        assert!(problems.is_empty(), "{text}: {problems:?}");
        // The writer may indent lists.
        let flat = |text: &str| text.replace("  - ", "- ").replace("  - ", "- ");
        assert_eq!(flat(&shown), flat(&expected), "{text}");
        assert!(!shown.contains("hidden") && !format!("{config:?}").contains("hidden"), "{text}");
    }
}

#[test]
fn unknown_grant_means_client_credentials_as_in_prometheus() {
    let text = "oauth2: {client_id: a, client_secret: b, token_url: 'http://t/', grant_type: x}\n";
    let (config, shown, problems) = read(text);
    assert!(problems.is_empty() && shown.contains("grant_type: x\n"), "{problems:?} {shown}");
    assert!(matches!(config.auth, Some(ClientAuth::OAuth2(_))));
}

#[test]
fn problems_name_place_and_reason_without_secrets() {
    for (text, expected) in [
        ("basic_auth: {user: x}", "1:14: basic_auth.user: unknown key \"user\""),
        (
            "basic_auth: {username: u, username_file: hidden}",
            "1:42: basic_auth.username_file: excludes username; set one of them",
        ),
        (
            "basic_auth: {password: hidden, password_file: hidden}",
            "1:47: basic_auth.password_file: excludes password; set one of them",
        ),
        (
            "basic_auth: {password_ref: hidden}",
            "1:28: basic_auth.password_ref: narthex has no secret manager; use password_file",
        ),
        (
            "basic_auth: {}\nauthorization: {}",
            "2:16: authorization: excludes basic_auth; set one kind of authentication",
        ),
        (
            "basic_auth: {}\noauth2: {client_id: a, token_url: 'http://t'}",
            "2:9: oauth2: excludes basic_auth; set one kind of authentication",
        ),
        (
            "bearer_token: hidden\nbasic_auth: {}",
            "1:15: bearer_token: excludes basic_auth; set one kind of authentication",
        ),
        (
            "bearer_token: hidden\nbearer_token_file: hidden",
            "2:20: bearer_token_file: excludes bearer_token; set one of them",
        ),
        (
            "authorization: {type: Basic}",
            "1:23: authorization.type: cannot be basic; use basic_auth",
        ),
        ("oauth2: {token_url: 'http://t'}", "1:9: oauth2: needs client_id"),
        ("oauth2: {client_id: a}", "1:9: oauth2: needs token_url"),
        (
            "oauth2: {client_id: a, token_url: 'http://u:hidden@h:x'}",
            "1:35: oauth2.token_url: URL has an invalid port",
        ),
        (
            "oauth2: {client_id: a, token_url: 'ftp://h'}",
            "1:35: oauth2.token_url: scheme must be http or https",
        ),
        (
            "oauth2: {client_id: a, token_url: 'http://t', signature_algorithm: ES256}",
            "1:68: oauth2.signature_algorithm: must be RS256, RS384 or RS512",
        ),
        (
            "oauth2: {client_id: a, token_url: 'http://t', scopes: [r], endpoint_params: {scope: x}}",
            "1:78: oauth2.endpoint_params.scope: excludes scopes; set one of them",
        ),
        (
            "tls_config: {ca: hidden, ca_file: x}",
            "1:35: tls_config.ca_file: excludes ca; set one of them",
        ),
        ("tls_config: {cert_file: x}", "1:25: tls_config.cert_file: needs key or key_file"),
        ("tls_config: {key: hidden}", "1:19: tls_config.key: needs cert or cert_file"),
        (
            "tls_config: {key_file: '-----BEGIN hidden', cert_file: x}",
            "1:24: tls_config.key_file: is PEM text, not a path; key takes the text",
        ),
        (
            "tls_config: {min_version: TLS14}",
            "1:27: tls_config.min_version: must be TLS10, TLS11, TLS12 or TLS13, not \"TLS14\"",
        ),
        (
            "tls_config: {max_version: TLS11}",
            "1:27: tls_config.max_version: TLS11 is not supported; narthex has TLS 1.2 and TLS 1.3",
        ),
        (
            "tls_config: {min_version: TLS13, max_version: TLS12}",
            "1:47: tls_config.max_version: must be at least min_version",
        ),
        ("proxy_url: http://u:hidden@p:port", "1:12: proxy_url: URL has an invalid port"),
        (
            "proxy_url: gopher://p:70",
            "1:12: proxy_url: scheme must be one of http, https, socks5, socks5h",
        ),
        ("no_proxy: a", "1:11: no_proxy: needs proxy_url"),
        (
            "proxy_url: http://p\nproxy_from_environment: true",
            "2:25: proxy_from_environment: excludes proxy_url; set one of them",
        ),
        (
            "proxy_from_environment: true\nno_proxy: a",
            "2:11: no_proxy: excludes proxy_from_environment, which reads NO_PROXY",
        ),
        (
            "proxy_connect_header: {X-P: [hidden]}",
            "1:23: proxy_connect_header: needs proxy_url or proxy_from_environment",
        ),
        ("http_headers: []", "1:15: http_headers: must be a mapping"),
        ("http_headers: {'X A': {}}", "1:16: http_headers.X A: not a valid header name"),
        (
            "http_headers: {X-A: {secrets: [\"hidden\\n\"]}}",
            "1:32: http_headers.X-A.secrets[0]: contains a control character",
        ),
        (
            "http_headers: {host: {values: [x]}}",
            "1:16: http_headers.host: this header cannot be set",
        ),
    ] {
        let (_, _, problems) = read(text);
        let is_first = problems.first().is_some_and(|first| first.starts_with(expected));
        assert!(is_first, "{problems:?} instead of {expected}");
        assert!(!problems.join(" ").contains("hidden"), "{problems:?}");
    }
}

#[test]
fn all_problems_are_reported() {
    let text = "basic_auth: {user: x, password: a, password_file: b}\ntls_config: {min_version: 1}\n\
                proxy_url: http://\nhttp_headers: {Host: {}, Connection: {}}\n";
    assert_eq!(read(text).2.len(), 6);
}

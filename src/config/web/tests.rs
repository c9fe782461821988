//! Accepted files, errors with their positions, and the verdicts of Prometheus.

use crate::config::web;
use crate::config::web::contents::{
    CipherSuite, ClientAuthPolicy, Curve, HttpConfig, PasswordHash, PemSource, RateLimit,
    TlsConfig, TlsVersion, WebConfig,
};
use crate::config::web::{DEFAULT_MAX_BCRYPT_COST, MAX_SIZE, WebConfigFile};
use crate::config::yaml::error::ConfigProblem;
use flate2::read::GzDecoder;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

const HASH: &str = "$2b$04$jZ/9xMurPm4HiUmwPyPWbeM759.mXfUACRjJmugWoBbbBAmyXfEVW";

fn parse(text: &str) -> Result<WebConfigFile, ConfigProblem> {
    web::parse(text, Path::new("/etc/web"), DEFAULT_MAX_BCRYPT_COST)
}

fn config(text: &str) -> WebConfig {
    let file = parse(text).unwrap_or_else(|problem| panic!("{problem} in {text}"));
    assert_eq!(file.warnings, [], "{text}");
    file.config
}

fn error(text: &str) -> String {
    parse(text).map(|file| panic!("{file:?} of {text}")).unwrap_err().to_string()
}

/// Returns the error of a file with certificate, key and other keys of the TLS section.
fn tls_error(keys: &str) -> String {
    error(&format!("tls_server_config:\n  cert_file: a\n  key_file: b\n  {keys}\n"))
}

#[test]
fn empty_file_is_valid() {
    for text in [
        "",
        "# nothing\n",
        "{}",
        "~",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {}\nhttp_server_config: {}\nbasic_auth_users: {}\nrate_limit: {}\n",
        "http_server_config: {http2: ~, headers: ~}\n",
        "rate_limit: {interval: 0, burst: 0}\n",
        "rate_limit: {burst: 1}\n",
    ] {
        assert_eq!(config(text), WebConfig::default(), "{text}");
    }
}

#[test]
fn every_key_has_its_value() {
    let text = format!(
        "tls_server_config:
  cert_file: certs/server.crt
  key_file: /keys/server.key
  client_ca: PEM
  client_auth_type: VerifyClientCertIfGiven
  client_allowed_sans: [a.test, 10.1.2.3]
  min_version: TLS12
  max_version: TLS12
  cipher_suites:
  - TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
  - TLS_AES_128_GCM_SHA256
  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
  - TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
  curve_preferences: [X25519, CurveP384, X25519]
  prefer_server_cipher_suites: false
http_server_config:
  http2: no
  headers:
    X-Frame-Options: sameorigin
    Strict-Transport-Security:
    X-XSS-Protection: 0
basic_auth_users:
  alice: {HASH}
  '': {HASH}
rate_limit:
  interval: 1m30s
  burst: 5000000000
"
    );
    let tls = TlsConfig {
        certificate: PemSource::File("/etc/web/certs/server.crt".into()),
        key: PemSource::File("/keys/server.key".into()),
        client_ca: Some(PemSource::Inline("PEM".to_owned())),
        client_auth: ClientAuthPolicy::VerifyIfGiven,
        client_allowed_sans: Some(vec!["a.test".to_owned(), "10.1.2.3".to_owned()]),
        min_version: TlsVersion::Tls12,
        max_version: TlsVersion::Tls12,
        cipher_suites: vec![CipherSuite::RsaChacha20Poly1305, CipherSuite::EcdsaAes128Gcm],
        curves: vec![Curve::X25519, Curve::P384],
        prefer_server_cipher_suites: false,
    };
    let headers = [
        ("X-Frame-Options", "sameorigin"),
        ("Strict-Transport-Security", ""),
        ("X-XSS-Protection", "0"),
    ];
    let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
    let hash = PasswordHash(HASH.to_owned());
    let expected = WebConfig {
        tls: Some(tls),
        http: HttpConfig { http2: false, headers },
        users: [("alice".to_owned(), hash.clone()), (String::new(), hash)].into(),
        rate_limit: Some(RateLimit { interval: Duration::from_secs(90), burst: u32::MAX }),
    };
    assert_eq!(config(&text), expected);
}

#[test]
fn tls_section_has_defaults() {
    let file = |path: &str| PemSource::File(format!("/etc/web/{path}").into());
    let defaults = TlsConfig {
        certificate: file("a"),
        key: file("b"),
        client_ca: None,
        client_auth: ClientAuthPolicy::None,
        client_allowed_sans: None,
        min_version: TlsVersion::Tls12,
        max_version: TlsVersion::Tls13,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
        prefer_server_cipher_suites: true,
    };
    for keys in [
        "",
        "client_auth_type: NoClientCert",
        "client_auth_type: ''",
        "client_ca_file: ''",
        "cipher_suites: []",
        "{min_version: ~, max_version: ~, cipher_suites: ~, client_allowed_sans: ~}",
    ] {
        let keys = keys.trim_matches(['{', '}']).replace(", ", "\n  ");
        let text = format!("tls_server_config:\n  cert_file: a\n  key_file: b\n  {keys}\n");
        assert_eq!(config(&text).tls.as_ref(), Some(&defaults), "{text}");
    }
    for (name, policy) in [
        ("RequestClientCert", ClientAuthPolicy::Request),
        ("RequireAnyClientCert", ClientAuthPolicy::RequireAny),
        ("RequireClientCert", ClientAuthPolicy::RequireAny),
        ("RequireAndVerifyClientCert", ClientAuthPolicy::RequireAndVerify),
    ] {
        let text = format!(
            "tls_server_config: {{cert: a, key: b, client_ca_file: c, client_auth_type: {name}}}"
        );
        let tls = config(&text).tls.unwrap();
        assert_eq!((tls.client_auth, tls.client_ca), (policy, Some(file("c"))));
        assert_eq!(tls.key, PemSource::Inline("b".to_owned()));
    }
}

#[test]
fn tls13_needs_no_suite_of_tls12() {
    let text = "tls_server_config: {cert: a, key: b, min_version: TLS13, \
                cipher_suites: [TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256]}";
    let tls = config(text).tls.unwrap();
    assert_eq!((tls.min_version, tls.cipher_suites), (TlsVersion::Tls13, Vec::new()));
}

#[test]
fn intervals_are_go_durations_or_nanoseconds() {
    for (interval, nanos) in
        [("1h", 3_600_000_000_000), ("1.5ms", 1_500_000), ("1000", 1000), ("1e3", 1000)]
    {
        let limit = config(&format!("rate_limit: {{interval: {interval}, burst: 2}}")).rate_limit;
        let interval = Duration::from_nanos(nanos);
        assert_eq!(limit, Some(RateLimit { interval, burst: 2 }));
    }
    for zero in ["0", "0s", "-0", "'0'", "~"] {
        assert_eq!(config(&format!("rate_limit: {{interval: {zero}}}")).rate_limit, None);
    }
}

#[test]
fn error_names_position_key_and_reason() {
    for (text, expected) in [
        (
            "tls: {}\n",
            "1:1: unknown section \"tls\", expected one of tls_server_config, http_server_config, \
             basic_auth_users, rate_limit",
        ),
        (
            "http_server_config:\n  http3: true\n",
            "2:3: unknown key \"http3\", expected one of http2, headers",
        ),
        ("basic_auth_users: [a]\n", "1:19: expected a mapping"),
        ("basic_auth_users:\n  a: b\n  a: c\n", "3:3: duplicate key \"a\""),
        ("tls_server_config:\n  cert_file: a\n", "2:14: tls_server_config needs key or key_file"),
        (
            "tls_server_config:\n  cert: ''\n  key: b\n",
            "3:8: tls_server_config needs cert or cert_file",
        ),
        (
            "tls_server_config: {client_auth_type: RequestClientCert}",
            "1:39: tls_server_config needs cert or cert_file",
        ),
        ("tls_server_config: {client_ca: a}", "1:32: tls_server_config needs cert or cert_file"),
        (
            "http_server_config:\n  headers:\n    X-Other: a\n",
            "3:5: http_server_config.headers cannot set \"X-Other\", expected one of \
             Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, \
             X-XSS-Protection, Content-Security-Policy",
        ),
        (
            "http_server_config:\n  headers: {X-Frame-Options: DENY}\n",
            "2:30: http_server_config.headers.X-Frame-Options must be deny or sameorigin, not \
             \"DENY\"",
        ),
        (
            "http_server_config: {headers: {X-Content-Type-Options: }}\n",
            "1:32: http_server_config.headers.X-Content-Type-Options must be nosniff, not \"\"",
        ),
        (
            "http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}\n",
            "1:50: http_server_config.headers.X-XSS-Protection contains a control character",
        ),
        (
            "basic_auth_users:\n  bob: secret\n",
            "2:8: basic_auth_users: hash of user \"bob\" is not a bcrypt hash: expected 60 \
             characters that begin with $2a$, $2b$, $2x$ or $2y$",
        ),
        (
            &format!("basic_auth_users:\n  bob: {}\n", HASH.replace("$04$", "$15$")),
            "2:8: basic_auth_users: hash of user \"bob\" has cost 15, which exceeds 14 \
             (--web.auth-max-bcrypt-cost)",
        ),
        (
            "rate_limit: {interval: 1h}",
            "1:24: rate_limit.interval needs rate_limit.burst of at least 1; with less, every \
             request would be rejected",
        ),
        (
            "rate_limit: {interval: 1h, burst: -2}",
            "1:35: rate_limit.burst must be at least 1, not -2; with less, every request would be \
             rejected",
        ),
        ("rate_limit: {interval: -1s, burst: 1}", "1:24: rate_limit.interval must be at least 0"),
        (
            "rate_limit: {interval: 1d, burst: 1}",
            "1:24: rate_limit.interval is invalid: \"1d\" is not a duration; write for example 1s \
             or 100ms",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn unavailable_tls_parameters_are_named() {
    const SUITES: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
                          TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
                          TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, \
                          TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
                          TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, \
                          TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    for (key, name, available) in [
        ("max_version", "TLS11", "TLS12, TLS13"),
        ("min_version", "TLS14", "TLS12, TLS13"),
        ("max_version", "1.3", "TLS12, TLS13"),
        (
            "client_auth_type",
            "requireanyclientcert",
            "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, \
             RequireAndVerifyClientCert, RequireClientCert",
        ),
        ("cipher_suites", "TLS_RSA_WITH_AES_128_GCM_SHA256", SUITES),
        ("curve_preferences", "CurveP521", "CurveP256, CurveP384, X25519"),
    ] {
        let is_list = key == "cipher_suites" || key == "curve_preferences";
        let value = if is_list { format!("[{name}]") } else { name.to_owned() };
        let column = 3 + key.len() + 2 + usize::from(is_list);
        let expected = format!(
            "4:{column}: tls_server_config.{key} {name:?} is unknown or not available; available: \
             {available}"
        );
        assert_eq!(tls_error(&format!("{key}: {value}")), expected);
    }
    assert_eq!(
        tls_error("cipher_suites: [TLS_AES_128_GCM_SHA256]"),
        format!(
            "4:19: tls_server_config.cipher_suites has no suite of TLS 1.2; add one, or set \
             min_version to TLS13; available: {SUITES}"
        )
    );
    assert_eq!(
        tls_error("min_version: TLS13\n  max_version: TLS12"),
        "5:16: tls_server_config.max_version is below min_version: every handshake would fail"
    );
    assert_eq!(
        tls_error("client_ca_file: c"),
        "4:19: tls_server_config.client_ca needs a client_auth_type other than NoClientCert"
    );
    assert_eq!(
        tls_error("client_auth_type: VerifyClientCertIfGiven"),
        "4:21: tls_server_config.client_auth_type VerifyClientCertIfGiven needs client_ca or \
         client_ca_file, because narthex does not trust the CAs of the system"
    );
}

#[test]
fn settings_with_another_effect_have_warnings() {
    for (text, expected) in [
        (
            "tls_server_config:\n  cert: a\n  key: b\n  min_version: TLS10\n",
            "4:16: tls_server_config.min_version TLS10 is not available: the minimum is TLS12",
        ),
        (
            "tls_server_config:\n  cert: a\n  cert_file: b\n  key: b\n",
            "2:9: tls_server_config.cert is ignored, because cert_file is set",
        ),
        (
            "tls_server_config:\n  min_version: TLS13\n",
            "2:3: tls_server_config has neither certificate nor key: TLS is off",
        ),
        (
            "tls_server_config: {cert: a, key: b, client_allowed_sans: []}",
            "1:59: tls_server_config.client_allowed_sans has no effect, because client_auth_type \
             requests no certificate",
        ),
        (
            &format!("basic_auth_users: {{'a:b': {HASH}}}"),
            "1:20: basic_auth_users: user \"a:b\" cannot log in: basic authentication has no user \
             names with a colon",
        ),
    ] {
        let warnings = parse(text).unwrap().warnings;
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [expected], "{text}");
    }
}

#[test]
fn sizes_and_counts_are_limited() {
    assert_eq!(error(&"#".repeat(MAX_SIZE + 1)), "file exceeds 4194304 bytes");
    assert!(parse(&"#".repeat(MAX_SIZE)).is_ok());
    let inline = |len| format!("tls_server_config: {{key: b, cert: {}}}", "a".repeat(len));
    assert!(
        error(&inline((1 << 20) + 1)).ends_with("tls_server_config.cert exceeds 1048576 bytes")
    );
    assert!(parse(&inline(1 << 20)).is_ok());
    let header =
        |len| format!("http_server_config: {{headers: {{X-XSS-Protection: {}}}}}", "a".repeat(len));
    assert!(error(&header(8193)).ends_with("X-XSS-Protection exceeds 8192 bytes"));
    assert!(parse(&header(8192)).is_ok());
    let users = |count| {
        let users: String = (0..count).map(|user| format!("  user-{user}: {HASH}\n")).collect();
        format!("basic_auth_users:\n{users}")
    };
    assert!(error(&users(10_001)).ends_with("basic_auth_users has more than 10000 users"));
    assert_eq!(config(&users(10_000)).users.len(), 10_000);
    let sans = |count| {
        let sans = "a, ".repeat(count);
        format!(
            "tls_server_config: {{cert: a, key: b, client_auth_type: RequestClientCert, \
             client_allowed_sans: [{sans}]}}"
        )
    };
    assert!(error(&sans(10_001)).ends_with("client_allowed_sans has more than 10000 names"));
    assert!(parse(&sans(10_000)).is_ok());
}

#[test]
fn debug_output_has_no_secret() {
    let text =
        format!("tls_server_config: {{cert: PEM, key: SECRET}}\nbasic_auth_users: {{a: {HASH}}}");
    let shown = format!("{:?}", parse(&text).unwrap());
    assert!(!shown.contains("SECRET") && !shown.contains("$2b$"), "{shown}");
    assert!(shown.contains("PasswordHash") && shown.contains("Inline"), "{shown}");
}

/// Files that Prometheus 3.14 accepts and narthex rejects, with a part of the error. The reasons
/// are in docs/web-configuration.md.
const STRICTER: [(&str, &str); 7] = [
    ("auth-Verify-no-ca.yml", "does not trust the CAs of the system"),
    ("curve-521.yml", "\"CurveP521\" is unknown or not available"),
    ("max-TLS10.yml", "\"TLS10\" is unknown or not available"),
    ("max-TLS11.yml", "\"TLS11\" is unknown or not available"),
    ("min-above-max.yml", "max_version is below min_version"),
    ("rate-negative.yml", "rate_limit.interval must be at least 0"),
    ("rate-no-burst.yml", "needs rate_limit.burst"),
];

/// Files whose only error is in a certificate or key, which the parser does not read.
const BAD_PEM: [&str; 7] = [
    "bad-ca-missing.yml",
    "bad-tls-garbage-cert.yml",
    "bad-tls-inline-garbage.yml",
    "bad-tls-key-mismatch.yml",
    "bad-tls-missing-cert.yml",
    "bad-tls-missing-key.yml",
    "bad-tls-swapped.yml",
];

#[test]
fn golden_files_have_verdicts_of_prometheus() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/webconfig");
    let verdicts = GzDecoder::new(File::open(dir.join("verdicts.json.gz")).unwrap());
    let verdicts: serde_json::Value = serde_json::from_reader(verdicts).unwrap();
    let verdicts = verdicts["files"].as_object().unwrap();
    assert!(verdicts.len() > 100, "only {} files", verdicts.len());
    for (name, verdict) in verdicts {
        let dir = dir.join("files");
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        let text = text.replace("{DIR}", dir.to_str().unwrap());
        let result = web::parse(&text, &dir, DEFAULT_MAX_BCRYPT_COST);
        let stricter = STRICTER.iter().find(|(file, _)| file == name);
        let is_valid = verdict["ok"].as_bool().unwrap();
        match (result, stricter) {
            (Ok(_), None) => assert!(is_valid || BAD_PEM.contains(&name.as_str()), "{name}"),
            (Err(error), Some((_, part))) => {
                assert!(is_valid && error.to_string().contains(part), "{name}: {error}");
            }
            (Err(error), None) => assert!(!is_valid, "{name}: {error}"),
            (Ok(_), Some(_)) => panic!("{name} is accepted"),
        }
    }
}

#[test]
fn fifo_is_an_error_and_does_not_block() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("web.yml");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let error = web::load(&fifo, DEFAULT_MAX_BCRYPT_COST).unwrap_err().to_string();
    assert!(error.ends_with("not a regular file"), "{error}");
}

#[test]
fn section_of_users_is_known_without_users() {
    for (text, expected) in [
        ("", false),
        ("basic_auth_users:\n", false),
        ("basic_auth_users: ~\nrate_limit:\n", false),
        ("basic_auth_users: {}\n", true),
    ] {
        assert_eq!(parse(text).unwrap().has_users_section, expected, "{text}");
    }
}

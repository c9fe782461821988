//! `narthex check web-config` against Debian's `promtool check web-config`.

use crate::support::web_config::WebConfigFiles;

/// Valid hash of bcrypt.
const HASH: &str = "$2b$04$jZ/9xMurPm4HiUmwPyPWbeM759.mXfUACRjJmugWoBbbBAmyXfEVW";
/// Certificate and key for a TLS section.
const TLS: &str =
    "tls_server_config:\n  cert_file: certs/server.crt\n  key_file: certs/server.key\n";

/// Keys that Debian's Prometheus does not know. A file with one of them is bad for promtool.
const NEWER_KEYS: [&str; 5] = ["client_ca", "cert", "key", "client_allowed_sans", "rate_limit"];

/// Files on which the verdicts differ, and the reasons. Files with [`NEWER_KEYS`] are not listed.
const DIFFERENCES: [(&str, &str); 19] = [
    ("auth-Verify-no-ca.yml", "narthex does not trust the CAs of the system"),
    ("bad-cipher-cbc.yml", "rustls has no CBC suites; Prometheus 3.14 does not start, either"),
    ("bad-cipher-insecure.yml", "rustls has no suites without ECDHE; unknown to Prometheus 3.14"),
    ("bad-cipher-tls13.yml", "TLS 1.2 has no suite; Prometheus 3.14 does not start, either"),
    ("ca-garbage.yml", "promtool does not parse the CAs; no client could connect"),
    ("curve-521.yml", "rustls has no P-521"),
    ("extra-bcrypt-long.yml", "a longer hash matches no password"),
    ("extra-bcrypt-no-minor.yml", "bcrypt has no version 2"),
    ("extra-bcrypt-salt.yml", "a salt that is not base64 matches no password"),
    ("extra-bcrypt-version-1.yml", "bcrypt has no version 1b"),
    ("extra-bcrypt-version-z.yml", "bcrypt has no version 2z"),
    ("extra-cost-15.yml", "above the default of --web.auth-max-bcrypt-cost"),
    ("extra-header-line-break.yml", "a line break would end the header"),
    ("extra-http2-text.yml", "the YAML parser of narthex converts quoted values, too"),
    ("extra-null-cipher.yml", "null is not the name of a suite"),
    ("extra-two-documents.yml", "promtool ignores the second document"),
    ("max-TLS10.yml", "rustls has no TLS 1.0"),
    ("max-TLS11.yml", "rustls has no TLS 1.1"),
    ("min-above-max.yml", "no handshake could succeed"),
];

/// Returns additional files: name and text.
fn extra_files() -> Vec<(String, String)> {
    let user = |hash: &str| format!("basic_auth_users:\n  a: '{hash}'\n");
    let mut files = vec![
        ("bcrypt-long", user(&format!("{HASH}xx"))),
        ("bcrypt-no-minor", user(&HASH.replace("$2b$", "$2$").replace("VW", "VWa"))),
        ("bcrypt-salt", user(&HASH.replace("PWbe", "!Wbe"))),
        ("bcrypt-version-1", user(&HASH.replace("$2b$", "$1b$"))),
        ("bcrypt-version-z", user(&HASH.replace("$2b$", "$2z$"))),
        ("cost-14", user(&HASH.replace("$04$", "$14$"))),
        ("cost-15", user(&HASH.replace("$04$", "$15$"))),
        ("salt-bits", user(&HASH.replace("PWbe", "PWbf"))),
        ("user-null", "basic_auth_users:\n  a:\n".to_owned()),
        ("user-number", format!("basic_auth_users:\n  1: {HASH}\n")),
        (
            "header-double",
            "http_server_config: {headers: {X-XSS-Protection: a, X-XSS-Protection: b}}".to_owned(),
        ),
        (
            "header-line-break",
            "http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}".to_owned(),
        ),
        ("header-null", "http_server_config: {headers: {X-XSS-Protection: }}".to_owned()),
        ("header-number", "http_server_config: {headers: {X-XSS-Protection: 0}}".to_owned()),
        (
            "all-ciphers",
            format!(
                "{TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n"
            ),
        ),
        (
            "tls13-cipher",
            format!("{TLS}  min_version: TLS13\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"),
        ),
        ("all-curves", format!("{TLS}  curve_preferences: [CurveP256, X25519, CurveP384]\n")),
        ("curve-lower", format!("{TLS}  curve_preferences: [x25519]\n")),
        ("curve-scalar", format!("{TLS}  curve_preferences: X25519\n")),
        ("cipher-scalar", format!("{TLS}  cipher_suites: TLS_AES_128_GCM_SHA256\n")),
        ("cipher-empty-string", format!("{TLS}  cipher_suites: ''\n")),
        ("null-cipher", format!("{TLS}  cipher_suites: [~]\n")),
        (
            "null-values",
            format!(
                "{TLS}  cipher_suites: ~\n  min_version: ~\n  max_version: ~\n  client_auth_type: ~\n  curve_preferences: ~\n"
            ),
        ),
        ("null-files", "tls_server_config: {cert_file: ~, key_file: ~}".to_owned()),
        ("number-files", "tls_server_config: {cert_file: 1, key_file: 2}".to_owned()),
        ("version-empty", format!("{TLS}  min_version: ''\n")),
        ("prefer-word", format!("{TLS}  prefer_server_cipher_suites: maybe\n")),
        ("section-list", "tls_server_config: []\n".to_owned()),
        ("section-text", "tls_server_config: a\n".to_owned()),
        ("section-upper", "TLS_server_config: {}\n".to_owned()),
        (
            "merge",
            "http_server_config: &h\n  http2: true\ntls_server_config:\n  <<: *h\n".to_owned(),
        ),
        ("two-documents", "http_server_config:\n---\nhttp_server_config:\n".to_owned()),
        ("json", "{\"http_server_config\": {\"http2\": false}}\n".to_owned()),
        ("tab", "http_server_config:\n\thttp2: true\n".to_owned()),
        ("text", "text\n".to_owned()),
        ("null", "~\n".to_owned()),
    ];
    let switches = [
        ("http2-no", "No"),
        ("http2-n", "n"),
        ("http2-null", "~"),
        ("http2-number", "1"),
        ("http2-off", "off"),
        ("http2-on", "on"),
        ("http2-text", "'true'"),
        ("http2-upper", "TRUE"),
        ("http2-y", "y"),
        ("http2-yes", "yes"),
    ];
    files.extend(
        switches.map(|(name, value)| (name, format!("http_server_config: {{http2: {value}}}\n"))),
    );
    files.into_iter().map(|(name, text)| (format!("extra-{name}.yml"), text)).collect()
}

#[test]
#[ignore = "needs Debian's promtool: run tests/run"]
fn verdicts_agree_with_promtool_check_web_config() {
    let files = WebConfigFiles::golden();
    for (name, text) in extra_files() {
        files.add(&name, &text);
    }
    let own = files.check(env!("CARGO_BIN_EXE_narthex"));
    let promtool = files.check("promtool");
    let is_newer_key = |reason: &str| {
        NEWER_KEYS.iter().any(|key| reason.contains(&format!("field {key} not found")))
    };
    let (mut good, mut bad, mut newer) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (name, own) in &own {
        let promtool = &promtool[name];
        let difference = DIFFERENCES.iter().find(|(file, _)| file == name);
        match (own, promtool) {
            (_, Some(reason)) if is_newer_key(reason) => newer += 1,
            (None, None) => good += 1,
            (Some(_), Some(_)) => bad += 1,
            (own, promtool) => {
                if difference.is_none() {
                    wrong.push(format!("{name}: narthex {own:?}, promtool {promtool:?}"));
                }
                continue;
            }
        }
        if let Some((_, reason)) = difference {
            wrong.push(format!("{name} does not differ, but is listed: {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("good {good}, bad {bad}, newer keys {newer}, differences {}", DIFFERENCES.len());
    assert!(good >= 30 && bad >= 40 && newer > 0, "{good} {bad} {newer}");
    assert_eq!(good + bad + newer + DIFFERENCES.len(), own.len());
}

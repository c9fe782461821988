//! TLS with curl, openssl, Python's http.client and stock gRPC: client certificates, allowed names,
//! versions, suites, curves and protocols.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::launch::{Launch, Server};
use crate::support::tls::cert_path;
use crate::support::wait::wait_until;

/// Clients of the policies: none, a certificate of the CA, of another CA, an expired one, and one
/// for servers.
const CERTIFICATES: [Option<&str>; 5] = [
    None,
    Some("client"),
    Some("client-other"),
    Some("client-expired"),
    Some("client-serverusage"),
];

const REQUIRED: &str = "TLSV13_ALERT_CERTIFICATE_REQUIRED";
const UNKNOWN: &str = "TLSV1_ALERT_UNKNOWN_CA";
const EXPIRED: &str = "SSLV3_ALERT_CERTIFICATE_EXPIRED";
const USAGE: &str = "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE";
const DENIED: &str = "TLSV1_ALERT_ACCESS_DENIED";

/// Policies with OpenSSL's name of the error for each of [`CERTIFICATES`]; empty = accepted.
const POLICIES: [(&str, [&str; 5]); 6] = [
    ("NoClientCert", [""; 5]),
    ("RequestClientCert", [""; 5]),
    ("RequireAnyClientCert", [REQUIRED, "", "", "", ""]),
    ("RequireClientCert", [REQUIRED, "", "", "", ""]),
    ("VerifyClientCertIfGiven", ["", "", UNKNOWN, EXPIRED, USAGE]),
    ("RequireAndVerifyClientCert", [REQUIRED, "", UNKNOWN, EXPIRED, USAGE]),
];

/// Names of `client.crt` of each kind, and names that it does not have.
const GOOD_SANS: [&str; 4] =
    ["client.test", "me@client.test", "10.1.2.3", "spiffe://client.test/a"];
const BAD_SANS: [&str; 4] = ["other.test", "you@client.test", "10.1.2.4", "spiffe://client.test/b"];

/// Additional lines of the section, arguments of `openssl s_client`, and a part of its output.
const PARAMETERS: [(&str, &[&str], &str); 11] = [
    ("", &["-tls1_3"], "New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
    ("", &["-tls1_2"], "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("", &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert handshake failure"),
    ("  min_version: TLS13\n", &["-tls1_2"], "alert protocol version"),
    ("  max_version: TLS12\n", &["-tls1_3"], "alert protocol version"),
    (
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
        &["-tls1_2"],
        "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    (
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        "alert handshake failure",
    ),
    ("  curve_preferences: [CurveP384]\n", &["-tls1_3"], "Server Temp Key: ECDH, secp384r1"),
    (
        "  curve_preferences: [CurveP384]\n",
        &["-tls1_3", "-groups", "prime256v1"],
        "alert handshake failure",
    ),
    ("", &["-alpn", "h2,http/1.1"], "ALPN protocol: h2"),
    ("", &["-alpn", "foo"], "alert no application protocol"),
];

/// Server with a section `tls_server_config` that changes while it runs.
struct TlsServer {
    temp_dir: TempDir,
    server: Server,
    reloads: usize,
}

impl TlsServer {
    fn start(section: &str, rest: &str, flags: &[&str]) -> TlsServer {
        let temp_dir = dir::temp();
        write_config(temp_dir.path(), section, rest);
        let launch = Launch::narthex(&temp_dir.path().join("data"))
            .web_config(&temp_dir.path().join("web.yml"));
        let server = flags.iter().fold(launch, |launch, flag| launch.flag(*flag)).start();
        TlsServer { temp_dir, server, reloads: 0 }
    }

    /// Replaces the section, and waits until it is in use.
    fn reload(&mut self, section: &str) {
        write_config(self.temp_dir.path(), section, &format!("# reload {}\n", self.reloads));
        self.reloads += 1;
        wait_until("the reload", || {
            let log = self.server.program.log();
            log.matches("reloaded web configuration").count() == self.reloads
        });
    }

    /// Runs `openssl s_client` with a request. Returns its output.
    fn openssl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-ign_eof", "-verify_return_error", "-servername", "localhost"])
            .args(["-connect", &format!("127.0.0.1:{}", self.server.port), "-CAfile"])
            .arg(cert_path("ca.crt"))
            .args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl runs");
        let mut input = child.stdin.take().expect("stdin is piped");
        // An error is ignored: openssl has ended if the handshake failed.
        let _ = input.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n");
        drop(input);
        let output = child.wait_with_output().expect("openssl ends");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Runs curl. Returns its exit code and its output.
    fn curl(&self, scheme: &str, arguments: &[&str]) -> (i32, String) {
        let port = self.server.port;
        let output = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--cacert"])
            .arg(cert_path("ca.crt"))
            .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
            .args(arguments)
            .arg(format!("{scheme}://localhost:{port}/-/healthy"))
            .output()
            .expect("curl runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().expect("curl is not killed"), printed)
    }
}

fn write_config(dir: &Path, section: &str, rest: &str) {
    let (certificate, key) = (cert_path("server.crt"), cert_path("server.key"));
    let text = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n{section}{rest}",
        certificate.display(),
        key.display()
    );
    // A rename, because a part of the section would be valid, too.
    std::fs::write(dir.join("web.yml.new"), text).expect("a file can be written");
    std::fs::rename(dir.join("web.yml.new"), dir.join("web.yml")).expect("a file can be renamed");
}

fn ca_line() -> String {
    format!("  client_ca_file: {}\n", cert_path("ca.crt").display())
}

/// Arguments for the certificate of a client, by the names of the options.
fn pair(options: [&str; 2], certificate: Option<&str>) -> Vec<String> {
    let file = |kind: &str| -> PathBuf {
        cert_path(&format!("{}.{kind}", certificate.unwrap_or_default()))
    };
    match certificate {
        None => Vec::new(),
        Some(_) => [(options[0], "crt"), (options[1], "key")]
            .into_iter()
            .flat_map(|(option, kind)| [option.to_owned(), file(kind).display().to_string()])
            .collect(),
    }
}

/// Asserts that all clients with a certificate are accepted, or are rejected with an alert.
fn assert_result(server: &TlsServer, python: &mut Foreign, certificate: Option<&str>, alert: &str) {
    let what = format!("{certificate:?}, {alert:?}");
    let is_accepted = alert.is_empty();
    let mut call = |kind: &str| {
        python.send(&json!({ "kind": kind, "certificate": certificate }));
        python.step("called")["result"].as_str().expect("a result").to_owned()
    };
    assert_eq!(call("https"), if is_accepted { "200" } else { alert }, "{what}");
    assert_eq!(call("grpc"), if is_accepted { "OK" } else { "UNAVAILABLE" }, "{what}");

    let curl = pair(["--cert", "--key"], certificate);
    let curl: Vec<&str> = curl.iter().map(String::as_str).collect();
    let (code, printed) = server.curl("https", &curl);
    assert_eq!(code == 0, is_accepted, "{what}: curl ends with {code}");
    assert_eq!(printed.contains("healthy"), is_accepted, "{what}: {printed}");

    let openssl = pair(["-cert", "-key"], certificate);
    let openssl: Vec<&str> = openssl.iter().map(String::as_str).collect();
    let printed = server.openssl(&openssl);
    assert_eq!(printed.contains("HTTP/1.0 200 OK"), is_accepted, "{what}: {printed}");
    let words = alert.to_lowercase().replace('_', " ");
    assert!(printed.contains(&words), "{what}: {printed}");
}

#[test]
#[ignore = "needs curl, openssl and Python's gRPC: run tests/run"]
fn client_certificates_are_accepted_by_policy_and_name() {
    let mut server = TlsServer::start("", "", &[]);
    let port = server.server.port.to_string();
    let folder = cert_path("").display().to_string();
    let mut python = Foreign::start("tls_calls.py", &[&port, &folder]);
    python.step("ready");
    for (policy, results) in POLICIES {
        let ca = if policy.contains("Verify") { ca_line() } else { String::new() };
        server.reload(&format!("  client_auth_type: {policy}\n{ca}"));
        for (certificate, alert) in CERTIFICATES.into_iter().zip(results) {
            println!("{policy}, {certificate:?}");
            assert_result(&server, &mut python, certificate, alert);
        }
    }
    let good = GOOD_SANS.map(|name| (name, ""));
    for (name, alert) in good.into_iter().chain(BAD_SANS.map(|name| (name, DENIED))) {
        println!("allowed name {name}");
        server.reload(&format!(
            "  client_auth_type: RequireAndVerifyClientCert\n{}  client_allowed_sans: ['{name}']\n",
            ca_line()
        ));
        assert_result(&server, &mut python, Some("client"), alert);
    }
    python.go_on();
    python.finish();
    let log = server.server.stop();
    for reason in [
        "certificate_missing",
        "unknown_ca",
        "certificate_expired",
        "bad_certificate",
        "san_not_allowed",
    ] {
        assert!(log.contains(&format!("reason={reason}")), "{reason} in {log}");
    }
}

#[test]
#[ignore = "needs curl and openssl: run tests/run"]
fn versions_suites_curves_and_protocols_follow_the_file() {
    let mut server = TlsServer::start("", "", &[]);
    let mut section = "";
    for (lines, arguments, expected) in PARAMETERS {
        if lines != section {
            server.reload(lines);
            section = lines;
        }
        let printed = server.openssl(arguments);
        assert!(printed.contains(expected), "{lines}, {arguments:?}: {printed}");
    }
    let version = ["--http2", "--output", "/dev/null", "--write-out", "%{http_version}"];
    assert_eq!(server.curl("https", &version), (0, "2".to_owned()));
    let (code, printed) = server.curl("http", &[]);
    assert_eq!((code, printed.trim()), (0, "Client sent an HTTP request to an HTTPS server."));
    server.server.stop();

    let server =
        TlsServer::start("", "http_server_config:\n  http2: false\n", &["--no-grpc.enabled"]);
    assert_eq!(server.curl("https", &version), (0, "1.1".to_owned()));
    let printed = server.openssl(&["-alpn", "h2,http/1.1"]);
    assert!(printed.contains("ALPN protocol: http/1.1"), "{printed}");
    let printed = server.openssl(&["-alpn", "h2"]);
    assert!(printed.contains("alert no application protocol"), "{printed}");
    server.server.stop();
}

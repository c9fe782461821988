//! Rotation of certificate, key, CA and users under load, as plain files and by symlink swap.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::remote::WRITE_HEADERS;
use crate::support::tls::{TlsClient, cert_path, certificate};
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

const SUCCESSFUL: &str = "narthex_web_config_last_reload_successful";
const FAILURES: &str = "narthex_web_tls_handshake_failures_total";
const WEB_CONFIG: &str = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n  \
                          client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n\
                          basic_auth_users:\n  \
                          alice: $2b$04$jZ/9xMurPm4HiUmwPyPWbeM759.mXfUACRjJmugWoBbbBAmyXfEVW\n";
/// Another user, for the end of [`WEB_CONFIG`].
const OTHER_USER: &str = "  y: $2y$05$lgQDkCGDL79VT9UTmdQSdOP74qWyLuVrOZCGIvCjvWSoFHcDZc/GC\n";
const CREDENTIALS: &str = "YWxpY2U6d29uZGVy";
const OTHER_CREDENTIALS: &str = "eTp3aHk=";
const NAMES: [&str; 4] = ["web.yml", "tls.crt", "tls.key", "ca.crt"];

/// Way in which files are replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Swap {
    /// Each file is rewritten in place, one after the other.
    Plain,
    /// As in a mounted Kubernetes Secret: names link to a directory, which is replaced as a whole.
    Symlink,
}

/// Contents of the files.
#[derive(Clone)]
struct Files {
    web_config: String,
    certificate: &'static str,
    key: &'static str,
    cas: &'static [&'static str],
}

impl Files {
    /// Returns the contents in the order of [`NAMES`].
    fn contents(&self) -> [String; 4] {
        let read = |name: &str| std::fs::read_to_string(cert_path(name)).expect("a golden file");
        let cas = self.cas.iter().map(|name| read(name)).collect();
        [self.web_config.clone(), read(self.certificate), read(self.key), cas]
    }

    fn install(&self, dir: &Path, swap: Swap, version: usize) {
        let target = match swap {
            Swap::Plain => dir.to_owned(),
            Swap::Symlink => dir.join(format!("version{version}")),
        };
        std::fs::create_dir_all(&target).expect("a directory can be created");
        for (name, text) in NAMES.iter().zip(self.contents()) {
            std::fs::write(target.join(name), text).expect("a file can be written");
        }
        if swap == Swap::Symlink {
            let new = dir.join("data.new");
            symlink(&target, &new).expect("a link can be created");
            std::fs::rename(new, dir.join("data")).expect("a link can be replaced");
        }
    }
}

/// Server whose files are replaced, and a connection that stays open.
struct Rotation {
    temp_dir: tempfile::TempDir,
    swap: Swap,
    version: usize,
    files: Files,
    server: Server,
    client: TlsClient,
    other_client: TlsClient,
}

impl Rotation {
    fn start(swap: Swap) -> Rotation {
        let temp_dir = dir::temp();
        let web_config = WEB_CONFIG.to_owned();
        let (certificate, key) = ("server.crt", "server.key");
        let files = Files { web_config, certificate, key, cas: &["ca.crt"] };
        files.install(temp_dir.path(), swap, 0);
        if swap == Swap::Symlink {
            for name in NAMES {
                symlink(Path::new("data").join(name), temp_dir.path().join(name))
                    .expect("a link can be created");
            }
        }
        let server = Launch::narthex(&temp_dir.path().join("tsdb"))
            .web_config(&temp_dir.path().join("web.yml"))
            .start();
        let [client, other_client] = ["client", "client-other"]
            .map(|name| TlsClient::new(server.port, Some(name)).with_credentials(CREDENTIALS));
        Rotation { temp_dir, swap, version: 0, files, server, client, other_client }
    }

    fn change(&mut self, change: impl FnOnce(&mut Files)) {
        change(&mut self.files);
        self.version += 1;
        self.files.install(self.temp_dir.path(), self.swap, self.version);
    }

    fn metric(&self, name: &str) -> Option<f64> {
        Metrics::of(&self.server.http).sum(name)
    }

    /// Asserts that new connections get this certificate, now or, if it was replaced, soon.
    fn wait_for_certificate(&self, name: &str) {
        let expected = certificate(name);
        wait_until("the new certificate", || {
            let mut connection = self.client.connect().expect("a connection");
            assert_eq!(connection.get("/-/ready").expect("a response"), 200);
            connection.server_certificate() == expected
        });
    }

    /// Makes a change that is invalid, and asserts that nothing but the metric changes.
    fn assert_kept(&mut self, change: impl FnOnce(&mut Files)) {
        let valid = self.files.clone();
        self.change(change);
        wait_until("the failed reload", || self.metric(SUCCESSFUL) == Some(0.0));
        self.wait_for_certificate(valid.certificate);
        assert!(self.other_client.get("/-/ready").is_err());
        self.change(|files| *files = valid);
        wait_until("the successful reload", || self.metric(SUCCESSFUL) == Some(1.0));
    }

    /// Replaces everything once. `check` runs after each step.
    fn run(&mut self, check: &mut dyn FnMut()) {
        self.change(|files| (files.certificate, files.key) = ("server2.crt", "server2.key"));
        self.wait_for_certificate("server2.crt");
        check();
        assert!(self.other_client.get("/-/ready").is_err());
        self.change(|files| files.cas = &["other-ca.crt", "ca.crt"]);
        wait_until("the additional CA", || self.other_client.get("/-/ready").is_ok());
        check();
        self.change(|files| files.cas = &["ca.crt"]);
        wait_until("the removed CA", || self.other_client.get("/-/ready").is_err());
        check();
        self.change(|files| files.web_config += OTHER_USER);
        let other_user = self.client.with_credentials(OTHER_CREDENTIALS);
        let mut open = other_user.connect().expect("a connection");
        wait_until("the added user", || open.get("/-/ready").expect("a response") == 200);
        check();
        self.change(|files| files.web_config = WEB_CONFIG.to_owned());
        wait_until("the removed user", || open.get("/-/ready").expect("a response") == 401);
        check();
        self.assert_kept(|files| files.web_config = "tls_server_config: [".to_owned());
        check();
        self.assert_kept(|files| files.key = "server.key");
        check();
    }
}

/// Writes a sample on each connection of its own until the rotation ends. Returns their number.
fn write_until(client: &TlsClient, series: usize, done: &AtomicBool) -> u64 {
    let headers: String =
        WRITE_HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let series = series.to_string();
    let mut written = 0;
    while !done.load(Ordering::Relaxed) {
        let labels = [("__name__", "rotation"), ("series", series.as_str())];
        let sample = (BEGIN + i64::try_from(written).expect("few samples"), 1.0);
        let body = WriteRequest::one(&labels, &[sample]).body();
        let status = client.connect().expect("a connection").post("/api/v1/write", &headers, &body);
        assert_eq!(status.expect("a response"), 204);
        written += 1;
    }
    written
}

/// Asserts that the management listener, which needs neither certificate nor password, serves
/// health and metrics only.
fn assert_management_serves_nothing_else(server: &Server) {
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        assert_eq!(server.http.get(path).status, 200, "{path}");
        assert_eq!(server.http.post(path, &[], b"").status, 404, "{path}");
    }
    for path in ["/", "//", "/api/v1/status/config", "/api/v1/labels", "/api/v1/write", "/-/quit"] {
        assert_eq!(server.http.get(path).status, 404, "{path}");
        assert_eq!(server.http.post(path, &WRITE_HEADERS, b"").status, 404, "{path}");
    }
}

fn assert_rotation_fails_no_request(swap: Swap) {
    let mut rotation = Rotation::start(swap);
    let mut open = rotation.client.connect().expect("a connection");
    let mut check = || assert_eq!(open.get("/-/ready").expect("a response"), 200);
    check();
    assert_management_serves_nothing_else(&rotation.server);
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let client = rotation.client.clone();
    std::thread::scope(|scope| {
        for series in 0..2 {
            let (client, done, written) = (&client, &done, &written);
            scope.spawn(move || {
                written.fetch_add(write_until(client, series, done), Ordering::Relaxed)
            });
        }
        // Ends the threads of a failed test, too.
        let end = End(&done);
        rotation.run(&mut check);
        drop(end);
    });
    let written = written.into_inner();
    assert!(written > 0);
    let accepted = rotation.metric("prometheus_tsdb_head_samples_appended_total");
    assert_eq!(accepted, Some(written as f64), "every acknowledged sample is stored");

    rotation.change(|files| files.cas = &["other-ca.crt"]);
    wait_until("the replaced CA", || rotation.client.get("/-/ready").is_err());
    assert_eq!(rotation.other_client.get("/-/ready").expect("a response"), 200);
    check();
    let unknown = Metrics::of(&rotation.server.http).sum_where(FAILURES, r#"reason="unknown_ca""#);
    assert_eq!(unknown, rotation.metric(FAILURES), "no other handshake failed");
    let log = rotation.server.stop();
    let failures = log.lines().filter(|line| line.contains("web configuration reload failed"));
    let failures: Vec<_> = failures.collect();
    assert_eq!(failures.len(), 2, "{failures:#?}");
    assert!(failures[0].contains("web.yml:1:"), "{}", failures[0]);
    assert!(failures[1].contains("key_file") && failures[1].contains("does not match"));
    assert!(log.contains("reason=unknown_ca peer=127.0.0.1"), "{log}");
}

/// Sets the flag when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn rotation_of_plain_files_fails_no_request() {
    assert_rotation_fails_no_request(Swap::Plain);
}

#[test]
fn rotation_by_symlink_swap_fails_no_request() {
    assert_rotation_fails_no_request(Swap::Symlink);
}

#[test]
fn invalid_web_config_stops_the_start_and_is_named() {
    let temp_dir = dir::temp();
    let file = temp_dir.path().join("web.yml");
    std::fs::write(&file, WEB_CONFIG).expect("a file can be written");
    let launch = Launch::narthex(&temp_dir.path().join("tsdb")).web_config(&file);
    let (status, log) = launch.run_to_end();
    assert_eq!(status.code(), Some(1), "{log}");
    for part in ["web.yml:2:3: ", "tls_server_config.cert_file", "tls.crt", "No such file"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!temp_dir.path().join("tsdb").exists());
}

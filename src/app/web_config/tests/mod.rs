//! Tests of the load and reload of a web configuration file.
//!
//! | file | contents |
//! |---|---|
//! | `protection` | reloads that are rejected or repeated |

mod protection;

use crate::app::web_config::access::{Access, AccessConfig};
use crate::app::web_config::live::LiveWeb;
use crate::app::web_config::setup::{WebConfigSource, WebSetup};
use crate::app::web_config::watcher::{WatchedConfig, WebConfigWatcher};
use crate::config::flags::grpc::GrpcFlags;
use crate::config::flags::{Cli, Command};
use crate::config::web::DEFAULT_MAX_BCRYPT_COST;
use crate::config::web::contents::WebConfig;
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::server::management::notifications::Notifications;
use crate::server::transport::access::control::{
    AccessRequest, GrpcCredentials, RequiredCredentials,
};
use crate::server::transport::listener::HttpVersions;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const EXPIRY: &str = "narthex_web_tls_certificate_expiry_timestamp_seconds";
const SUCCESSFUL: &str = "narthex_web_config_last_reload_successful";
/// Ends of validity of `server.crt` and `client-expired.crt`.
const LATE: f64 = 4_920_825_600.0;
const EARLY: f64 = 1_767_312_000.0;

const TLS: &str = "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n";

fn cert_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/webconfig/files/certs").join(name)
}

/// Copies certificate and key as `tls.crt` and `tls.key`.
fn copy_certificate(dir: &Path, name: &str) {
    for kind in ["crt", "key"] {
        let from = cert_path(&format!("{name}.{kind}"));
        std::fs::copy(from, dir.join(format!("tls.{kind}"))).unwrap();
    }
}

/// Directory with `web.yml`, and the parts that it sets.
struct Fixture {
    dir: TempDir,
    registry: Registry,
    notifications: Arc<Notifications>,
    access: Access,
    live: LiveWeb,
    watcher: WebConfigWatcher,
}

impl Fixture {
    /// Loads a file next to the certificate `server`.
    fn load(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_certificate(dir.path(), "server");
        Self::load_in(dir, text)
    }

    fn load_in(dir: TempDir, text: &str) -> Self {
        std::fs::write(dir.path().join("web.yml"), text).unwrap();
        let (setup, watched) = WatchedConfig::load(source(dir.path()), grpc_flags(&[])).unwrap();
        Self::with_loaded(dir, setup, watched)
    }

    fn with_loaded(dir: TempDir, setup: WebSetup, watched: WatchedConfig) -> Self {
        let mut registry = Registry::new();
        let access = access(&setup.config, &mut registry);
        let live = LiveWeb::register(setup, access.clone(), &mut registry);
        let notifications = Arc::new(Notifications::register(&mut registry, 1));
        let watcher = WebConfigWatcher::new(watched, live.clone(), notifications.clone());
        Self { dir, registry, notifications, access, live, watcher }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Returns `true` if the password of `alice` admits a request.
    async fn admits(&self, password: &str) -> bool {
        let mut headers = HeaderMap::new();
        let credentials = STANDARD.encode(format!("alice:{password}"));
        headers.insert("authorization", format!("Basic {credentials}").parse().unwrap());
        let request = AccessRequest {
            required: RequiredCredentials::Password,
            headers: &headers,
            client: None,
            has_certificate: false,
        };
        self.access.control.admit(request).await.is_ok()
    }

    fn frame_options(&self) -> Option<String> {
        let mut response = HeaderMap::new();
        self.live.response_headers().add_to(&mut response);
        Some(response.get("x-frame-options")?.to_str().unwrap().to_owned())
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.registry.encode(ExpositionFormat::Classic);
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        value.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Reloads, and asserts success and the end of validity of the served certificate.
    #[track_caller]
    fn assert_reloaded(&mut self, expiry: f64) {
        self.watcher.reload_if_changed();
        assert_eq!((self.metric(SUCCESSFUL), self.metric(EXPIRY)), (1.0, expiry));
        assert!(self.notifications.active().is_empty());
    }

    /// Reloads, and asserts a failure that keeps the served certificate.
    #[track_caller]
    fn assert_kept(&mut self, expiry: f64) {
        self.watcher.reload_if_changed();
        assert_eq!((self.metric(SUCCESSFUL), self.metric(EXPIRY)), (0.0, expiry));
        assert_eq!(self.notifications.active().len(), 1);
    }
}

fn source(dir: &Path) -> WebConfigSource {
    WebConfigSource { path: dir.join("web.yml"), max_bcrypt_cost: DEFAULT_MAX_BCRYPT_COST }
}

fn grpc_flags(flags: &[&str]) -> GrpcFlags {
    let Command::Serve(flags) = Cli::parse_from(["narthex", "serve"].iter().chain(flags)).command
    else {
        panic!("the command is serve");
    };
    flags.grpc
}

fn access(config: &WebConfig, registry: &mut Registry) -> Access {
    let settings = AccessConfig {
        password_checks: 1,
        is_grpc_enabled: true,
        grpc: GrpcCredentials::Basic,
        open_probes: false,
    };
    Access::build(&settings, config.rate_limit, registry).unwrap()
}

#[test]
fn changed_certificate_is_served_and_broken_one_is_not() {
    let mut fixture = Fixture::load(TLS);
    fixture.assert_reloaded(LATE);
    copy_certificate(fixture.dir.path(), "client-expired");
    fixture.assert_reloaded(EARLY);
    std::fs::copy(cert_path("server.crt"), fixture.dir.path().join("tls.crt")).unwrap();
    fixture.assert_kept(EARLY);
    std::fs::copy(cert_path("server.key"), fixture.dir.path().join("tls.key")).unwrap();
    fixture.assert_reloaded(LATE);
}

#[test]
fn invalid_or_missing_file_changes_nothing_until_it_is_valid() {
    let mut fixture = Fixture::load(TLS);
    fixture.write("web.yml", "tls_server_config: [");
    fixture.assert_kept(LATE);
    // A missing certificate is watched, although the file that names it never was in use.
    fixture.write("web.yml", &TLS.replace("tls.", "new/tls."));
    fixture.assert_kept(LATE);
    std::fs::create_dir(fixture.dir.path().join("new")).unwrap();
    copy_certificate(&fixture.dir.path().join("new"), "client-expired");
    fixture.assert_reloaded(EARLY);
    std::fs::remove_file(fixture.dir.path().join("web.yml")).unwrap();
    fixture.assert_kept(EARLY);
    fixture.write("web.yml", TLS);
    fixture.assert_reloaded(LATE);
}

#[test]
fn symlink_swap_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    for (version, name) in [("1", "server"), ("2", "client-expired")] {
        let version = dir.path().join(version);
        std::fs::create_dir(&version).unwrap();
        copy_certificate(&version, name);
    }
    // As in a mounted Secret: names link to a directory that is replaced as a whole.
    symlink("1", dir.path().join("data")).unwrap();
    for kind in ["crt", "key"] {
        symlink(format!("data/tls.{kind}"), dir.path().join(format!("tls.{kind}"))).unwrap();
    }
    let mut fixture = Fixture::load_in(dir, TLS);
    assert_eq!(fixture.metric(EXPIRY), LATE);
    let dir = fixture.dir.path();
    symlink("2", dir.join("new-data")).unwrap();
    std::fs::rename(dir.join("new-data"), dir.join("data")).unwrap();
    fixture.assert_reloaded(EARLY);
}

#[test]
fn change_is_detected_while_files_keep_changing() {
    let mut fixture = Fixture::load(TLS);
    let path = fixture.dir.path().join("web.yml");
    let writer = std::thread::spawn(move || {
        // Truncates the file for a moment each time.
        for _ in 0..20 {
            std::fs::write(&path, "").unwrap();
            std::thread::sleep(Duration::from_millis(5));
            std::fs::write(&path, TLS.replace("tls.key", "other.key")).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::write(&path, TLS).unwrap();
    });
    while !writer.is_finished() {
        fixture.watcher.reload_if_changed();
    }
    writer.join().unwrap();
    copy_certificate(fixture.dir.path(), "client-expired");
    fixture.assert_reloaded(EARLY);
}

#[test]
fn settings_of_the_start_are_kept_and_named() {
    let fixture = Fixture::load(TLS);
    let apply = |text: &str| {
        fixture.write("web.yml", text);
        let setup = source(fixture.dir.path()).load(Some(HttpVersions::All)).unwrap();
        fixture.live.apply(setup)
    };
    assert_eq!(apply(TLS), [""; 0]);
    assert_eq!(
        apply(&format!("{TLS}http_server_config:\n  http2: false\n")),
        ["http_server_config.http2"]
    );
    assert_eq!(apply(&format!("{TLS}rate_limit:\n  interval: 1s\n  burst: 1\n")), ["rate_limit"]);
    assert_eq!(fixture.live.http_versions(), HttpVersions::All);
}

#[test]
fn invalid_file_of_the_start_is_named_with_position() {
    let error = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        copy_certificate(dir.path(), "server");
        std::fs::copy(cert_path("server2.key"), dir.path().join("other.key")).unwrap();
        std::fs::write(dir.path().join("web.yml"), text).unwrap();
        let error =
            WatchedConfig::load(source(dir.path()), grpc_flags(&[])).unwrap_err().to_string();
        error.replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(
        error(&TLS.replace("tls.key", "other.key")),
        "web.yml:3:3: cannot use tls_server_config.key_file other.key: \
         the private key does not match the certificate"
    );
    assert!(error("tls_server_config:\n  cert: x\n").starts_with("web.yml:2:"));
    assert!(error("http_server_config:\n  wrong: x\n").starts_with("web.yml:2:"));
}

fn users(password: &str) -> String {
    let hash = bcrypt::hash_with_salt(password, 4, [5; 16]).unwrap();
    format!("basic_auth_users:\n  alice: {hash}\n")
}

#[tokio::test]
async fn users_and_headers_are_replaced_with_the_file() {
    const FRAMES: &str = "http_server_config:\n  headers:\n    X-Frame-Options: ";
    let mut fixture = Fixture::load("");
    assert!(fixture.admits("anything").await);
    assert_eq!(fixture.frame_options(), None);
    for (password, frames) in [("one", "deny"), ("two", "sameorigin")] {
        fixture.write("web.yml", &format!("{}{FRAMES}{frames}\n", users(password)));
        fixture.watcher.reload_if_changed();
        assert!(fixture.admits(password).await && !fixture.admits("anything").await);
        assert_eq!(fixture.frame_options().as_deref(), Some(frames));
    }
    // Nothing of a file that is invalid somewhere is used.
    fixture.write("web.yml", &format!("{}rate_limit: 1\n", users("three")));
    fixture.watcher.reload_if_changed();
    assert_eq!(fixture.metric(SUCCESSFUL), 0.0);
    assert!(fixture.admits("two").await && !fixture.admits("three").await);
    assert_eq!(fixture.frame_options().as_deref(), Some("sameorigin"));
    fixture.write("web.yml", "basic_auth_users: {}\n");
    fixture.watcher.reload_if_changed();
    assert!(fixture.admits("anything").await);
    assert_eq!(fixture.frame_options(), None);
}

#[test]
fn file_without_a_way_for_grpc_is_an_error_that_names_both() {
    let dir = tempfile::tempdir().unwrap();
    copy_certificate(dir.path(), "server");
    std::fs::copy(cert_path("ca.crt"), dir.path().join("ca.crt")).unwrap();
    let load = |text: &str, flags: &[&str], versions: Option<HttpVersions>| {
        std::fs::write(dir.path().join("web.yml"), text).unwrap();
        let loaded = source(dir.path()).load_for_server(versions, &grpc_flags(flags));
        loaded.map(drop).map_err(|error| error.to_string())
    };
    let no_http2 = format!("{TLS}http_server_config:\n  http2: false\n");
    let error = load(&no_http2, &[], None).unwrap_err();
    assert!(error.contains("web.yml:5:3: ") && error.contains("http2"), "{error}");
    assert!(error.contains("--no-grpc.enabled"), "{error}");
    assert_eq!(load(&no_http2, &["--no-grpc.enabled"], None), Ok(()));
    assert_eq!(load("http_server_config:\n  http2: false\n", &[], None), Ok(()));
    // A reload is rejected, too, although HTTP/2 stays on: the next start would fail.
    assert_eq!(load(&no_http2, &[], Some(HttpVersions::All)), Err(error));

    let cert = ["--grpc.auth=cert"];
    let policy = |name: &str| {
        let ca = if name.contains("Verify") { "  client_ca_file: ca.crt\n" } else { "" };
        format!("{TLS}{ca}  client_auth_type: {name}\n")
    };
    for text in ["", TLS, &policy("NoClientCert"), &policy("RequireAnyClientCert")] {
        for versions in [None, Some(HttpVersions::All)] {
            let error = load(text, &cert, versions).unwrap_err();
            assert!(error.contains("--grpc.auth=cert"), "{error}");
            assert!(error.contains("client_auth_type"), "{error}");
        }
        assert_eq!(load(text, &[cert[0], "--no-grpc.enabled"], None), Ok(()));
    }
    for name in ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] {
        assert_eq!(load(&policy(name), &cert, None), Ok(()), "{name}");
    }
    let error = load(&policy("RequireAnyClientCert"), &cert, None).unwrap_err();
    assert!(error.contains("web.yml:4:3: "), "{error}");
}

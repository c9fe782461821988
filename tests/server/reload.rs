//! Reload and quit requests to a running server while senders write.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::data::{self, BEGIN, HOUR};
use crate::support::dir;
use crate::support::launch::Launch;
use crate::support::metrics::Metrics;
use crate::support::wait::wait_until;

const SUCCESSFUL: &str = "prometheus_config_last_reload_successful";
const SECONDS: &str = "prometheus_tsdb_retention_limit_seconds";

fn configure(file: &Path, retention: &str) {
    std::fs::write(file, format!("storage:\n  tsdb:\n    retention:\n      {retention}\n"))
        .expect("a writable file");
}

fn new_paths() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let temp_dir = dir::temp();
    let (data, file) = (temp_dir.path().join("data"), temp_dir.path().join("narthex.yml"));
    (temp_dir, data, file)
}

#[test]
fn sighup_reloads_and_invalid_file_changes_nothing() {
    let (_temp_dir, data, file) = new_paths();
    configure(&file, "time: 400d");
    let server = Launch::narthex(&data).flag(format!("--config.file={}", file.display())).start();
    let value = |name: &str| Metrics::of(&server.http).sum(name);
    assert_eq!(value(SECONDS), Some(400.0 * 86_400.0));
    let (remote, done) = (server.remote(), AtomicBool::new(false));
    let sent = data::assorted(HOUR);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            remote.write_all(&sent);
            done.store(true, Ordering::SeqCst);
        });
        for round in 0..20 {
            configure(&file, &format!("time: {}d", 500 + round));
            server.program.signal("HUP");
            wait_until("the new retention", || {
                value(SECONDS) == Some(f64::from(500 + round) * 86_400.0)
            });
            assert_eq!(value(SUCCESSFUL), Some(1.0));
            configure(&file, "time: soon");
            server.program.signal("HUP");
            wait_until("the report of the invalid file", || value(SUCCESSFUL) == Some(0.0));
            assert_eq!(value(SECONDS), Some(f64::from(500 + round) * 86_400.0));
        }
        writing.join().expect("all writes succeed");
    });
    assert!(done.load(Ordering::SeqCst));
    server.assert_holds(&sent, "after reloads");
    let log = server.stop();
    assert!(log.contains("storage.tsdb.retention.time") && log.contains("narthex.yml:4"), "{log}");
}

#[test]
fn reload_request_needs_lifecycle_flag_and_reports_outcome() {
    let (_temp_dir, data, file) = new_paths();
    configure(&file, "time: 400d");
    let launch = || Launch::narthex(&data).flag(format!("--config.file={}", file.display()));
    let server = launch().start();
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 403);
    assert_eq!(server.http.get("/-/reload").status, 405);
    server.stop();

    let server = launch().flag("--web.enable-lifecycle").start();
    configure(&file, "size: 7GB");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 200);
    assert_eq!(
        Metrics::of(&server.http).sum("prometheus_tsdb_retention_limit_bytes"),
        Some(7.0 * f64::from(1 << 30))
    );
    assert_eq!(
        Metrics::of(&server.http).sum(SECONDS),
        Some(0.0),
        "the section replaces the previous one"
    );
    std::fs::remove_file(&file).expect("a removable file");
    let response = server.http.post("/-/reload", &[], b"");
    assert_eq!(response.status, 500);
    assert!(response.text().contains("narthex.yml"), "{}", response.text());
    server.stop();
}

#[test]
fn quit_request_shuts_down_cleanly_if_enabled() {
    let (_temp_dir, data, _) = new_paths();
    let mut server = Launch::narthex(&data).flag("--web.enable-lifecycle").start();
    let sent = data::assorted(HOUR / 4);
    server.remote().write_all(&sent);
    let response = server.http.post("/-/quit", &[], b"");
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "Requesting termination... Goodbye!")
    );
    let status = server.program.wait_exit();
    assert!(status.success(), "{status}");
    let server = Launch::narthex(&data).start();
    server.assert_holds(&sent, "after a quit request");
    assert!(sent.iter().all(|(_, t, _)| t >= BEGIN));
    server.stop();
}

#[test]
fn invalid_file_stops_start_and_is_named_with_line() {
    let (_temp_dir, data, file) = new_paths();
    configure(&file, "percentage: 101");
    let (status, log) =
        Launch::narthex(&data).flag(format!("--config.file={}", file.display())).run_to_end();
    assert!(
        !status.success() && log.contains("narthex.yml:4") && log.contains("percentage"),
        "{log}"
    );
}

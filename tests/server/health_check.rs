//! `narthex check healthy`, `ready` and `roundtrip`: output, exit codes, credentials.

use std::path::Path;

use crate::support::checked::Checked;
use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::{Launch, free_port};
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

/// Exit code and output of a check.
fn check(command: &str, url: &str, flags: &[&str]) -> (Option<i32>, String) {
    let arguments = [&[command, "--url", url][..], flags].concat();
    let Checked { code, stdout, stderr } = Checked::run(Path::new("/"), &arguments);
    (code, stdout + &stderr)
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a path in UTF-8")
}

#[test]
fn replaying_server_is_healthy_and_not_ready() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data).start();
    let request = WriteRequest::one(&[("__name__", "a")], &[(BEGIN, 1.0)]);
    server.remote().write_ok(&request);
    server.kill();
    let marker = temp_dir.path().join("marker");
    let pause = format!("replay.record=pause:{}", marker.display());
    let mut server = Launch::narthex(&data).env("NARTHEX_FAULT_POINTS", pause).spawn();
    wait_until("the paused replay", || marker.exists());
    let url = format!("http://127.0.0.1:{}", server.port);
    wait_until("a response", || check("healthy", &url, &[]).0 != Some(2));
    assert_eq!(check("healthy", &url, &[]), (Some(0), "SUCCESS: server is healthy\n".to_owned()));
    let (code, text) = check("ready", &url, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FAILED: server is not ready: 503 Service Unavailable: "), "{text}");
    std::fs::remove_file(&marker).expect("the marker can be removed");
    server.wait_ready();
    assert_eq!(check("ready", &url, &[]), (Some(0), "SUCCESS: server is ready\n".to_owned()));
    assert_eq!(check("roundtrip", &url, &[]).0, Some(0));
    server.stop();
}

#[test]
fn read_only_server_is_healthy_and_the_reason_is_printed() {
    let temp_dir = dir::temp();
    // No disk has so much free space.
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.tsdb.disk-reserve=1000TB")
        .start();
    let url = format!("http://127.0.0.1:{}", server.port);
    let (code, text) = check("healthy", &url, &[]);
    assert_eq!(code, Some(0), "{text}");
    let reason = "SUCCESS: server is healthy, but read-only: low disk space: ";
    assert!(text.starts_with(reason), "{text}");
    assert!(text.contains("the reserve is 1099511627776000 bytes"), "{text}");
    assert_eq!(check("ready", &url, &[]), (Some(0), "SUCCESS: server is ready\n".to_owned()));
    server.stop();
}

#[test]
fn management_listener_has_no_prefix_and_stores_nothing() {
    let temp_dir = dir::temp();
    let port = free_port();
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag(format!("--web.management-listen-address=127.0.0.1:{port}"))
        .flag("--web.route-prefix=/narthex")
        .ready_path("/narthex/-/ready")
        .start();
    let management = format!("http://127.0.0.1:{port}");
    for command in ["healthy", "ready"] {
        assert_eq!(check(command, &management, &[]).0, Some(0));
        let (code, text) = check(command, &format!("{management}/narthex"), &[]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("404 Not Found"), "{text}");
    }
    let (code, text) = check("roundtrip", &management, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FAILED: cannot write a sample: 404 Not Found"), "{text}");
    let web = format!("http://127.0.0.1:{}/narthex", server.port);
    assert_eq!(check("roundtrip", &web, &[]).0, Some(0));
    server.stop();
}

#[test]
fn server_that_does_not_respond_is_exit_code_2() {
    let url = format!("http://127.0.0.1:{}", free_port());
    for (url, reason) in [(url.as_str(), "connection refused"), ("localhost", "invalid URL")] {
        let (code, text) = check("healthy", url, &[]);
        assert_eq!(code, Some(2), "{text}");
        assert!(
            text.starts_with("ERROR: ") && text.to_lowercase().contains(&reason.to_lowercase())
        );
    }
    let missing = "--http.config.file=/nonexistent/client.yml";
    let (code, text) = check("ready", url.as_str(), &[missing]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("/nonexistent/client.yml"), "{text}");
}

#[test]
fn credentials_and_route_prefix_are_used() {
    let temp_dir = dir::temp();
    let write = |name: &str, text: &str| {
        let path = temp_dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let hash = bcrypt::hash("wonderland", 4).expect("a hash");
    let web = write("web.yml", &format!("basic_auth_users: {{alice: '{hash}'}}\n"));
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .web_config(&web)
        .flag("--web.route-prefix=/narthex")
        .start();
    let url = format!("http://127.0.0.1:{}/narthex", server.port);
    let (code, text) = check("ready", &url, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FAILED: server is not ready: 401 Unauthorized"), "{text}");
    let password = write("password", "wonderland\n");
    let client = write("client.yml", "basic_auth: {username: alice, password_file: password}\n");
    assert_eq!(check("ready", &url, &["--http.config.file", path(&client)]).0, Some(0));
    let flags = ["--username=alice", "--password-file", path(&password)];
    assert_eq!(check("ready", &url, &flags).0, Some(0));
    let read = (Some(0), "SUCCESS: the written sample was read\n".to_owned());
    assert_eq!(check("roundtrip", &url, &flags), read);
    let (code, text) = check("roundtrip", &url, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FAILED: cannot write a sample: 401 Unauthorized"), "{text}");
    server.stop();
}

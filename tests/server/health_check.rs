//! `narthex check healthy` and `narthex check ready`: answers, exit codes, credentials.

use std::path::Path;
use std::process::Command;

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::{Launch, free_port};
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

/// Exit code and output of a check.
fn check(question: &str, url: &str, config: Option<&Path>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narthex"));
    command.args(["check", question, "--url", url]);
    if let Some(path) = config {
        command.arg("--http.config.file").arg(path);
    }
    let output = command.output().expect("narthex runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("narthex prints UTF-8"))
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
    wait_until("an answer", || check("healthy", &url, None).0 != Some(2));
    assert_eq!(check("healthy", &url, None), (Some(0), "SUCCESS: server is healthy\n".to_owned()));
    let (code, text) = check("ready", &url, None);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FAILED: server is not ready: 503 Service Unavailable: "), "{text}");
    std::fs::remove_file(&marker).expect("the marker can be removed");
    server.wait_ready();
    assert_eq!(check("ready", &url, None), (Some(0), "SUCCESS: server is ready\n".to_owned()));
    server.stop();
}

#[test]
fn server_that_does_not_answer_is_exit_code_2() {
    let url = format!("http://127.0.0.1:{}", free_port());
    for (url, reason) in [(url.as_str(), "connection refused"), ("localhost", "invalid URL")] {
        let (code, text) = check("healthy", url, None);
        assert_eq!(code, Some(2), "{text}");
        assert!(
            text.starts_with("ERROR: ") && text.to_lowercase().contains(&reason.to_lowercase())
        );
    }
    let missing = Path::new("/nonexistent/client.yml");
    let (code, text) = check("ready", url.as_str(), Some(missing));
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
    let (code, text) = check("ready", &url, None);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FAILED: server is not ready: 401 Unauthorized"), "{text}");
    write("password", "wonderland\n");
    let client = write("client.yml", "basic_auth: {username: alice, password_file: password}\n");
    assert_eq!(check("ready", &url, Some(&client)).0, Some(0));
    server.stop();
}

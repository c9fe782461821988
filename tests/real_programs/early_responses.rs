//! Responses to requests that are rejected before their body was read: curl, raw sockets and stock
//! clients read each of them, over HTTP/1.1, HTTP/2 and gRPC, with and without TLS.

use std::path::{Path, PathBuf};

use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::wait::wait_until;

/// Number of attempts of each combination, and of those that differ from others only in the
/// handler.
const ATTEMPTS: u64 = 100;
const FEW_ATTEMPTS: u64 = 10;

/// Writes a self-signed certificate, which is its own CA, and returns its path and the section of
/// the web configuration file that names it.
fn write_certificate(dir: &Path) -> (PathBuf, &'static str) {
    let names = ["127.0.0.1", "*.narthex.test"].map(str::to_owned).to_vec();
    let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let certificate = dir.join("server.crt");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    write(&certificate, &certified.cert.pem());
    write(&dir.join("server.key"), &certified.signing_key.serialize_pem());
    (certificate, "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
}

/// Returns the section of the web configuration file with a user.
fn users() -> String {
    let hash = bcrypt::hash("password", 4).expect("a hash");
    format!("basic_auth_users:\n  user: {hash}\n")
}

/// Starts a server and waits on its management listener until it is ready.
fn start(launch: Launch) -> Server {
    let management = Http::new(free_port());
    let server = launch
        // The clients keep many connections until their end.
        .flag("--web.max-connections=4096")
        .flag(format!("--web.management-listen-address=127.0.0.1:{}", management.port()))
        .spawn();
    wait_until("a server to be ready", || {
        management.try_get("/-/ready").is_ok_and(|response| response.status == 200)
    });
    server
}

/// Runs the clients against servers of both kinds.
fn assert_responses_are_read(with_tls: bool) {
    for (kind, flags, combinations, combinations_of_few) in [
        (
            "limits",
            &[
                "--storage.remote.write-max-body-size=64KB",
                "--storage.remote.write-max-decoded-size=128KB",
            ][..],
            66,
            25,
        ),
        // Bodies get half of this memory.
        ("overload", &["--web.max-bytes-in-flight=64KB"], 10, 0),
        ("credentials", &[], 24, 10),
    ] {
        let temp_dir = dir::temp();
        let mut launch = Launch::narthex(&temp_dir.path().join("data"));
        launch = flags.iter().fold(launch, |launch, flag| launch.flag(*flag));
        let (mut ca, mut web_config) = (None, String::new());
        if with_tls {
            let (certificate, section) = write_certificate(temp_dir.path());
            web_config.push_str(section);
            ca = Some(certificate.display().to_string());
        }
        if kind == "credentials" {
            web_config.push_str(&users());
        }
        if !web_config.is_empty() {
            let path = temp_dir.path().join("web.yml");
            std::fs::write(&path, web_config).expect("a file");
            launch = launch.flag(format!("--web.config.file={}", path.display()));
        }
        let server = start(launch);
        let port = server.http.port().to_string();
        let attempts = ATTEMPTS.to_string();
        let arguments: Vec<&str> =
            [&port, kind, &attempts].into_iter().chain(ca.as_deref()).collect();
        let mut clients = Foreign::start("early_response.py", &arguments);
        let report = clients.step("read");
        clients.finish();
        let counts = report["counts"].as_array().expect("the attempts of each combination");
        let with =
            |attempts: u64| counts.iter().filter(|count| count.as_u64() == Some(attempts)).count();
        assert_eq!(
            (with(ATTEMPTS), with(FEW_ATTEMPTS), counts.len()),
            (combinations, combinations_of_few, combinations + combinations_of_few),
            "{kind}: {report}"
        );
        server.stop();
    }
}

#[test]
#[ignore = "needs Python's gRPC and curl: run tests/run"]
fn early_responses_are_read_by_every_client() {
    assert_responses_are_read(false);
}

#[test]
#[ignore = "needs Python's gRPC and curl: run tests/run"]
fn early_responses_are_read_by_every_client_over_tls() {
    assert_responses_are_read(true);
}

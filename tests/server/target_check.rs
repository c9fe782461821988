//! `narthex check target`: output, exit codes, and no password on any of them.

use crate::support::checked::Checked;
use crate::support::dir;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

const BODY: &str = "# TYPE requests counter\nrequests{code=\"200\"} 5\nnoise 1\n";

fn check(dir: &Path, arguments: &[&str]) -> Checked {
    Checked::run(dir, &[&["target"][..], arguments].concat())
}

/// Serves a body to one request at a time, until the process ends. `/secret` needs a password.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket can be bound");
    let address = listener.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection can be accepted");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
            let is_admitted =
                !request.starts_with("get /secret") || request.contains("authorization: basic ");
            let status = if is_admitted { "200 OK" } else { "401 Unauthorized" };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                BODY.len()
            );
            stream.write_all((head + BODY).as_bytes()).expect("a response can be sent");
        }
    });
    address
}

#[test]
fn url_and_job_are_scraped_and_the_exit_code_says_so() {
    let (dir, address) = (dir::temp(), serve());
    let checked = check(dir.path(), &[&format!("http://{address}/metrics")]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{}", checked.stdout);
    let series = format!("store: counter requests{{code=\"200\", instance=\"{address}\"");
    assert!(checked.stdout.contains(&series), "{}", checked.stdout);

    let config = format!(
        "scrape_configs:\n- job_name: node\n  sample_limit: 1\n  static_configs:\n  \
         - targets: ['{address}']\n"
    );
    std::fs::write(dir.path().join("narthex.yml"), config).expect("a file can be written");
    let job = ["--job", "node", "--config.file", "narthex.yml"];
    let checked = check(dir.path(), &job);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(1), ""), "{}", checked.stdout);
    assert!(
        checked.stdout.contains(
            "health: down\nerror: sample limit exceeded (2 samples after relabeling, \
             sample_limit: 1)\n"
        ),
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains("limit: sample_limit 2 of 1 (200%)\n"), "{}", checked.stdout);
}

#[test]
fn unusable_arguments_are_errors_with_a_reason() {
    let dir = dir::temp();
    for (arguments, reason) in [
        (vec!["localhost:9100"], "ERROR: invalid URL of the target: "),
        (vec!["--job=a", "--config.file=missing.yml"], "ERROR: cannot read"),
    ] {
        let checked = check(dir.path(), &arguments);
        assert_eq!((checked.code, checked.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(checked.stderr.starts_with(reason), "{}", checked.stderr);
    }
    assert_eq!(check(dir.path(), &[]).code, Some(2), "a URL or a job is missing");
}

#[test]
fn passwords_are_not_printed() {
    let (dir, address) = (dir::temp(), serve());
    let url = format!("http://user:hunter2@{address}/secret");
    let refused = check(dir.path(), &[&format!("http://{address}/secret")]);
    assert!(
        refused.stdout.contains("error: server returned HTTP status 401"),
        "{}",
        refused.stdout
    );
    let admitted = check(dir.path(), &[&url]);
    assert_eq!(admitted.code, Some(0), "{}{}", admitted.stdout, admitted.stderr);
    // Nothing listens on the port of a listener that is closed.
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = closed.expect("a socket can be bound");
    let unreachable = check(dir.path(), &[&format!("http://user:hunter2@{closed}/secret")]);
    assert_eq!(unreachable.code, Some(1));
    for checked in [admitted, unreachable] {
        let printed = checked.stdout + &checked.stderr;
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("http://user:xxxxx@"), "{printed}");
    }
}

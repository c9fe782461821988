//! Users with curl, Python's http.client and stock gRPC, over plain connections and TLS.

use std::process::Command;

use serde_json::json;

use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::launch::Launch;
use crate::support::tls::cert_path;

/// Users with hashes of rising cost, made by Python's bcrypt. All have the same password.
const USERS: &str = "basic_auth_users:
  four: $2b$04$ZiGlDAGZWmLlyc/b0VKcp.pksuf1cqeG28ZzIkTE31SBPat7E9Z4y
  ten: $2a$10$HLyW37lwrhfeC3t9HvyO9uhhAHCVa/.pelIeQTTETOiRme9JiXEaG
  twelve: $2y$12$2PhvPATKuaD0gniIZ2cBHuLDZtV5amgL9aQsXS64EMIgTp8krikhC
  fourteen: $2b$14$Pas3bzDJ33xBFKyoSQRD6OVWAjiMRm/tv/5fDxY86zTufqpXn.0ju
";
const PASSWORD: &str = "ten:ü";

/// Credentials, and whether they are right.
const CALLS: [(Option<(&str, &str)>, bool); 12] = [
    (Some(("four", PASSWORD)), true),
    (Some(("ten", PASSWORD)), true),
    (Some(("twelve", PASSWORD)), true),
    (Some(("fourteen", PASSWORD)), true),
    (None, false),
    (Some(("four", "ten:u")), false),
    (Some(("four", "ten")), false),
    (Some(("four", "")), false),
    (Some(("FOUR", PASSWORD)), false),
    (Some(("nobody", PASSWORD)), false),
    (Some(("", "")), false),
    // On the wire the same as the first one.
    (Some(("four:ten", "ü")), true),
];

/// Returns the status that curl gets.
fn curl(url: &str, credentials: Option<(&str, &str)>) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*", "--output", "/dev/null"]);
    command.args(["--write-out", "%{http_code}", "--cacert"]).arg(cert_path("ca.crt"));
    if let Some((user, password)) = credentials {
        command.arg("--user").arg(format!("{user}:{password}"));
    }
    let output = command.arg(url).output().expect("curl runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("curl prints UTF-8")
}

#[test]
#[ignore = "needs curl and Python's gRPC: run tests/run"]
fn right_passwords_are_accepted_by_every_client() {
    for has_tls in [false, true] {
        let temp_dir = dir::temp();
        let file = temp_dir.path().join("web.yml");
        let (certificate, key) = (cert_path("server.crt"), cert_path("server.key"));
        let tls = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n",
            certificate.display(),
            key.display()
        );
        let tls = if has_tls { tls } else { String::new() };
        std::fs::write(&file, format!("{USERS}{tls}")).expect("a file can be written");
        let data = temp_dir.path().join("data");
        let server = Launch::narthex(&data).web_config(&file).flag("--log.level=debug").start();
        let port = server.port.to_string();
        let ca = cert_path("ca.crt").display().to_string();
        let ca = if has_tls { ca.as_str() } else { "-" };
        let mut python = Foreign::start("credentials.py", &[&port, ca]);
        python.step("ready");
        let scheme = if has_tls { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{port}/metrics");
        for (credentials, is_right) in CALLS {
            let what = format!("{scheme}, {credentials:?}");
            let mut call = |kind: &str| {
                let (user, password) = credentials.unzip();
                python.send(&json!({ "kind": kind, "user": user, "password": password }));
                python.step("called")["result"].as_str().expect("a result").to_owned()
            };
            let expected = if is_right { "200" } else { "401" };
            assert_eq!(call("http"), expected, "{what}");
            assert_eq!(curl(&url, credentials), expected, "{what}");
            assert_eq!(call("grpc"), if is_right { "OK" } else { "UNAUTHENTICATED" }, "{what}");
        }
        python.go_on();
        python.finish();
        let log = server.stop();
        for secret in [PASSWORD, "$2b$", "$2a$", "$2y$"] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}

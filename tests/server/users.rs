//! Users, response headers and the rate limit of a web configuration file, compared with the
//! recordings of Prometheus 3.14 where it has them.

use crate::support::dir;
use crate::support::http::{Answer, Http};
use crate::support::launch::{Launch, Server};
use crate::support::wait::wait_until;
use crate::support::web_config::{WebConfigFiles, golden_dir};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;

/// Golden files without TLS that set users, headers or a rate limit. narthex rejects the others.
const FILES: [&str; 12] = [
    "users.yml",
    "users-2x.yml",
    "users-empty-name.yml",
    "users-none.yml",
    "headers.yml",
    "headers-with-users.yml",
    "header-empty.yml",
    "rate.yml",
    "rate-with-users.yml",
    "rate-number.yml",
    "rate-only-burst.yml",
    "rate-zero.yml",
];
/// Headers that are equal to those of Prometheus, in lower case.
const HEADERS: [&str; 6] = [
    "www-authenticate",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
    "content-security-policy",
];

fn start(files: &WebConfigFiles, name: &str) -> (Server, Http) {
    let data = files.path().join(format!("{name}.data"));
    let launch = Launch::narthex(&data).web_config(&files.path().join(name));
    let server = launch.flag("--log.level=debug").start();
    let http = Http::new(server.port);
    (server, http)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn get(http: &Http, path: &str, authorization: Option<&str>) -> Answer {
    let header = authorization.map(|value| ("authorization", value));
    let headers: Vec<_> = header.into_iter().collect();
    http.send("GET", path, &headers, None).unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// Returns a header of a recorded response.
fn recorded<'a>(probe: &'a Value, name: &str) -> Option<&'a str> {
    let headers = probe["headers"].as_object().expect("headers");
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.and_then(|(_, value)| value.as_str())
}

#[test]
fn responses_equal_those_of_prometheus_and_no_secret_is_logged() {
    let files = WebConfigFiles::golden();
    let file = File::open(golden_dir().join("verdicts.json.gz")).expect("there are recordings");
    let recordings: Value =
        serde_json::from_reader(GzDecoder::new(file)).expect("the recordings are JSON");
    let mut compared = 0;
    let mut secrets = vec!["fakepassword".to_owned()];
    let users = std::fs::read_to_string(golden_dir().join("users.json")).expect("users");
    let users: Value = serde_json::from_str(&users).expect("the users are JSON");
    for (name, user) in users.as_object().expect("users by name") {
        let text = |key: &str| user[key].as_str().expect("a string").to_owned();
        secrets.extend([text("hash"), STANDARD.encode(format!("{name}:{}", text("password")))]);
        // Shorter ones are parts of other words.
        secrets.extend(Some(text("password")).filter(|password| password.len() > 3));
    }
    for name in FILES {
        let (server, http) = start(&files, name);
        let probes = recordings["files"][name]["live"].as_array().expect("probes");
        for probe in probes {
            let path = probe["path"].as_str().unwrap_or("/-/healthy");
            let authorization = match (probe["raw_auth"].as_str(), probe["user"].as_str()) {
                (Some(raw), _) => Some(raw.to_owned()),
                (None, Some(user)) => {
                    Some(basic(user, probe["password"].as_str().expect("a password")))
                }
                (None, None) => None,
            };
            let answer = get(&http, path, authorization.as_deref());
            let what = format!("{name}: {probe}: {answer:?}");
            assert_eq!(Some(u64::from(answer.status)), probe["status"].as_u64(), "{what}");
            for header in HEADERS {
                assert_eq!(answer.header(header), recorded(probe, header), "{header}: {what}");
            }
            if [401, 429].contains(&answer.status) {
                assert_eq!(Some(answer.text().as_str()), probe["body"].as_str(), "{what}");
                assert_eq!(answer.header("content-type"), recorded(probe, "content-type"));
            }
            compared += 1;
        }
        let log = server.stop();
        for secret in &secrets {
            assert!(!log.contains(secret), "{name}: {secret} in {log}");
        }
    }
    assert!(compared > 40, "only {compared} responses were compared");
}

#[test]
fn headers_are_on_errors_and_beyond_the_connection_limit() {
    let temp_dir = dir::temp();
    let file = temp_dir.path().join("web.yml");
    std::fs::write(&file, "http_server_config:\n  headers: {X-Frame-Options: deny}\n").unwrap();
    let launch = Launch::narthex(&temp_dir.path().join("data")).web_config(&file);
    let server = launch.flag("--web.max-connections=1").start();
    let first = Http::without_redirects(server.port);
    for (path, status) in
        [("/-/healthy", 200), ("/nothing", 404), ("//", 307), ("/api/v1/series", 400)]
    {
        let answer = get(&first, path, None);
        assert_eq!((answer.status, answer.header("x-frame-options")), (status, Some("deny")));
    }
    // The first client keeps its connection open.
    let answer = get(&Http::new(server.port), "/-/healthy", None);
    assert_eq!((answer.status, answer.header("x-frame-options")), (503, Some("deny")));
    server.stop();
}

#[test]
fn changed_users_and_headers_apply_on_an_open_connection() {
    let temp_dir = dir::temp();
    let file = temp_dir.path().join("web.yml");
    std::fs::write(&file, "").unwrap();
    let launch = Launch::narthex(&temp_dir.path().join("data")).web_config(&file);
    let server = launch.flag("--web.max-connections=1").start();
    // One connection, because a second one would get 503.
    let http = Http::new(server.port);
    let status = |password: &str| {
        let answer = get(&http, "/metrics", Some(&basic("a", password)));
        assert_ne!(answer.status, 503, "the connection was closed");
        (answer.status, answer.header("x-frame-options").map(str::to_owned))
    };
    assert_eq!(status("one"), (200, None));
    for (password, other) in [("one", "two"), ("two", "one")] {
        let hash = bcrypt::hash(password, 4).expect("a hash");
        let headers = "http_server_config:\n  headers: {X-Frame-Options: deny}\n";
        std::fs::write(&file, format!("basic_auth_users:\n  a: {hash}\n{headers}")).unwrap();
        wait_until("the users", || status(other).0 == 401);
        assert_eq!(status(password), (200, Some("deny".to_owned())));
    }
    // The last valid users remain.
    std::fs::write(&file, "basic_auth_users: [").unwrap();
    let failed = || server.program.log().contains("web configuration reload failed");
    wait_until("the failed reload", failed);
    assert_eq!((status("one").0, status("two").0), (401, 200));
    std::fs::write(&file, "basic_auth_users: {}\n").unwrap();
    wait_until("open access", || status("anything") == (200, None));
    server.stop();
}

#[test]
fn certificates_for_grpc_need_a_policy_that_verifies() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let (status, log) = Launch::narthex(&data).flag("--grpc.auth=cert").run_to_end();
    assert!(!status.success());
    assert!(log.contains("--grpc.auth=cert") && log.contains("client_auth_type"), "{log}");
}

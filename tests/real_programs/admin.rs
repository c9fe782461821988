//! Admin and management API compared with Debian's Prometheus: the same statuses, content types and
//! error types.

use crate::support::admin::{Admin, ENABLE};
use crate::support::data::{BEGIN, HOUR, assorted};
use crate::support::dir;
use crate::support::http::Answer;
use crate::support::launch::{Launch, Server};

/// Requests that change nothing.
const REQUESTS: [&str; 8] = [
    "/-/reload",
    "/api/v1/admin/tsdb/delete_series",
    "/api/v1/admin/tsdb/delete_series?match[]={",
    "/api/v1/admin/tsdb/delete_series?match[]=up&start=soon",
    "/api/v1/admin/tsdb/delete_series?match=up",
    "/api/v1/admin/tsdb/snapshot?skip_head=perhaps",
    "/api/v1/admin/tsdb/nothing",
    "/-/nothing",
];

/// Requests that are rejected if the API is disabled.
const DISABLED: [&str; 5] = [
    "/-/reload",
    "/-/quit",
    "/api/v1/admin/tsdb/delete_series?match[]=up",
    "/api/v1/admin/tsdb/clean_tombstones",
    "/api/v1/admin/tsdb/snapshot",
];

fn send(server: &Server, method: &str, path: &str) -> Answer {
    let body = if method == "GET" { None } else { Some(&b""[..]) };
    server
        .http
        .send(method, &path.replace('{', "%7B"), &[], body)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns status, content type and, for JSON errors, the error type.
fn outcome(response: &Answer) -> (u16, String, String) {
    let media_type = response.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default();
    let error = if media_type == "application/json" {
        let json = response.json();
        format!("{} {}", json["status"], json["errorType"])
    } else {
        String::new()
    };
    // Only one of them sets the content type of an empty body.
    let media_type = if response.body.is_empty() { "" } else { media_type };
    (response.status, media_type.to_owned(), error)
}

fn assert_same_outcomes(flags: &[&str], requests: &[&str]) {
    let temp_dir = dir::temp();
    let data = |name: &str| temp_dir.path().join(name);
    let with =
        |launch: Launch| flags.iter().fold(launch, |launch, flag| launch.flag(*flag)).start();
    let prometheus = with(Launch::prometheus(&data("prometheus"), "global: {}\n"));
    let narthex = with(Launch::narthex(&data("narthex")));
    for path in requests {
        for method in ["POST", "PUT", "GET"] {
            let (ours, theirs) = (send(&narthex, method, path), send(&prometheus, method, path));
            if theirs.status == 404 || theirs.status == 405 {
                assert_eq!(ours.status, theirs.status, "{method} {path}");
            } else {
                assert_eq!(
                    outcome(&ours),
                    outcome(&theirs),
                    "{method} {path}: {} instead of {}",
                    ours.text(),
                    theirs.text()
                );
            }
        }
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn disabled_apis_get_responses_of_prometheus() {
    assert_same_outcomes(&[], &DISABLED);
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn rejected_admin_requests_get_responses_of_prometheus() {
    assert_same_outcomes(&["--web.enable-lifecycle", "--web.enable-admin-api"], &REQUESTS);
}

/// Runs a deletion, cleans tombstones and makes snapshots. Checks snapshot names and remaining
/// samples, and returns the outcomes.
fn run_operations(server: &Server, data: &std::path::Path) -> Vec<(u16, String, String)> {
    let samples = assorted(HOUR / 2);
    server.remote().write_all(&samples);
    let admin = Admin::of(&server.http);
    let mut outcomes = Vec::new();
    let deleted =
        admin.try_delete("{__name__=~\".+\"}", BEGIN, BEGIN + HOUR / 4).expect("a response");
    outcomes.push(outcome(&deleted));
    outcomes.push(outcome(&admin.try_clean_tombstones().expect("a response")));
    for path in ["/api/v1/admin/tsdb/snapshot", "/api/v1/admin/tsdb/snapshot?skip_head=true"] {
        let response = send(server, "POST", path);
        let json = response.json();
        let name = json["data"]["name"].as_str().expect("a snapshot has a name");
        assert!(data.join("snapshots").join(name).is_dir(), "{path}: {name} does not exist");
        assert_eq!(name.len(), "20251105T000000Z-0000000000000000".len(), "{name}");
        assert!(
            name.as_bytes()[8] == b'T'
                && name.as_bytes()[15] == b'Z'
                && name.as_bytes()[16] == b'-',
            "{name}"
        );
        outcomes.push(outcome(&response));
    }
    server.assert_holds(&samples.from(BEGIN + HOUR / 4 + 1), "after a deletion");
    outcomes
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn admin_operations_run_and_get_responses_of_prometheus() {
    let temp_dir = dir::temp();
    let data = |name: &str| temp_dir.path().join(name);
    let prometheus = Launch::prometheus(&data("prometheus"), "global: {}\n").flag(ENABLE).start();
    let narthex = Launch::narthex(&data("narthex")).flag(ENABLE).start();
    let ours = run_operations(&narthex, &data("narthex"));
    assert_eq!(ours, run_operations(&prometheus, &data("prometheus")));
    assert_eq!(ours.iter().map(|(status, ..)| *status).collect::<Vec<_>>(), [204, 204, 200, 200]);
}

//! The interfaces for operators beside Debian's Prometheus: the same statuses, types and kinds of
//! errors.

use crate::support::admin::{Admin, ENABLE};
use crate::support::data::{BEGIN, HOUR, assorted};
use crate::support::dir;
use crate::support::http::Answer;
use crate::support::launch::{Launch, Server};

/// Orders that change nothing.
const ORDERS: [&str; 8] = [
    "/-/reload",
    "/api/v1/admin/tsdb/delete_series",
    "/api/v1/admin/tsdb/delete_series?match[]={",
    "/api/v1/admin/tsdb/delete_series?match[]=up&start=soon",
    "/api/v1/admin/tsdb/delete_series?match=up",
    "/api/v1/admin/tsdb/snapshot?skip_head=perhaps",
    "/api/v1/admin/tsdb/nothing",
    "/-/nothing",
];

/// These do nothing where they are switched off.
const SWITCHED_OFF: [&str; 5] = [
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

/// What an answer is, apart from words: status, type, and for an error in JSON its kind.
fn kind(answer: &Answer) -> (u16, String, String) {
    let media_type = answer.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default();
    let error = if media_type == "application/json" {
        let json = answer.json();
        format!("{} {}", json["status"], json["errorType"])
    } else {
        String::new()
    };
    // An empty text has a type with one and none with the other.
    let media_type = if answer.body.is_empty() { "" } else { media_type };
    (answer.status, media_type.to_owned(), error)
}

fn assert_alike(flags: &[&str], orders: &[&str]) {
    let place = dir::temp();
    let data = |name: &str| place.path().join(name);
    let with =
        |launch: Launch| flags.iter().fold(launch, |launch, flag| launch.flag(*flag)).start();
    let prometheus = with(Launch::prometheus(&data("prometheus"), "global: {}\n"));
    let narthex = with(Launch::narthex(&data("narthex")));
    for path in orders {
        for method in ["POST", "PUT", "GET"] {
            let (ours, theirs) = (send(&narthex, method, path), send(&prometheus, method, path));
            if theirs.status == 404 || theirs.status == 405 {
                assert_eq!(ours.status, theirs.status, "{method} {path}");
            } else {
                assert_eq!(
                    kind(&ours),
                    kind(&theirs),
                    "{method} {path}: {} beside {}",
                    ours.text(),
                    theirs.text()
                );
            }
        }
    }
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn what_is_switched_off_is_answered_as_prometheus_answers_it() {
    assert_alike(&[], &SWITCHED_OFF);
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn rejected_admin_requests_get_responses_of_prometheus() {
    assert_alike(&["--web.enable-lifecycle", "--web.enable-admin-api"], &ORDERS);
}

/// Statuses and types of deletion, clean-up and snapshot, the names of the snapshots, and what is
/// left.
fn carry_out(server: &Server, data: &std::path::Path) -> Vec<(u16, String, String)> {
    let samples = assorted(HOUR / 2);
    server.remote().write_all(&samples);
    let admin = Admin::of(&server.http);
    let mut kinds = Vec::new();
    let deleted = admin
        .try_delete("{__name__=~\".+\"}", BEGIN, BEGIN + HOUR / 4)
        .expect("a deletion is answered");
    kinds.push(kind(&deleted));
    kinds.push(kind(&admin.try_clean_tombstones().expect("a clean-up is answered")));
    for path in ["/api/v1/admin/tsdb/snapshot", "/api/v1/admin/tsdb/snapshot?skip_head=true"] {
        let answer = send(server, "POST", path);
        let json = answer.json();
        let name = json["data"]["name"].as_str().expect("a snapshot has a name");
        assert!(data.join("snapshots").join(name).is_dir(), "{path}: there is no {name}");
        assert_eq!(name.len(), "20251105T000000Z-0000000000000000".len(), "{name}");
        assert!(
            name.as_bytes()[8] == b'T'
                && name.as_bytes()[15] == b'Z'
                && name.as_bytes()[16] == b'-',
            "{name}"
        );
        kinds.push(kind(&answer));
    }
    server.assert_holds(&samples.from(BEGIN + HOUR / 4 + 1), "after a deletion");
    kinds
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn admin_operations_run_and_get_responses_of_prometheus() {
    let place = dir::temp();
    let data = |name: &str| place.path().join(name);
    let prometheus = Launch::prometheus(&data("prometheus"), "global: {}\n").flag(ENABLE).start();
    let narthex = Launch::narthex(&data("narthex")).flag(ENABLE).start();
    let ours = carry_out(&narthex, &data("narthex"));
    assert_eq!(ours, carry_out(&prometheus, &data("prometheus")));
    assert_eq!(ours.iter().map(|(status, ..)| *status).collect::<Vec<_>>(), [204, 204, 200, 200]);
}

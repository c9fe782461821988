//! The interfaces for operators beside Debian's Prometheus: the same statuses, types and kinds of errors.

mod support;

use support::dir;
use support::http::Answer;
use support::launch::{Launch, Server};

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
    server.http.send(method, &path.replace('{', "%7B"), &[], body).unwrap_or_else(|error| panic!("{path}: {error}"))
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
    let with = |launch: Launch| flags.iter().fold(launch, |launch, flag| launch.flag(*flag)).start();
    let prometheus = with(Launch::prometheus(&data("prometheus"), "global: {}\n"));
    let narthex = with(Launch::narthex(&data("narthex")));
    for path in orders {
        for method in ["POST", "PUT", "GET"] {
            let (ours, theirs) = (send(&narthex, method, path), send(&prometheus, method, path));
            if theirs.status == 404 || theirs.status == 405 {
                assert_eq!(ours.status, theirs.status, "{method} {path}");
            } else {
                assert_eq!(kind(&ours), kind(&theirs), "{method} {path}: {} beside {}", ours.text(), theirs.text());
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
fn orders_that_can_not_be_are_answered_as_prometheus_answers_them() {
    assert_alike(&["--web.enable-lifecycle", "--web.enable-admin-api"], &ORDERS);
}

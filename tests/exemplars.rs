//! Exemplars through the running program: those of directories that Prometheus 3.14.0 wrote, as its own answers have them, and the
//! page that shows them.

mod support;

use serde_json::{Value, json};
use support::launch::Launch;
use support::metrics::Metrics;
use support::{dir, golden};

/// Every exemplar there is.
const ALL: &str = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D";

/// Starts narthex on a case twice, on what the first left behind; its answer is Prometheus's, in the same order.
fn has_the_exemplars_of_prometheus(case: &str, count: f64) {
    let place = dir::temp();
    let data = golden::unpack(case, place.path());
    let expected: Value = serde_json::from_str(&golden::text(case, "exemplars.json")).expect("the file is JSON");
    for time in ["first", "second"] {
        let server =
            Launch::narthex(&data).flag("--enable-feature=memory-snapshot-on-shutdown,exemplar-storage").start();
        let answer = server.http.get(ALL);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["data"], expected["data"], "{case}, {time} start");
        let metrics = Metrics::of(&server.http);
        assert_eq!(metrics.sum("prometheus_tsdb_exemplar_exemplars_in_storage"), Some(count), "{case}, {time} start");
        server.stop();
    }
}

#[test]
fn a_log_with_all_types() {
    has_the_exemplars_of_prometheus("all-types-killed", 640.0);
}

#[test]
fn a_log_compressed_with_zstd() {
    has_the_exemplars_of_prometheus("wal-zstd", 135.0);
}

#[test]
fn a_checkpoint_and_what_stands_behind_it() {
    has_the_exemplars_of_prometheus("blocks-killed-after-compaction", 52.0);
}

#[test]
fn a_snapshot_of_the_head() {
    has_the_exemplars_of_prometheus("snapshot-on-shutdown", 159.0);
}

#[test]
fn the_page_answers_as_prometheuss_does() {
    let place = dir::temp();
    let data = golden::unpack("all-types-killed", place.path());
    let server = Launch::narthex(&data).start();
    let get = |query: &str| server.http.get(&format!("/api/v1/query_exemplars?{query}"));
    let counted = |answer: Value| -> usize {
        let series = answer["data"].as_array().expect("there is a list of series");
        series.iter().map(|one| one["exemplars"].as_array().expect("a series has exemplars").len()).sum()
    };
    let all = counted(server.http.get(ALL).json());
    let between = "start=1762301300&end=2025-11-05T00:15:00Z";
    let some = counted(get(&format!("query=%7B__name__%3D~%22.%2B%22%7D&{between}")).json());
    assert!(0 < some && some < all, "{some} of {all}");
    // An expression has the exemplars of all its selectors, and a form is as good as a path.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("query=sum(rate(nothing%5B5m%5D))+%2B+%7B__name__!=%22%22%7D&{between}");
    let posted = server.http.post("/api/v1/query_exemplars", &form, body.as_bytes());
    assert_eq!((posted.status, counted(posted.json())), (200, some));
    assert_eq!(get("query=nothing").json(), json!({"status": "success", "data": []}));
    assert_eq!(get("query=1").json(), json!({"status": "success"}));
    for wrong in ["", "query=", "query=up{", "query=up&start=x", "query=up&start=2&end=1"] {
        let answer = get(wrong);
        assert_eq!((answer.status, answer.json()["errorType"].as_str()), (400, Some("bad_data")), "{wrong}");
    }
    server.stop();
}

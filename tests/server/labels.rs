//! Lists of labels and series of the running server, compared with Debian's Prometheus on the same
//! directory, and external labels in read responses.

use crate::support::data::{BEGIN, HOUR};
use crate::support::launch::{Launch, Server};
use crate::support::wait::wait_until;
use crate::support::wire::{Matcher, WriteRequest};
use crate::support::{blocks, data, dir};
use serde_json::{Value, json};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Paths to which both must respond with the same text.
fn paths() -> Vec<String> {
    let within = format!("start={}&end={}", BEGIN / 1000 + 60, BEGIN / 1000 + 3600);
    let after = format!("start={}", (BEGIN + 100 * HOUR) / 1000);
    let mut paths = Vec::new();
    for range in ["", &within, &after, "start=2025-11-05T00:10:00Z&end=2025-11-05T00:20:00.5Z"] {
        for matchers in [
            "",
            "match[]=assorted_total",
            "match[]={series=~%221.*%22}&match[]=assorted:ratio{series!=%221%22}",
        ] {
            paths.push(format!("/api/v1/labels?{range}&{matchers}"));
            for name in ["__name__", "series", "odd", "none"] {
                paths.push(format!("/api/v1/label/{name}/values?{range}&{matchers}"));
            }
            if !matchers.is_empty() {
                paths.push(format!("/api/v1/series?{range}&{matchers}"));
            }
        }
    }
    paths.push("/api/v1/label/series/values?match[]={series=~%22.%22}".to_owned());
    paths.push("/api/v1/label/series/values?match[]={series!=%221%22,__name__!=%22%22}".to_owned());
    paths
}

/// Returns the responses as text. Those of `series` are sorted, because Prometheus does not always
/// sort them.
fn responses(server: &Server) -> Vec<String> {
    let ask = |path: &String| {
        let response = server.http.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        if !path.contains("/series?") {
            return response.text();
        }
        let mut response = response.json();
        let list = response["data"].as_array_mut().expect("a list");
        list.sort_by_key(Value::to_string);
        response.to_string()
    };
    paths().iter().map(ask).collect()
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn lists_match_prometheus() {
    let temp_dir = dir::temp();
    let data_dir = temp_dir.path().join("data");
    let server = Launch::narthex(&data_dir).start();
    server.remote().write_all(&data::assorted(6 * HOUR));
    wait_until("two blocks", || blocks::blocks(&data_dir).len() == 2);
    server.stop();
    let server = Launch::narthex(&data_dir).start();
    let ours = responses(&server);
    server.stop();
    let server = Launch::prometheus(&data_dir, "").start();
    let theirs = responses(&server);
    for ((path, ours), theirs) in paths().iter().zip(&ours).zip(&theirs) {
        assert_eq!(ours, theirs, "{path}");
    }
    assert!(ours.iter().filter(|response| response.contains("assorted_total")).count() > 10);
    assert!(ours.iter().filter(|response| response.contains("\"data\":[]")).count() > 5);
}

/// Compares status and error type. The text may differ.
#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn invalid_parameters_are_rejected_as_by_prometheus() {
    let temp_dir = dir::temp();
    let data_dir = temp_dir.path().join("data");
    let invalid = [
        "/api/v1/series",
        "/api/v1/series?match[]=",
        "/api/v1/series?match[]={}",
        "/api/v1/series?match[]={a=~%22(%22}",
        "/api/v1/series?match[]=up&start=x",
        "/api/v1/labels?match[]=up{",
        "/api/v1/labels?match[]={a=%22%22}",
        "/api/v1/labels?end=x",
        "/api/v1/label/a/values?start=x",
        "/api/v1/label/a/values?match[]=1up",
    ];
    let errors = |server: &Server| {
        let error = |path: &&str| {
            let response = server.http.get(path);
            let json = response.json();
            assert!(json["error"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {json}");
            (response.status, json["status"].clone(), json["errorType"].clone())
        };
        invalid.iter().map(error).collect::<Vec<_>>()
    };
    let server = Launch::narthex(&data_dir).start();
    let ours = errors(&server);
    server.stop();
    let server = Launch::prometheus(&data_dir, "").start();
    assert_eq!(ours, errors(&server));
    assert!(ours.iter().all(|(status, ..)| *status == 400), "{ours:?}");
}

#[test]
fn limit_truncates_list_with_warning() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    for name in ["a", "b", "c"] {
        server
            .remote()
            .write_ok(&WriteRequest::one(&[("__name__", name), ("x.y/z", "<&>")], &[(BEGIN, 1.0)]));
    }
    let get = |path: &str| server.http.get(path).text();
    let warning = r#","warnings":["results truncated due to limit"]}"#;
    for (path, data, is_cut) in [
        ("/api/v1/labels", r#"["__name__","x.y/z"]"#, false),
        ("/api/v1/labels?limit=1", r#"["__name__"]"#, true),
        ("/api/v1/labels?limit=2", r#"["__name__","x.y/z"]"#, false),
        ("/api/v1/label/__name__/values?limit=2", r#"["a","b"]"#, true),
        ("/api/v1/label/__name__/values?limit=2&match[]=a&match[]=b", r#"["a","b"]"#, false),
        ("/api/v1/label/__name__/values?limit=0", r#"["a","b","c"]"#, false),
        ("/api/v1/label/U__x_2e_y_2f_z/values", r#"["\u003c\u0026\u003e"]"#, false),
        ("/api/v1/label/x.y%2Fz/values?match[]=a", r#"["\u003c\u0026\u003e"]"#, false),
        (
            "/api/v1/series?match[]={__name__!=%22%22}&limit=1",
            r#"[{"__name__":"a","x.y/z":"<&>"}]"#,
            true,
        ),
        (
            "/api/v1/series?match[]=b&match[]={__name__=~%22a|b%22}&limit=2",
            r#"[{"__name__":"a","x.y/z":"<&>"},{"__name__":"b","x.y/z":"<&>"}]"#,
            false,
        ),
    ] {
        let expected =
            format!(r#"{{"status":"success","data":{data}{}"#, if is_cut { warning } else { "}" });
        assert_eq!(get(path), expected, "{path}");
    }
    for invalid in ["limit=-1", "limit=x"] {
        let response = server.http.get(&format!("/api/v1/labels?{invalid}"));
        assert_eq!(
            (response.status, response.json()["errorType"].clone()),
            (400, json!("bad_data"))
        );
    }
    for path in ["/api/v1/labels", "/api/v1/series"] {
        let response = server.http.post(path, &[FORM], b"match[]=c&limit=1");
        assert_eq!(
            (response.status, response.json()["data"].as_array().map(Vec::len)),
            (200, Some(1)),
            "{path}"
        );
    }
    server.stop();
}

#[test]
fn external_labels_are_in_reads_and_follow_reload() {
    let temp_dir = dir::temp();
    let data_dir = temp_dir.path().join("data");
    let server = Launch::narthex(&data_dir)
        .config(
            &data_dir,
            "global:\n  external_labels:\n    cluster: ${NARTHEX_TEST_CLUSTER}\n    job: outer\n",
        )
        .env("NARTHEX_TEST_CLUSTER", "c1")
        .flag("--web.enable-lifecycle")
        .start();
    server
        .remote()
        .write_ok(&WriteRequest::one(&[("__name__", "up"), ("job", "own")], &[(BEGIN, 1.0)]));
    server.remote().write_ok(&WriteRequest::one(&[("__name__", "down")], &[(BEGIN, 1.0)]));
    let read = |matchers: &[Matcher]| -> Vec<String> {
        let samples = server.remote().read(matchers, BEGIN, BEGIN);
        let text = |(name, value): &(String, String)| format!("{name}={value}");
        samples
            .label_sets()
            .map(|labels| labels.iter().map(text).collect::<Vec<_>>().join(","))
            .collect()
    };
    let up = "__name__=up,cluster=c1,job=own";
    let down = "__name__=down,cluster=c1,job=outer";
    assert_eq!(read(&[Matcher::equal("cluster", "c1")]), [down, up]);
    assert_eq!(read(&[Matcher::equal("job", "outer")]), [down]);
    assert_eq!(read(&[Matcher::equal("cluster", "c2")]), [] as [&str; 0]);
    // As in Prometheus, lists of the API have stored labels only.
    assert_eq!(server.http.get("/api/v1/labels").json()["data"], json!(["__name__", "job"]));

    std::fs::write(
        data_dir.with_extension("narthex.yml"),
        "global: {external_labels: {cluster: c2}}\n",
    )
    .expect("a writable file");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 200);
    assert_eq!(
        read(&[Matcher::equal("cluster", "c2")]),
        ["__name__=down,cluster=c2", "__name__=up,cluster=c2,job=own"]
    );
    std::fs::write(data_dir.with_extension("narthex.yml"), "global: {scrape_interval: 0x}\n")
        .expect("a writable file");
    assert_eq!(server.http.post("/-/reload", &[], b"").status, 500);
    assert_eq!(read(&[Matcher::equal("cluster", "c2")]).len(), 2);
    server.stop();
}

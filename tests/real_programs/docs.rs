//! Commands and `prometheus.yml` of the documents, run as a reader would run them.
//!
//! Commands run in a shell against a server of the test. Its port replaces 9201, its data directory
//! replaces `./data`. curl fails on a status of 400 or more. `narthex` is the binary of the test,
//! `narthex.yml` and `web.yml` are those of the documents. `tests/server/docs.rs` checks the rest
//! of the documents.

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::{Launch, Server};
use crate::support::markdown::{Block, Document, documents};
use crate::support::web_config;
use crate::support::wire::{Exemplar, Label, MetricMetadata, TimeSeries, WriteRequest};
use std::path::Path;
use std::process::Command;

/// Beginnings of blocks that are not run, and the reasons.
const NOT_RUN: [(&str, &str); 8] = [
    ("cargo run ", "the test builds and starts narthex"),
    ("image/build ", "tests/image/run builds the image"),
    ("tests/run", "runs this test"),
    ("helm install ", "needs a cluster; tests/chart renders the chart"),
    ("grpcurl ", "no Debian package; tests/clients tests reflection with stock gRPC"),
    ("narthex serve ", "does not end; tests/thanos starts both programs"),
    ("thanos query ", "no Debian package; tests/thanos starts it"),
    ("thanos receive ", "no Debian package; tests/thanos starts it"),
];

/// Part of a command, and part of its output. An empty part means no output.
const PRINTED: [(&str, &str); 28] = [
    ("/api/v1/export?match[]=up'", r#""values":[1"#),
    ("&values=bits", "3ff0000000000000"),
    ("/api/v1/metadata?metric=up", r#""type":"gauge""#),
    ("/-/ready", "ready"),
    ("/api/v1/status/runtimeinfo", r#""storageRetention""#),
    ("/api/v1/status/tsdb?", r#""seriesCountByMetricName""#),
    ("/api/v1/status/rejections?", r#""droppedEntries":0"#),
    ("/api/v1/status/buildinfo", r#""version":"3.14.0""#),
    ("/api/v1/notifications", r#""data":[]"#),
    ("/api/v1/targets?", r#""activeTargets":[]"#),
    ("/api/v1/targets/metadata'", r#""data":[]"#),
    ("/api/v1/series' --data-urlencode", r#""__name__":"up""#),
    ("--compressed ", r#""web.route-prefix":"/""#),
    ("/-/reload", ""),
    ("/admin/tsdb/delete_series?", ""),
    ("/admin/tsdb/snapshot?", r#""name""#),
    ("/api/v1/labels", r#""job""#),
    ("/api/v1/label/job/values", r#""node""#),
    ("/api/v1/series?", r#""__name__":"up""#),
    ("/api/v1/query_exemplars", "4bf92f3577b34da6"),
    ("/api/v1/format_query", r#""data":"sum by (job) (rate(http_requests_total[5m]))""#),
    ("/metrics", "prometheus_tsdb_head_series 2"),
    ("/-/healthy", "healthy"),
    ("/api/v1/status/walreplay", r#""current":"#),
    ("/api/v1/status/tsdb/blocks", r#""blocks":["#),
    ("narthex check config", "narthex.yml SUCCESS"),
    ("narthex check web-config", "web.yml SUCCESS\n"),
    ("narthex check roundtrip", "SUCCESS"),
];

/// Start of every script: curl fails on a status of 400 or more and uses no proxy.
const PROLOGUE: &str = concat!(
    "set -eu\n",
    "curl() { command curl --silent --show-error --fail-with-body --noproxy '*' \"$@\"; }\n",
    "narthex() { '",
    env!("CARGO_BIN_EXE_narthex"),
    "' \"$@\"; }\n",
);

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// Returns the data that the commands query.
fn example_request() -> WriteRequest {
    let up = TimeSeries::new(&[("__name__", "up"), ("job", "node")], &[(BEGIN, 1.0)]);
    let labels = [("__name__", "http_requests_total"), ("job", "api")];
    let mut requests = TimeSeries::new(&labels, &[(BEGIN, 5.0)]);
    let trace = vec![label("trace_id", "4bf92f3577b34da6")];
    requests.exemplars.push(Exemplar {
        labels: trace,
        bits: Some(1f64.to_bits()),
        timestamp: BEGIN,
    });
    let gauge = MetricMetadata {
        metric_type: 2,
        family: "up".to_owned(),
        help: "Whether the target could be scraped.".to_owned(),
        ..MetricMetadata::default()
    };
    WriteRequest { timeseries: vec![up, requests], metadata: vec![gauge] }
}

/// Runs a block and returns its output.
fn run(block: &Block, server: &Server, dir: &Path) -> String {
    let data = dir.join("data");
    let text = block.text.replace("9201", &server.http.port().to_string());
    let script = PROLOGUE.to_owned() + &text.replace("./data", &data.display().to_string());
    let output =
        Command::new("sh").args(["-c", &script]).current_dir(dir).output().expect("a shell runs");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{}: {}\n{text}{printed}", block.place, output.status);
    printed
}

/// Writes the first `narthex.yml` and `web.yml` of the documents, and certificates.
fn write_configuration(dir: &Path) {
    let documents = documents();
    for name in ["narthex.yml", "web.yml"] {
        let first_line = format!("# {name}\n");
        let mut blocks = documents.iter().flat_map(Document::blocks);
        let block = blocks.find(|block| block.text.starts_with(&first_line));
        let text = block.expect("a document has this file").text;
        std::fs::write(dir.join(name), text).expect("a file can be written");
    }
    web_config::copy_certificates(dir);
}

#[test]
#[ignore = "needs curl: run tests/run"]
fn commands_of_docs_print_expected_output() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data)
        .config(&data, "")
        .flag("--web.enable-lifecycle")
        .flag("--web.enable-admin-api")
        // The round trip writes a sample of today, long after those of the example.
        .flag("--storage.tsdb.retention.time=100y")
        .start();
    server.remote().write_ok(&example_request());
    write_configuration(temp_dir.path());
    let (mut skipped, mut printed) = ([0; NOT_RUN.len()], [0; PRINTED.len()]);
    for block in
        documents().iter().flat_map(Document::blocks).filter(|block| block.language == "sh")
    {
        if let Some(index) =
            NOT_RUN.iter().position(|(beginning, _)| block.text.starts_with(beginning))
        {
            skipped[index] += 1;
            continue;
        }
        let output = run(&block, &server, temp_dir.path());
        let is_expected = |&(command, _): &(&str, &str)| block.text.contains(command);
        assert!(PRINTED.iter().any(is_expected), "{}: no entry in PRINTED", block.place);
        for (index, (_, expected)) in
            PRINTED.iter().enumerate().filter(|(_, entry)| is_expected(entry))
        {
            let is_equal =
                if expected.is_empty() { output.is_empty() } else { output.contains(expected) };
            assert!(is_equal, "{}: {expected:?} is expected, not {output}", block.place);
            printed[index] += 1;
        }
    }
    assert!(
        !skipped.contains(&0) && !printed.contains(&0),
        "an entry matches no block: {skipped:?} {printed:?}"
    );
    server.stop();
}

#[test]
#[ignore = "needs Debian's promtool: run tests/run"]
fn prometheus_yml_of_docs_is_accepted_by_promtool() {
    let temp_dir = dir::temp();
    let file = temp_dir.path().join("prometheus.yml");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("a file can be written");
        Command::new("promtool")
            .args(["check", "config"])
            .arg(&file)
            .output()
            .expect("promtool runs")
    };
    assert!(!check("remote_wrote: []\n").status.success(), "promtool must reject an unknown key");
    let blocks = documents();
    let blocks = blocks.iter().flat_map(Document::blocks);
    let mut checked = 0;
    for block in blocks.filter(|block| block.text.starts_with("# prometheus.yml\n")) {
        let output = check(&block.text);
        assert!(output.status.success(), "{}: {output:?}", block.place);
        checked += 1;
    }
    assert!(checked > 0, "no document has a prometheus.yml");
}

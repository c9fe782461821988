//! End to end: one Prometheus writes to narthex, another one reads from it, and both return the
//! same query results.
//!
//! The first scrapes a node exporter and itself, and remote-writes. The second has no data of its
//! own and remote-reads. narthex is killed and restarted in between. The writer retries requests
//! without a response, so no sample may be missing.

use std::path::Path;

use serde_json::Value;

use crate::support::dir;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::wait::wait_for;
use crate::support::wire::Matcher;

/// Queries to both at the same evaluation time. Each must have a result.
const QUERIES: [&str; 6] = [
    "up",
    "rate(node_cpu_seconds_total[1m])",
    "sum by (job) (rate(process_cpu_seconds_total[1m]))",
    r#"{__name__=~"node_(memory|filesystem)_.+"}"#,
    r#"{__name__=~"prometheus_tsdb_head_.+", job!="node"}"#,
    r#"count by (job) ({__name__=~".+"})"#,
];

/// Number of samples of `up` that the test waits for. One arrives per second.
const MIN_SAMPLES: usize = 6;

fn writer(temp_dir: &Path, node_exporter: &Http, narthex: &Http) -> Server {
    let port = free_port();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
         - {{job_name: prometheus, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n\
         remote_write:\n\
         - url: {}\n\
         \x20 queue_config: {{max_shards: 1, batch_send_deadline: 200ms, min_backoff: 30ms, max_backoff: 200ms}}\n",
        node_exporter.port(),
        narthex.url("/api/v1/write"),
    );
    Launch::prometheus(&temp_dir.join("writer"), &config).port(port).start()
}

fn reader(temp_dir: &Path, narthex: &Http) -> Server {
    let config =
        format!("remote_read: [{{url: '{}', read_recent: true}}]\n", narthex.url("/api/v1/read"));
    Launch::prometheus(&temp_dir.join("reader"), &config).start()
}

/// Returns the timestamps of `up` of the job with fewer samples in narthex.
fn times_of_up(narthex: &Server) -> Vec<i64> {
    let times_of = |job: &str| -> Vec<i64> {
        let matchers = [Matcher::equal("__name__", "up"), Matcher::equal("job", job)];
        narthex.remote().read(&matchers, MIN_TIME, MAX_TIME).iter().map(|(_, t, _)| t).collect()
    };
    let (node, prometheus) = (times_of("node"), times_of("prometheus"));
    if node.len() < prometheus.len() { node } else { prometheus }
}

/// Returns the timestamp of a sample after `from` that later samples follow. narthex is complete up
/// to this timestamp.
fn complete_until(narthex: &Server, from: i64) -> i64 {
    wait_for("scraped samples", || {
        let times: Vec<i64> = times_of_up(narthex).into_iter().filter(|&t| t > from).collect();
        (times.len() >= MIN_SAMPLES).then(|| times[times.len() - 3])
    })
}

/// Returns the result of a query with sorted series.
fn result(server: &Server, path_and_query: &str) -> Vec<Value> {
    let response = server.http.get(path_and_query).json();
    assert_eq!(response["status"], "success", "{path_and_query}: {response}");
    assert_eq!(response["warnings"], Value::Null, "{path_and_query}: {response}");
    let mut series = response["data"]["result"].as_array().expect("a list").clone();
    series.sort_by_key(|series| series["metric"].to_string());
    series
}

fn seconds(t: i64) -> String {
    format!("{}.{:03}", t / 1000, t % 1000)
}

/// Asserts equal results of all queries from `start` to `end`.
fn assert_equal_results(writer: &Server, reader: &Server, start: i64, end: i64) {
    for query in QUERIES {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let instant = format!("/api/v1/query?query={encoded}&time={}", seconds(end));
        let range = format!(
            "/api/v1/query_range?query={encoded}&start={}&end={}&step=1",
            seconds(start),
            seconds(end)
        );
        for path in [instant, range] {
            let expected = result(writer, &path);
            assert!(!expected.is_empty(), "{query} has no result");
            assert_eq!(result(reader, &path), expected, "{query} by {path}");
        }
    }
}

#[test]
#[ignore = "needs Debian's prometheus and node exporter: run tests/run"]
fn reading_prometheus_returns_results_of_writing_one() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let narthex = Launch::narthex(&data).start();
    let port = narthex.http.port();
    let node_exporter = Launch::node_exporter().start();
    let writer = writer(temp_dir.path(), &node_exporter.http, &narthex.http);
    let reader = reader(temp_dir.path(), &narthex.http);

    let first = complete_until(&narthex, 0);
    let start = times_of_up(&narthex)[0];
    assert_equal_results(&writer, &reader, start, first);

    narthex.kill();
    let narthex = Launch::narthex(&data).port(port).start();
    assert_equal_results(&writer, &reader, start, first);
    let second = complete_until(&narthex, first);
    assert_equal_results(&writer, &reader, start, second);
}

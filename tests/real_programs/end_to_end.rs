//! The main job: a Prometheus writes to narthex, another one reads from it, and both give the same
//! answers.
//!
//! The first scrapes a node exporter and itself, and remote-writes; the second has no data of its
//! own and remote-reads. In between narthex is killed and started again: the writer repeats what it
//! got no answer for, so nothing may be missing.

use std::path::Path;

use serde_json::Value;

use crate::support::dir;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::wait::wait_for;
use crate::support::wire::Matcher;

/// Asked of both, at the same moment of the data; each must have an answer.
const QUERIES: [&str; 6] = [
    "up",
    "rate(node_cpu_seconds_total[1m])",
    "sum by (job) (rate(process_cpu_seconds_total[1m]))",
    r#"{__name__=~"node_(memory|filesystem)_.+"}"#,
    r#"{__name__=~"prometheus_tsdb_head_.+", job!="node"}"#,
    r#"count by (job) ({__name__=~".+"})"#,
];

/// How many samples of `up` make a test's worth of data; one comes every second.
const ENOUGH: usize = 6;

fn writer(place: &Path, node_exporter: &Http, narthex: &Http) -> Server {
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
    Launch::prometheus(&place.join("writer"), &config).port(port).start()
}

fn reader(place: &Path, narthex: &Http) -> Server {
    let config =
        format!("remote_read: [{{url: '{}', read_recent: true}}]\n", narthex.url("/api/v1/read"));
    Launch::prometheus(&place.join("reader"), &config).start()
}

/// The times of the samples of `up` of the job that narthex has fewer of.
fn times_of_up(narthex: &Server) -> Vec<i64> {
    let times_of = |job: &str| -> Vec<i64> {
        let matchers = [Matcher::equal("__name__", "up"), Matcher::equal("job", job)];
        narthex.remote().read(&matchers, MIN_TIME, MAX_TIME).iter().map(|(_, t, _)| t).collect()
    };
    let (node, prometheus) = (times_of("node"), times_of("prometheus"));
    if node.len() < prometheus.len() { node } else { prometheus }
}

/// The time, in milliseconds, of a sample after `from` behind which there are more in narthex: up
/// to there it has everything.
fn complete_until(narthex: &Server, from: i64) -> i64 {
    wait_for("scraped samples to arrive", || {
        let times: Vec<i64> = times_of_up(narthex).into_iter().filter(|&t| t > from).collect();
        (times.len() >= ENOUGH).then(|| times[times.len() - 3])
    })
}

/// The result of a query, its series in a fixed order.
fn result(server: &Server, path_and_query: &str) -> Vec<Value> {
    let answer = server.http.get(path_and_query).json();
    assert_eq!(answer["status"], "success", "{path_and_query}: {answer}");
    assert_eq!(answer["warnings"], Value::Null, "{path_and_query}: {answer}");
    let mut series = answer["data"]["result"].as_array().expect("a result is a list").clone();
    series.sort_by_key(|series| series["metric"].to_string());
    series
}

fn seconds(t: i64) -> String {
    format!("{}.{:03}", t / 1000, t % 1000)
}

/// Both answer all queries alike, over the whole time from `begin` to `end`.
fn agree(writer: &Server, reader: &Server, begin: i64, end: i64) {
    for query in QUERIES {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let instant = format!("/api/v1/query?query={encoded}&time={}", seconds(end));
        let range = format!(
            "/api/v1/query_range?query={encoded}&start={}&end={}&step=1",
            seconds(begin),
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
fn reading_prometheus_answers_like_the_writing_one() {
    let place = dir::temp();
    let data = place.path().join("data");
    let narthex = Launch::narthex(&data).start();
    let port = narthex.http.port();
    let node_exporter = Launch::node_exporter().start();
    let writer = writer(place.path(), &node_exporter.http, &narthex.http);
    let reader = reader(place.path(), &narthex.http);

    let first = complete_until(&narthex, 0);
    let begin = times_of_up(&narthex)[0];
    agree(&writer, &reader, begin, first);

    narthex.kill();
    let narthex = Launch::narthex(&data).port(port).start();
    agree(&writer, &reader, begin, first);
    let second = complete_until(&narthex, first);
    agree(&writer, &reader, begin, second);
}

//! `--self-scrape` and `--config.auto-reload` on the real binary.

use std::path::Path;

use serde_json::Value;

use crate::support::dir;
use crate::support::export::export_all;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server};
use crate::support::metrics::Metrics;
use crate::support::wait::{wait_for, wait_until};

const EVERY_SECOND: &str = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n";

fn active_targets(http: &Http) -> Vec<Value> {
    let targets = http.get("/api/v1/targets").json();
    targets["data"]["activeTargets"].as_array().expect("a list").clone()
}

/// Values of `up` of the job `narthex`, in the order of time.
fn own_up(http: &Http) -> Vec<u64> {
    let query = "/api/v1/export?values=bits&match[]=up%7Bjob%3D%22narthex%22%7D";
    let text = http.get(query).text();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let values = lines.flat_map(|line: Value| line["values"].as_array().expect("a list").clone());
    values
        .map(|bits| u64::from_str_radix(bits.as_str().expect("text"), 16).expect("bits"))
        .collect()
}

#[test]
fn server_stores_its_own_metrics_and_keeps_them_after_a_kill() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let launch =
        || Launch::narthex(&data).config(&data, EVERY_SECOND).flag("--self-scrape").start();
    let server = launch();
    let before = wait_for("three scrapes", || {
        let up = own_up(&server.http);
        (up.len() >= 3).then_some(up)
    });
    assert!(before.iter().all(|bits| *bits == 1_f64.to_bits()), "{before:?}");
    let [target] = &active_targets(&server.http)[..] else { panic!("one target") };
    assert_eq!(target["health"], "up", "{target}");
    assert_eq!(target["scrapePool"], "narthex");
    assert_eq!(target["labels"]["instance"], format!("localhost:{}", server.port));
    let builds = server.http.get("/api/v1/label/version/values").json();
    assert_eq!(builds["data"][0], env!("CARGO_PKG_VERSION"));
    let stored = export_all(&server.http);
    // A later scrape is visible, so the WAL has the earlier ones.
    wait_until("the next two scrapes", || own_up(&server.http).len() >= before.len() + 2);
    server.kill();

    let server = launch();
    let after = export_all(&server.http);
    for (labels, t, bits) in stored.iter() {
        assert_eq!(after.get(labels, t), Some(bits), "{labels:?} at {t}");
    }
    wait_until("a scrape after the kill", || own_up(&server.http).len() > before.len() + 2);
    server.stop();
}

#[test]
fn job_with_the_name_of_the_own_job_is_an_error() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let config = "scrape_configs: [{job_name: narthex}]\n";
    let (status, log) =
        Launch::narthex(&data).config(&data, config).flag("--self-scrape").run_to_end();
    assert!(!status.success());
    assert!(log.contains("--self-scrape adds a job narthex"), "{log}");
}

/// Names of the jobs of a running server.
fn jobs(server: &Server) -> Vec<String> {
    let pools = server.http.get("/api/v1/scrape_pools").json();
    serde_json::from_value(pools["data"]["scrapePools"].clone()).expect("a list of names")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file can be written");
}

#[test]
fn changed_files_are_reloaded_without_a_request() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let included = temp_dir.path().join("more.yml");
    write(&included, "scrape_configs: [{job_name: b}]\n");
    let config = |job: &str| {
        format!("scrape_configs: [{{job_name: {job}}}]\nscrape_config_files: ['more*.yml']\n")
    };
    let server = Launch::narthex(&data)
        .config(&data, &config("a"))
        .flag("--config.auto-reload")
        .flag("--config.auto-reload-interval=100ms")
        .start();
    assert_eq!(jobs(&server), ["a", "b"]);

    write(&included, "scrape_configs: [{job_name: c}]\n");
    wait_until("the changed included file", || jobs(&server) == ["a", "c"]);
    write(&temp_dir.path().join("more2.yml"), "scrape_configs: [{job_name: d}]\n");
    wait_until("the new included file", || jobs(&server) == ["a", "c", "d"]);

    let file = data.with_extension("narthex.yml");
    let successful = || {
        Metrics::of(&server.http).sum("prometheus_config_last_reload_successful").expect("a value")
    };
    write(&file, "scrape_configs: [{job_name: ''}]\n");
    wait_until("the failed reload", || successful() == 0.0);
    assert_eq!(jobs(&server), ["a", "c", "d"]);
    write(&file, &config("e"));
    wait_until("the repaired file", || jobs(&server) == ["c", "d", "e"]);
    assert_eq!(successful(), 1.0);
    server.stop();
}

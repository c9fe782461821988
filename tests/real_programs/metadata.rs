//! Metadata of the real binary: a Prometheus sends the metadata of its targets, and narthex returns
//! the same, also after a kill.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::dir;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::wait::wait_for;

/// Metadata entries of each metric family.
type Families = BTreeMap<String, BTreeSet<String>>;

fn families(http: &Http, parameters: &str) -> Families {
    let response = http.get(&format!("/api/v1/metadata{parameters}")).json();
    assert_eq!(response["status"], "success", "{response}");
    let entry = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().expect("a string").to_owned();
        format!("{} [{}] {}", text("type"), text("unit"), text("help"))
    };
    let families = response["data"].as_object().expect("families by name").iter();
    families
        .map(|(name, all)| {
            (name.clone(), all.as_array().expect("a list").iter().map(entry).collect())
        })
        .collect()
}

/// Returns the names of all series of the writer.
fn series_names(writer: &Server) -> BTreeSet<String> {
    let response = writer.http.get("/api/v1/label/__name__/values").json();
    response["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|name| name.as_str().expect("a string").to_owned())
        .collect()
}

/// Selects the families with series in the writer.
fn with_series(all: Families, names: &BTreeSet<String>) -> Families {
    let parts = ["", "_bucket", "_sum", "_count", "_total"];
    let has_series =
        |family: &String| parts.iter().any(|part| names.contains(&format!("{family}{part}")));
    all.into_iter().filter(|(family, _)| has_series(family)).collect()
}

#[test]
#[ignore = "needs Debian's prometheus and node exporter: run tests/run"]
fn metadata_sent_by_prometheus_survives_kill() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let narthex = Launch::narthex(&data).start();
    let node_exporter = Launch::node_exporter().start();
    let port = free_port();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
         - {{job_name: prometheus, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n\
         remote_write:\n\
         - url: {}\n\
         \x20 queue_config: {{batch_send_deadline: 200ms}}\n\
         \x20 metadata_config: {{send: true, send_interval: 1s}}\n",
        node_exporter.http.port(),
        narthex.http.url("/api/v1/write"),
    );
    let writer = Launch::prometheus(&temp_dir.path().join("writer"), &config).port(port).start();
    wait_for("the metadata", || {
        let sent = with_series(families(&writer.http, ""), &series_names(&writer));
        let stored = families(&narthex.http, "");
        let is_all = sent.len() > 100 && sent.keys().all(|family| stored.contains_key(family));
        is_all.then_some(())
    });
    // Targets of different versions may send different metadata of a family. One entry is stored.
    let sent = families(&writer.http, "");
    for (family, stored) in families(&narthex.http, "") {
        assert!(
            sent.get(&family).is_some_and(|sent| stored.is_subset(sent)),
            "{family}: {stored:?} of {sent:?}"
        );
    }
    writer.stop();

    let before = families(&narthex.http, "");
    for family in [
        "node_cpu_seconds_total",
        "prometheus_http_request_duration_seconds",
        "go_gc_duration_seconds",
    ] {
        assert_eq!(before[family].len(), 1, "{family}");
        let selected = families(&narthex.http, &format!("?metric={family}"));
        assert_eq!(selected, BTreeMap::from([(family.to_owned(), before[family].clone())]));
    }
    assert_eq!(families(&narthex.http, "?limit=3").len(), 3);
    narthex.kill();
    let narthex = Launch::narthex(&data).start();
    assert_eq!(families(&narthex.http, ""), before);
}

//! Stock clients against the real binary: gRPC of Python, and programs on stock packages.
//!
//! Each program checks the responses. The stored data is then compared exactly, also after a kill.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::dir;
use crate::support::export::{export_lines, export_points, exported_values, points_of_lines};
use crate::support::foreign::Foreign;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::metrics::Metrics;
use crate::support::points::Points;
use crate::support::wait::wait_until;

const EXEMPLARS: &str = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D";

/// Data that a program reports as stored.
struct Written {
    points: Points,
    exemplars: BTreeMap<String, Value>,
    metadata: Value,
}

impl Written {
    fn from_report(report: &Value) -> Written {
        let list =
            |name: &str| report[name].as_array().unwrap_or_else(|| panic!("no {name}")).clone();
        Written {
            points: points_of_lines(list("export")),
            exemplars: by_series(&list("exemplars")),
            metadata: report["metadata"].clone(),
        }
    }

    /// Asserts minimum numbers of samples, histograms and exemplars, so that no comparison is
    /// empty.
    fn assert_at_least(&self, min: [usize; 3]) {
        let exemplar_count: usize =
            self.exemplars.values().map(|list| list.as_array().map_or(0, Vec::len)).sum();
        let found = [self.points.count(), self.points.histogram_count(), exemplar_count];
        assert!(found.iter().zip(min).all(|(found, min)| *found >= min), "{found:?}");
    }

    fn assert_stored(&self, server: &Server, when: &str) {
        export_points(&server.http).assert_equals(&self.points, when);
        assert_eq!(exported_values(&server.http), self.points.count(), "duplicates {when}");
        let exemplars = server.http.get(EXEMPLARS).json()["data"].clone();
        assert_eq!(
            by_series(exemplars.as_array().expect("a list")),
            self.exemplars,
            "exemplars {when}"
        );
        assert_eq!(
            server.http.get("/api/v1/metadata").json()["data"],
            self.metadata,
            "metadata {when}"
        );
    }
}

/// Returns exemplars by the labels of their series.
fn by_series(all: &[Value]) -> BTreeMap<String, Value> {
    all.iter()
        .map(|series| (series["seriesLabels"].to_string(), series["exemplars"].clone()))
        .collect()
}

/// Running server with its directory.
struct TestServer {
    temp_dir: TempDir,
    flags: Vec<String>,
    server: Server,
}

impl TestServer {
    fn start(flags: &[&str]) -> TestServer {
        let temp_dir = dir::temp();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let server = launch(&temp_dir, &flags, free_port()).start();
        TestServer { temp_dir, flags, server }
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Foreign {
        let port = self.server.http.port().to_string();
        Foreign::start(program, &[&[port.as_str()], arguments].concat())
    }

    /// Runs a program to its end.
    fn run(&self, program: &str, arguments: &[&str]) {
        self.client(program, arguments).finish();
    }

    /// Runs a program to its end. Asserts that its data is stored, also after a kill.
    fn run_writer(self, program: &str, arguments: &[&str], min: [usize; 3]) {
        let mut client = self.client(program, arguments);
        let written = Written::from_report(&client.step("written"));
        client.finish();
        self.assert_survives_kill(&written, min);
    }

    fn assert_survives_kill(mut self, written: &Written, min: [usize; 3]) {
        written.assert_at_least(min);
        written.assert_stored(&self.server, "before a kill");
        self.kill_and_start();
        written.assert_stored(&self.server, "after a kill");
        self.server.stop();
    }

    /// Kills the server and starts another one on the same port and directory.
    fn kill_and_start(&mut self) {
        self.server.program.kill();
        self.server = launch(&self.temp_dir, &self.flags, self.server.http.port()).start();
    }
}

fn launch(temp_dir: &TempDir, flags: &[String], port: u16) -> Launch {
    let launch = Launch::narthex(&temp_dir.path().join("data")).port(port);
    flags.iter().fold(launch, |launch, flag| launch.flag(flag.as_str()))
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_grpc_writes_of_version_1_are_stored_exactly() {
    TestServer::start(&[]).run_writer("write_unary.py", &["1"], [910, 650, 13]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_grpc_writes_of_version_2_are_stored_exactly() {
    TestServer::start(&[]).run_writer("write_unary.py", &["2"], [910, 650, 13]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn start_timestamps_of_stock_grpc_are_kept_where_representable() {
    let mut server =
        TestServer::start(&["--enable-feature=st-storage,xor2-encoding,histograms-st-encoding"]);
    let mut client = server.client("write_unary.py", &["2"]);
    let report = client.step("written");
    client.finish();
    let expected = starts(report["starts"].as_array().expect("a list"));
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 910);
    Written::from_report(&report).assert_stored(&server.server, "before a kill");
    assert_eq!(starts(&export_lines(&server.server.http)), expected);
    server.kill_and_start();
    Written::from_report(&report).assert_stored(&server.server, "after a kill");
    assert_eq!(starts(&export_lines(&server.server.http)), expected, "after a kill");
    server.server.stop();
}

/// Returns the start timestamps of each series by its labels.
fn starts(lines: &[Value]) -> BTreeMap<String, Vec<i64>> {
    let mut starts: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in lines {
        let lists =
            ["start_timestamps", "histogram_start_timestamps"].map(|name| line[name].as_array());
        let found =
            lists.into_iter().flatten().flatten().map(|start| start.as_i64().expect("a time"));
        starts.entry(line["metric"].to_string()).or_default().extend(found);
    }
    starts
}

/// Low limits.
const SMALL: [&str; 2] =
    ["--storage.remote.write-max-decoded-size=2MB", "--storage.remote.write-max-body-size=1MB"];

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_grpc_decodes_rejections_of_version_1() {
    TestServer::start(&SMALL).run_writer("refused.py", &["1"], [4, 0, 0]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_grpc_decodes_rejections_of_version_2() {
    TestServer::start(&SMALL).run_writer("refused.py", &["2"], [4, 0, 0]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn server_without_space_sends_retry_info_to_stock_grpc() {
    TestServer::start(&["--storage.tsdb.disk-reserve=1000TB"]).run("read_only.py", &[]);
}

/// Services except health and reflection.
const SERVICES: [&str; 7] = [
    "narthex.v1.Write",
    "narthex.v1.Read",
    "thanos.WriteableStore",
    "thanos.Store",
    "thanos.info.Info",
    "thanos.Exemplars",
    "thanos.Metadata",
];

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_health_client_watches_all_services_until_shutdown() {
    let server = TestServer::start(&[]);
    let mut client = server.client("health.py", &SERVICES);
    client.step("watching");
    server.server.stop();
    client.finish();
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn client_with_reflection_only_can_write() {
    let own = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    TestServer::start(&[]).run_writer("reflect.py", &[&SERVICES[..], &own].concat(), [140, 100, 2]);
}

/// Number of kills under a stream.
const KILLS: usize = 5;

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn resumed_stock_grpc_stream_stores_each_sample_once_after_kill() {
    let mut server = TestServer::start(&["--storage.tsdb.wal-segment-size=64KB"]);
    let mut client = server.client("write_stream.py", &[&KILLS.to_string(), "1", "2"]);
    for _ in 0..KILLS {
        client.step("under way");
        server.kill_and_start();
    }
    let report = client.step("written");
    client.finish();
    let requests = report["requests"].as_u64().expect("a number") as usize;
    assert!(requests > KILLS * 150, "{requests} requests");
    assert!(report["repeated"].as_u64() > Some(0), "no request was in flight at a kill");
    server.assert_survives_kill(&Written::from_report(&report), [requests * 6, requests, requests]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn all_read_protocols_return_written_samples() {
    let mut server = TestServer::start(&[
        "--web.enable-admin-api",
        "--storage.remote.read-max-bytes-in-frame=4096",
    ]);
    let mut client = server.client("read_chunks.py", &["4096"]);
    assert!(client.step("read from the head")["values"].as_u64() > Some(1500));
    server.kill_and_start();
    client.go_on();
    assert!(client.step("read after a restart")["values"].as_u64() > Some(4000));
    wait_until("head compaction", || {
        Metrics::of(&server.server.http).sum("prometheus_tsdb_blocks_loaded") >= Some(1.0)
    });
    client.go_on();
    client.step("done");
    client.finish();
    server.server.stop();
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn compressed_calls_of_version_1_are_accepted() {
    TestServer::start(&[]).run_writer("compressed_calls.py", &["1"], [1750, 1250, 25]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn compressed_calls_of_version_2_are_accepted() {
    TestServer::start(&[]).run_writer("compressed_calls.py", &["2"], [1750, 1250, 25]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn remote_write_1_is_accepted_in_every_compression() {
    TestServer::start(&[]).run_writer("http_write.py", &["1"], [840, 600, 12]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn remote_write_2_is_accepted_in_every_compression() {
    TestServer::start(&[]).run_writer("http_write.py", &["2"], [840, 600, 12]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn both_versions_of_http_and_grpc_share_a_port() {
    TestServer::start(&[]).run_writer("mixed.py", &[], [5 * 80 * 30, 0, 0]);
}

#[test]
#[ignore = "needs Python and Debian's prometheus: run tests/run"]
fn streamed_chunks_match_debian_prometheus_exactly() {
    const FRAME: &str = "--storage.remote.read-max-bytes-in-frame=4096";
    let server = TestServer::start(&[FRAME]);
    let port = free_port();
    let mut client = server.client("twins.py", &[&port.to_string(), "4096"]);
    client.step("asked");
    server.server.stop();
    let prometheus =
        Launch::prometheus(&server.temp_dir.path().join("data"), "{}").port(port).flag(FRAME);
    let prometheus = prometheus.flag("--enable-feature=native-histograms").start();
    client.go_on();
    let report = client.step("compared");
    assert!(
        report["frames"].as_u64() >= Some(9) && report["bytes"].as_u64() > Some(40_000),
        "{report}"
    );
    client.finish();
    prometheus.stop();
}

#[test]
#[ignore = "needs Python and Debian's prometheus: run tests/run"]
fn debian_prometheus_requests_samples_in_remote_read() {
    let temp_dir = dir::temp();
    let mut client = Foreign::start("asked.py", &[]);
    let port = client.step("listening")["port"].as_u64().expect("a port");
    let config = format!("remote_read: [{{url: 'http://127.0.0.1:{port}/', read_recent: true}}]\n");
    let prometheus = Launch::prometheus(&temp_dir.path().join("data"), &config).start();
    assert_eq!(prometheus.http.get("/api/v1/query?query=up").json()["status"], "success");
    client.go_on();
    // No response type means samples: this version does not know streamed chunks.
    let types = client.step("asked")["types"].clone();
    assert!(types.as_array().is_some_and(|requests| !requests.is_empty()), "no request");
    for accepted in types.as_array().expect("a list") {
        assert_eq!(accepted, &serde_json::json!([]), "{types}");
    }
    client.finish();
    prometheus.stop();
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn old_and_new_thanos_receive_routers_write_tenants() {
    TestServer::start(&[]).run_writer("thanos_write.py", &[], [301_000, 800, 16]);
}

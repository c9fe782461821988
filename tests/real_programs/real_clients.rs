//! Clients that nobody here wrote: stock gRPC, and programs on stock packages, against the real
//! binary.
//!
//! Each program checks what it is answered; what is stored is then read back here, exactly, also
//! after a kill.

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

/// What a program says that it has stored.
struct Written {
    points: Points,
    exemplars: BTreeMap<String, Value>,
    metadata: Value,
}

impl Written {
    fn of(said: &Value) -> Written {
        let list =
            |name: &str| said[name].as_array().unwrap_or_else(|| panic!("no {name}")).clone();
        Written {
            points: points_of_lines(list("export")),
            exemplars: by_series(&list("exemplars")),
            metadata: said["metadata"].clone(),
        }
    }

    /// A test that compares nothing with nothing has shown nothing.
    fn has_at_least(&self, least: [usize; 3]) {
        let exemplar_count: usize =
            self.exemplars.values().map(|list| list.as_array().map_or(0, Vec::len)).sum();
        let found = [self.points.count(), self.points.histogram_count(), exemplar_count];
        assert!(found.iter().zip(least).all(|(found, least)| *found >= least), "{found:?}");
    }

    fn is_shown_by(&self, server: &Server, when: &str) {
        export_points(&server.http).assert_equals(&self.points, when);
        assert_eq!(
            exported_values(&server.http),
            self.points.count(),
            "nothing is there twice {when}"
        );
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

/// Exemplars by the text of their series' labels.
fn by_series(all: &[Value]) -> BTreeMap<String, Value> {
    all.iter()
        .map(|series| (series["seriesLabels"].to_string(), series["exemplars"].clone()))
        .collect()
}

/// A server of its own, in a folder of its own.
struct Bench {
    place: TempDir,
    flags: Vec<String>,
    server: Server,
}

impl Bench {
    fn start(flags: &[&str]) -> Bench {
        let place = dir::temp();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let server = launch(&place, &flags, free_port()).start();
        Bench { place, flags, server }
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Foreign {
        let port = self.server.http.port().to_string();
        Foreign::start(program, &[&[port.as_str()], arguments].concat())
    }

    /// Runs a program to its end, which has nothing to say.
    fn run(&self, program: &str, arguments: &[&str]) {
        self.client(program, arguments).finish();
    }

    /// Runs a program to its end; what it says that it has written is there now, and after a kill.
    fn run_writer(self, program: &str, arguments: &[&str], least: [usize; 3]) {
        let mut client = self.client(program, arguments);
        let written = Written::of(&client.step("written"));
        client.finish();
        self.survives_a_kill(&written, least);
    }

    fn survives_a_kill(mut self, written: &Written, least: [usize; 3]) {
        written.has_at_least(least);
        written.is_shown_by(&self.server, "while it runs");
        self.kill_and_start();
        written.is_shown_by(&self.server, "after a kill");
        self.server.stop();
    }

    /// kill -9, and another one on the same port and directory.
    fn kill_and_start(&mut self) {
        self.server.program.kill();
        self.server = launch(&self.place, &self.flags, self.server.http.port()).start();
    }
}

fn launch(place: &TempDir, flags: &[String], port: u16) -> Launch {
    let launch = Launch::narthex(&place.path().join("data")).port(port);
    flags.iter().fold(launch, |launch, flag| launch.flag(flag.as_str()))
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn what_stock_grpc_writes_by_version_1_is_there_with_every_bit() {
    Bench::start(&[]).run_writer("write_unary.py", &["1"], [910, 650, 13]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn what_stock_grpc_writes_by_version_2_is_there_with_every_bit() {
    Bench::start(&[]).run_writer("write_unary.py", &["2"], [910, 650, 13]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn start_timestamps_of_stock_grpc_are_kept_where_representable() {
    let mut bench =
        Bench::start(&["--enable-feature=st-storage,xor2-encoding,histograms-st-encoding"]);
    let mut client = bench.client("write_unary.py", &["2"]);
    let said = client.step("written");
    client.finish();
    let expected = starts(said["starts"].as_array().expect("a list"));
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 910);
    Written::of(&said).is_shown_by(&bench.server, "while it runs");
    assert_eq!(starts(&export_lines(&bench.server.http)), expected);
    bench.kill_and_start();
    Written::of(&said).is_shown_by(&bench.server, "after a kill");
    assert_eq!(starts(&export_lines(&bench.server.http)), expected, "after a kill");
    bench.server.stop();
}

/// The starts of all values of each series, by the text of its labels.
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

/// The most that is taken is small, so that too much is soon sent.
const SMALL: [&str; 2] =
    ["--storage.remote.write-max-decoded-size=2MB", "--storage.remote.write-max-body-size=1MB"];

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_grpc_finds_in_a_refusal_what_is_wrong_by_version_1() {
    Bench::start(&SMALL).run_writer("refused.py", &["1"], [4, 0, 0]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn stock_grpc_finds_in_a_refusal_what_is_wrong_by_version_2() {
    Bench::start(&SMALL).run_writer("refused.py", &["2"], [4, 0, 0]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn a_server_without_space_tells_stock_grpc_to_come_back() {
    Bench::start(&["--storage.tsdb.disk-reserve=1000TB"]).run("read_only.py", &[]);
}

/// The services that are for others than gRPC's own tools.
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
fn stock_health_checks_see_every_service_until_the_server_stops() {
    let bench = Bench::start(&[]);
    let mut client = bench.client("health.py", &SERVICES);
    client.step("watching");
    bench.server.stop();
    client.finish();
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn a_client_that_knows_only_what_reflection_tells_can_write() {
    let own = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    Bench::start(&[]).run_writer("reflect.py", &[&SERVICES[..], &own].concat(), [140, 100, 2]);
}

/// How often a server is killed under a stream.
const KILLS: usize = 5;

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn resumed_stock_grpc_stream_stores_each_sample_once_after_kill() {
    let mut bench = Bench::start(&["--storage.tsdb.wal-segment-size=64KB"]);
    let mut client = bench.client("write_stream.py", &[&KILLS.to_string(), "1", "2"]);
    for _ in 0..KILLS {
        client.step("under way");
        bench.kill_and_start();
    }
    let said = client.step("written");
    client.finish();
    let requests = said["requests"].as_u64().expect("a number") as usize;
    assert!(requests > KILLS * 150, "{requests} requests");
    assert!(
        said["repeated"].as_u64() > Some(0),
        "no request was under way when the server was killed"
    );
    bench.survives_a_kill(&Written::of(&said), [requests * 6, requests, requests]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn every_way_to_read_gives_what_was_written() {
    let mut bench =
        Bench::start(&["--web.enable-admin-api", "--storage.remote.read-max-bytes-in-frame=4096"]);
    let mut client = bench.client("read_chunks.py", &["4096"]);
    assert!(client.step("read from the head")["values"].as_u64() > Some(1500));
    bench.kill_and_start();
    client.go_on();
    assert!(client.step("read after a restart")["values"].as_u64() > Some(4000));
    wait_until("the head to be compacted", || {
        Metrics::of(&bench.server.http).sum("prometheus_tsdb_blocks_loaded") >= Some(1.0)
    });
    client.go_on();
    client.step("done");
    client.finish();
    bench.server.stop();
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn compressed_calls_are_taken_in_every_encoding_by_version_1() {
    Bench::start(&[]).run_writer("compressed_calls.py", &["1"], [1750, 1250, 25]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn compressed_calls_are_taken_in_every_encoding_by_version_2() {
    Bench::start(&[]).run_writer("compressed_calls.py", &["2"], [1750, 1250, 25]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn remote_write_1_is_taken_in_every_packing() {
    Bench::start(&[]).run_writer("http_write.py", &["1"], [840, 600, 12]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn remote_write_2_is_taken_in_every_packing() {
    Bench::start(&[]).run_writer("http_write.py", &["2"], [840, 600, 12]);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn both_versions_of_http_and_grpc_share_a_port() {
    Bench::start(&[]).run_writer("mixed.py", &[], [5 * 80 * 30, 0, 0]);
}

#[test]
#[ignore = "needs Python and Debian's prometheus: run tests/run"]
fn streamed_chunks_are_those_of_debians_prometheus_bit_for_bit() {
    const FRAME: &str = "--storage.remote.read-max-bytes-in-frame=4096";
    let bench = Bench::start(&[FRAME]);
    let port = free_port();
    let mut client = bench.client("twins.py", &[&port.to_string(), "4096"]);
    client.step("asked");
    bench.server.stop();
    let prometheus =
        Launch::prometheus(&bench.place.path().join("data"), "{}").port(port).flag(FRAME);
    let prometheus = prometheus.flag("--enable-feature=native-histograms").start();
    client.go_on();
    let said = client.step("compared");
    assert!(said["frames"].as_u64() >= Some(9) && said["bytes"].as_u64() > Some(40_000), "{said}");
    client.finish();
    prometheus.stop();
}

#[test]
#[ignore = "needs Python and Debian's prometheus: run tests/run"]
fn debians_prometheus_asks_for_samples_when_it_reads() {
    let place = dir::temp();
    let mut client = Foreign::start("asked.py", &[]);
    let port = client.step("listening")["port"].as_u64().expect("a port");
    let config = format!("remote_read: [{{url: 'http://127.0.0.1:{port}/', read_recent: true}}]\n");
    let prometheus = Launch::prometheus(&place.path().join("data"), &config).start();
    assert_eq!(prometheus.http.get("/api/v1/query?query=up").json()["status"], "success");
    client.go_on();
    // No type at all means samples: what it is streamed it does not understand.
    let types = client.step("asked")["types"].clone();
    assert!(
        types.as_array().is_some_and(|requests| !requests.is_empty()),
        "it has asked for nothing"
    );
    for one in types.as_array().expect("a list") {
        assert_eq!(one, &serde_json::json!([]), "{types}");
    }
    client.finish();
    prometheus.stop();
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn routers_of_thanos_receive_old_and_new_write_their_tenants() {
    Bench::start(&[]).run_writer("thanos_write.py", &[], [301_000, 800, 16]);
}

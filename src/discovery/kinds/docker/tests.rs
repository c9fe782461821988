//! Tests against a daemon on a unix socket.

use super::{DockerSource, client_settings};
use crate::config::file;
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::docker::DockerSdConfig;
use crate::discovery::fake_server::{FakeServer, Reply};
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::docker::api::{ApiVersion, DockerApi};
use crate::discovery::kinds::docker::containers::{Container, Network, Targets};
use crate::discovery::refresh::RefreshSource;
use crate::discovery::story;
use crate::discovery::story::{CurrentStep, STEPS, Story};
use crate::discovery::target_group::LabelSet;
use crate::http_client::client::HttpClient;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Returns the settings of an entry.
fn config(keys: &str) -> DockerSdConfig {
    let text = format!("scrape_configs: [{{job_name: a, docker_sd_configs: [{{{keys}}}]}}]");
    let file = file::parse_for_tests(&text);
    match file.scrape.jobs[0].discoveries.as_slice() {
        [DiscoveryConfig::Docker(config)] => (**config).clone(),
        other => panic!("{other:?}"),
    }
}

fn source(config: &DockerSdConfig) -> DockerSource {
    let client = HttpClient::new(&client_settings(config), "test/1", &|_| None).expect("a client");
    DockerSource { api: DockerApi::new(config, client), config: config.clone() }
}

/// Directory with the socket of a daemon.
struct Socket {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Socket {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("docker.sock");
        Self { _dir: dir, path }
    }

    fn config(&self, keys: &str) -> DockerSdConfig {
        config(&format!("host: 'unix://{}'{keys}", self.path.display()))
    }
}

/// Returns the response of the recorded daemon.
fn recorded_reply(data: &Value, path: &str) -> Reply {
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match (path, data["error"].as_u64()) {
        ("/_ping", _) => (200, json!("OK")),
        (_, Some(status)) => (status, json!({"message": "the daemon is ill"})),
        ("/v1.47/containers/json", None) => (200, data["containers"].clone()),
        ("/v1.47/networks", None) => (200, data["networks"].clone()),
        _ => (404, json!({"message": "page not found"})),
    };
    let mut reply = story::reply(status, "application/json", &body);
    reply.headers.push("Api-Version: 1.47".to_owned());
    reply
}

#[tokio::test]
async fn recorded_story_has_targets_of_prometheus() {
    let socket = Socket::new();
    let step = CurrentStep::default();
    let (world, shown) = (story::load_world(), step.clone());
    let server = FakeServer::start_unix(&socket.path, move |path| {
        Some(recorded_reply(&world[shown.get()]["docker"], path))
    });
    let dir = socket.path.parent().expect("a directory");
    let story = Story::of("docker", "DIR", "DIR", dir);
    let mut sources: Vec<_> = story
        .jobs()
        .into_iter()
        .map(|job| {
            let DiscoveryConfig::Docker(config) = story.config(&job) else { panic!("{job}") };
            (source(config), GroupSink::collecting(), job)
        })
        .collect();
    assert_eq!(sources.len(), 2);
    let mut count = 0;
    for number in 0..STEPS {
        step.set(number);
        for (source, sink, job) in &mut sources {
            match source.refresh().await {
                Ok(groups) => sink.send(groups),
                Err(error) => {
                    let expected =
                        "daemon returned HTTP status 500 X: \"the daemon is ill\"".to_owned();
                    assert_eq!((number, error.to_string()), (4, expected));
                }
            }
            let found = story::targets(&sink.groups());
            assert_eq!(found, story.expected(number, job), "step {number}, job {job}");
            count += found.len();
        }
    }
    assert_eq!(count, 2 * (9 + 10) + 4 + 9 + 10);
    let mut paths = server.paths();
    paths.sort();
    paths.dedup();
    assert_eq!(
        paths,
        [
            "/_ping",
            "/v1.47/containers/json",
            "/v1.47/containers/json?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%2C%22c%22%3A\
             true%7D%7D",
            "/v1.47/networks",
        ]
    );
    let heads = server.heads().join("\n").to_ascii_lowercase();
    assert_eq!(heads.matches("head /_ping").count(), 2);
    assert!(heads.contains("\r\nhost: api.moby.localhost"), "{heads}");
}

#[tokio::test]
async fn daemon_without_version_gets_plain_paths() {
    for (ping, expected) in [
        (Reply { status: 403, ..Reply::json("no") }, "/containers/json"),
        (
            Reply { headers: vec!["Api-Version: x".to_owned()], ..Reply::json("") },
            "/containers/json",
        ),
        (
            Reply { headers: vec!["Api-Version: 1.99".to_owned()], ..Reply::json("") },
            "/v1.54/containers/json",
        ),
    ] {
        let socket = Socket::new();
        let server = FakeServer::start_unix(&socket.path, move |path| {
            Some(if path == "/_ping" { ping.clone() } else { Reply::json("null") })
        });
        let groups = source(&socket.config("")).refresh().await.expect("lists");
        assert!(groups.len() == 1 && groups[0].targets.is_empty());
        assert_eq!(server.paths()[1], expected);
    }
}

#[tokio::test]
async fn failures_are_named() {
    let socket = Socket::new();
    let mut source = source(&socket.config(", refresh_interval: 200ms"));
    let error = source.refresh().await.map(drop).expect_err("no socket").to_string();
    assert!(error.starts_with("Head \"http://api.moby.localhost/_ping\": "), "{error}");
    let _server = FakeServer::start_unix(&socket.path, |path| {
        let path = path.trim_start_matches("/v1.40");
        let mut reply = Reply::json(if path == "/networks" { "{}" } else { "[]" });
        reply.headers.push("Api-Version: 1.40".to_owned());
        Some(reply)
    });
    let error = source.refresh().await.map(drop).expect_err("no list").to_string();
    assert!(error.starts_with("invalid response: "), "{error}");
    drop(_server);
}

#[tokio::test]
async fn settings_of_the_client_are_for_http_hosts() {
    let server = FakeServer::start(|_| Some(Reply::json("[]"))).await;
    for (scheme, expected) in [("http", true), ("tcp", false)] {
        let keys = format!(
            "host: '{scheme}://{}/base/', basic_auth: {{username: u, password: p}}",
            server.address
        );
        let text = format!("scrape_configs: [{{job_name: a, docker_sd_configs: [{{{keys}}}]}}]");
        let options = file::options::LoadOptions::new(false);
        let (file, problems) = file::parse(&text, Path::new(""), options, &|_| None);
        assert_eq!((problems.len(), file.warnings.len()), (0, usize::from(!expected)));
        let [discovery] = file.scrape.jobs[0].discoveries.as_slice() else { panic!("one") };
        assert_eq!(discovery.http_client().is_some(), expected);
        let DiscoveryConfig::Docker(config) = discovery else { panic!("{discovery:?}") };
        source(config).refresh().await.expect("lists");
        let head = server.heads().pop().expect("a request");
        assert!(head.starts_with("GET /base/networks HTTP/1.1\r\n"), "{head}");
        assert_eq!(head.to_ascii_lowercase().contains("authorization: basic dtpw"), expected);
    }
}

/// Returns the targets of containers, as `address` and the values of these labels.
fn targets(keys: &str, containers: &Value, labels: &[&str]) -> Vec<String> {
    let containers: Vec<Container> =
        serde_json::from_value(containers.clone()).expect("containers");
    let networks: Vec<Network> =
        serde_json::from_value(json!([{"Id": "n1", "Name": "one"}])).expect("networks");
    let config = config(&format!("host: 'tcp://h:1'{keys}"));
    let targets = Targets::new(&config, &networks).of(&containers).expect("few targets");
    let shown = |target: &LabelSet| {
        let value = |label: &&str| target.get(*label).cloned().unwrap_or_default();
        labels.iter().map(value).collect::<Vec<_>>().join(" ")
    };
    targets.iter().map(shown).collect()
}

#[test]
fn containers_become_targets() {
    let endpoint = |ip: &str, ip6: &str| json!({"NetworkID": "n1", "IPAddress": ip, "GlobalIPv6Address": ip6, "MacAddress": "x"});
    let container = |id: &str, mode: &str, networks: Value| {
        json!({"Id": id, "Names": [format!("/{id}")], "HostConfig": {"NetworkMode": mode},
               "NetworkSettings": {"Networks": networks},
               "Ports": [{"PrivatePort": 1, "Type": "tcp"}, {"PrivatePort": 2, "Type": "udp"}]})
    };
    let two = json!({"b": endpoint("10.0.0.2", ""), "a": endpoint("", "FD00::1"), "": null});
    let containers = json!([
        container("two", "b", two),
        container("near", "container:far", json!({})),
        container("far", "container:two", Value::Null),
        container("x", "container:y", json!({})),
        container("y", "container:x", json!({})),
        container("lost", "container:absent", json!({})),
        {"Id": "nameless", "Names": []},
        {"Id": "bare", "Names": ["/bare"], "Labels": null, "Ports": null, "HostConfig": null,
         "NetworkSettings": null},
        {"Id": "host", "Names": ["/host"], "HostConfig": {"NetworkMode": "host"},
         "NetworkSettings": {"Networks": {"host": {}}}},
        {"Id": "none", "Names": ["/none"], "NetworkSettings": {"Networks": {"z": {}}}},
    ]);
    let labels = ["__address__", "__meta_docker_container_name", "__meta_docker_network_name"];
    assert_eq!(
        targets("", &containers, &labels),
        [
            "[fd00::1]:1 /two one",
            "[fd00::1]:1 /near one",
            "[fd00::1]:1 /far one",
            "localhost /host ",
            ":80 /none ",
        ]
    );
    let keys = ", match_first_network: false, port: 9, host_networking_host: outer";
    assert_eq!(
        targets(keys, &containers, &labels),
        [
            "[fd00::1]:1 /two one",
            "10.0.0.2:1 /two one",
            "[fd00::1]:1 /near one",
            "10.0.0.2:1 /near one",
            "[fd00::1]:1 /far one",
            "10.0.0.2:1 /far one",
            "outer /host ",
            ":9 /none ",
        ]
    );
}

#[test]
fn addresses_must_be_addresses() {
    let list = |ip: &str| json!([{"Names": ["/a"], "NetworkSettings": {"Networks": {"n": {"IPAddress": ip}}}}]);
    assert_eq!(targets("", &list("fe80::1%eth0"), &["__address__"]), ["[fe80::1%eth0]:80"]);
    assert!(serde_json::from_value::<Vec<Container>>(list("10.0.0")).is_err());
    assert!(
        serde_json::from_value::<Vec<Container>>(json!([{"Ports": [{"PrivatePort": 70000}]}]))
            .is_err()
    );
}

#[test]
fn number_of_targets_is_limited() {
    let container = json!({"Names": ["/a"], "NetworkSettings": {"Networks": {"n": {}}}});
    let containers: Vec<Container> =
        serde_json::from_value(vec![container; 100_001].into()).expect("containers");
    let config = config("host: 'tcp://h:1'");
    let targets = Targets::new(&config, &[]);
    assert!(targets.of(&containers[1..]).is_ok());
    let error = targets.of(&containers).map(|all| all.len()).expect_err("too many");
    assert_eq!(error.to_string(), "containers have more than 100000 targets");
}

#[test]
fn versions_are_compared_by_number() {
    let version = |text| ApiVersion::parse(text);
    assert!(version("1.9") < version("1.47") && version("v1.47") == version("1.47"));
    assert!(version("1.47") < version("2.0"));
    for text in ["", "1", "1.x", "-1.2", "1.99999999999"] {
        assert_eq!(version(text), None, "{text}");
    }
}

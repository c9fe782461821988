//! Tests against a server on loopback.

use super::service::{Instance, ServiceLabels};
use super::{RETRY_DELAY, WaitIndex, Watcher, provider};
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::consul::ConsulSdConfig;
use crate::discovery::fake_server::{FakeServer, Reply};
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::kinds::consul::api::ConsulApi;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::ProviderNames;
use crate::discovery::story;
use crate::discovery::story::{CurrentStep, STEPS, Story};
use crate::http_client::client::HttpClient;
use crate::log_limit::LogLimit;
use crate::metrics::registry::Registry;
use crate::model::secret::Secret;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn config(address: &str) -> ConsulSdConfig {
    ConsulSdConfig {
        refresh_interval: Duration::from_millis(20),
        ..ConsulSdConfig::of_server(address)
    }
}

fn watcher(config: ConsulSdConfig, registry: &mut Registry) -> Watcher {
    let client = HttpClient::new(&config.http_client, "test/1", &|_| None).expect("a client");
    Watcher {
        api: Arc::new(ConsulApi::new(&config, client)),
        config: Arc::new(config),
        metrics: DiscoveryMetrics::register(registry).consul,
        errors: Arc::new(LogLimit::new("test")),
        retry_delay: Duration::from_millis(50),
        names: ProviderNames { mechanism: "consul", job: "job".to_owned() },
    }
}

/// Contents of a Consul server.
#[derive(Debug, Clone, Default)]
struct World {
    index: u64,
    /// Bodies of the instances, by service.
    services: BTreeMap<String, String>,
    is_ill: bool,
}

/// Server, its contents and the sink of a running provider.
struct Fixture {
    world: Arc<Mutex<World>>,
    server: FakeServer,
}

impl Fixture {
    async fn new() -> Self {
        let world = Arc::new(Mutex::new(World { index: 100, ..World::default() }));
        let shown = Arc::clone(&world);
        let server = FakeServer::start(move |path| respond(&shown.lock(), path)).await;
        Self { world, server }
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        let mut world = self.world.lock();
        change(&mut world);
        world.index += 1;
    }
}

fn respond(world: &World, path: &str) -> Option<Reply> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut reply = Reply::json("null");
    reply.headers.push(format!("X-Consul-Index: {}", world.index));
    if world.is_ill {
        (reply.status, reply.body) = (500, "no leader".to_owned());
        return Some(reply);
    }
    let is_current = query.split('&').any(|pair| pair == format!("index={}", world.index));
    if is_current {
        return None;
    }
    reply.body = if path == "/v1/agent/self" {
        r#"{"Config":{"Datacenter":"dc9"}}"#.to_owned()
    } else if path == "/v1/catalog/services" {
        let services = world.services.keys().map(|name| format!("{name:?}:[\"t\"]"));
        format!("{{{}}}", services.collect::<Vec<_>>().join(","))
    } else {
        let name = path.rsplit('/').next().unwrap_or_default();
        world.services.get(name).cloned().unwrap_or_else(|| "[]".to_owned())
    };
    Some(reply)
}

fn instance(node: &str, port: u16) -> String {
    format!(
        r#"[{{"Node":{{"Node":"n","Address":"{node}"}},"Service":{{"ID":"i","Port":{port}}},"Checks":[]}}]"#
    )
}

/// Waits until the groups of the sink are these, as `source[addresses]`.
async fn wait_for(sink: &GroupSink, expected: &[&str]) {
    let start = std::time::Instant::now();
    loop {
        let groups = sink.groups();
        let shown: Vec<String> = groups
            .iter()
            .map(|group| {
                let all: Vec<_> = group.targets.iter().map(|t| t["__address__"].clone()).collect();
                format!("{}[{}]", group.source, all.join(" "))
            })
            .collect();
        if shown == expected {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{shown:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn services_are_followed() {
    let fixture = Fixture::new().await;
    fixture.change(|world| {
        world.services.insert("web".to_owned(), instance("10.0.0.1", 80));
        world.services.insert("db".to_owned(), instance("fd00::1", 5432));
    });
    let mut registry = Registry::new();
    let sink = GroupSink::collecting();
    let watcher = watcher(config(&fixture.server.address), &mut registry);
    let task = tokio::spawn(watcher.run(sink.clone()));
    wait_for(&sink, &["db[[fd00::1]:5432]", "web[10.0.0.1:80]"]).await;
    fixture.change(|world| {
        world.services.insert("web".to_owned(), instance("10.0.0.2", 80));
        world.services.remove("db");
        world.services.insert("new".to_owned(), instance("10.0.0.3", 1));
    });
    wait_for(&sink, &["new[10.0.0.3:1]", "web[10.0.0.2:80]"]).await;
    // An error keeps everything.
    fixture.change(|world| world.is_ill = true);
    tokio::time::sleep(Duration::from_millis(200)).await;
    wait_for(&sink, &["new[10.0.0.3:1]", "web[10.0.0.2:80]"]).await;
    fixture.change(|world| {
        world.is_ill = false;
        world.services.remove("new");
    });
    wait_for(&sink, &["web[10.0.0.2:80]"]).await;
    // The server was restored from a backup.
    let mut world = fixture.world.lock().clone();
    (world.index, world.services) = (5, [("old".to_owned(), instance("10.0.0.9", 1))].into());
    *fixture.world.lock() = world;
    wait_for(&sink, &["old[10.0.0.9:1]"]).await;
    fixture.change(|world| drop(world.services.insert("old".to_owned(), instance("10.0.0.8", 1))));
    wait_for(&sink, &["old[10.0.0.8:1]"]).await;
    task.abort();
}

#[tokio::test]
async fn unchanged_services_cause_no_requests() {
    let fixture = Fixture::new().await;
    fixture.change(|world| drop(world.services.insert("web".to_owned(), instance("a", 80))));
    let mut registry = Registry::new();
    let sink = GroupSink::collecting();
    let watcher = watcher(config(&fixture.server.address), &mut registry);
    let task = tokio::spawn(watcher.run(sink.clone()));
    wait_for(&sink, &["web[a:80]"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut paths = fixture.server.paths();
    paths.sort();
    assert_eq!(
        paths,
        [
            "/v1/agent/self",
            "/v1/catalog/services?wait=120000ms&stale=",
            "/v1/catalog/services?wait=120000ms&stale=&index=101",
            "/v1/health/service/web?wait=120000ms&stale=",
            "/v1/health/service/web?wait=120000ms&stale=&index=101",
        ]
    );
    task.abort();
}

#[tokio::test]
async fn settings_become_parameters() {
    let fixture = Fixture::new().await;
    fixture.change(|world| drop(world.services.insert("web".to_owned(), instance("a", 80))));
    let mut settings = config(&fixture.server.address);
    settings.address.base_url.push_str("/prefix");
    settings.token = Some(Secret::new("secret-token"));
    settings.datacenter = "dc2".to_owned();
    settings.namespace = "ns".to_owned();
    settings.partition = "part".to_owned();
    settings.allow_stale = false;
    settings.node_meta = [("rack".to_owned(), "r1".to_owned())].into();
    settings.filter = "ServiceName == \"web\"".to_owned();
    settings.health_filter = "Checks.Status == passing".to_owned();
    settings.services = vec!["a/b".to_owned()];
    settings.tags = vec!["blue".to_owned(), "v2".to_owned()];
    settings.refresh_interval = Duration::from_secs(60);
    let mut registry = Registry::new();
    let of_catalog = watcher(settings.clone(), &mut registry);
    let catalog = tokio::spawn(of_catalog.run(GroupSink::collecting()));
    settings.filter = String::new();
    settings.tags = Vec::new();
    let of_service = watcher(settings, &mut Registry::new());
    let service = tokio::spawn(of_service.run(GroupSink::collecting()));
    while fixture.server.heads().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut paths = fixture.server.paths();
    paths.sort();
    let scope = "dc=dc2&ns=ns&partition=part&wait=120000ms&node-meta=rack%3Ar1";
    assert_eq!(
        paths,
        [
            format!("/prefix/v1/catalog/services?{scope}&filter=ServiceName+%3D%3D+%22web%22"),
            format!("/prefix/v1/health/service/a%2Fb?{scope}&filter=Checks.Status+%3D%3D+passing"),
        ]
    );
    for head in fixture.server.heads() {
        assert!(head.to_ascii_lowercase().contains("\r\nx-consul-token: secret-token"), "{head}");
    }
    catalog.abort();
    service.abort();
}

#[tokio::test]
async fn tags_and_names_select_services() {
    let fixture = Fixture::new().await;
    let mut settings = config(&fixture.server.address);
    settings.services = vec!["web".to_owned()];
    settings.tags = vec!["a".to_owned(), "b".to_owned()];
    let watcher = watcher(settings, &mut Registry::new());
    let tags = |all: &[&str]| -> Vec<String> { all.iter().map(ToString::to_string).collect() };
    assert!(watcher.is_wanted("web", &tags(&["b", "c", "a"])));
    assert!(!watcher.is_wanted("web", &tags(&["a"])));
    assert!(!watcher.is_wanted("db", &tags(&["a", "b"])));
}

#[test]
fn decreased_index_starts_again() {
    let mut index = WaitIndex::default();
    assert!(index.advance(7) && index == WaitIndex(7));
    assert!(!index.advance(7));
    assert!(index.advance(9));
    assert!(index.advance(3) && index == WaitIndex(0));
    assert!(index.advance(3) && !index.advance(3));
}

#[test]
fn retry_delay_is_that_of_prometheus() {
    assert_eq!(RETRY_DELAY, Duration::from_secs(15));
    let metrics = DiscoveryMetrics::register(&mut Registry::new());
    let names = ProviderNames { mechanism: "consul", job: "job".to_owned() };
    let environment = crate::discovery::kinds::environment::Environment::default();
    assert!(provider(&config("127.0.0.1:1"), names, &environment, &metrics).is_ok());
}

#[test]
fn instance_becomes_labels() {
    let body = r#"[{
        "Node": {"ID": "x", "Node": "n1", "Address": "10.0.1.1", "Datacenter": "other",
                 "TaggedAddresses": {"lan": "10.0.1.1"}, "Meta": {"cpu.count": "4"}},
        "Service": {"ID": "web-1", "Service": "web", "Tags": ["blue", "v2"],
                    "Address": "10.9.0.1", "Port": 80, "Meta": {"odd-key.x": "y"},
                    "TaggedAddresses": {"wan": {"Address": "5.6.7.8", "Port": 8443}},
                    "Namespace": "ns1", "Partition": "p1"},
        "Checks": [{"CheckID": "c", "Status": "passing"}]},
        {"Node": {"Node": "n2", "Address": "fd00::2", "TaggedAddresses": null, "Meta": null},
         "Service": {"ID": "web-2", "Tags": null, "Address": "", "Port": 0, "Meta": null},
         "Checks": null}]"#;
    let instances: Vec<Instance> = serde_json::from_str(body).expect("instances");
    let labels = ServiceLabels { service: "web", datacenter: "dc9", tag_separator: "|" };
    let group = labels.group(instances);
    assert_eq!(group.source, "web");
    let shown = |labels: &BTreeMap<String, String>| -> Vec<String> {
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(shown(&group.labels), ["__meta_consul_dc=dc9", "__meta_consul_service=web"]);
    assert_eq!(
        shown(&group.targets[0]),
        [
            "__address__=10.9.0.1:80",
            "__meta_consul_address=10.0.1.1",
            "__meta_consul_health=passing",
            "__meta_consul_metadata_cpu_count=4",
            "__meta_consul_namespace=ns1",
            "__meta_consul_node=n1",
            "__meta_consul_partition=p1",
            "__meta_consul_service_address=10.9.0.1",
            "__meta_consul_service_id=web-1",
            "__meta_consul_service_metadata_odd_key_x=y",
            "__meta_consul_service_port=80",
            "__meta_consul_tagged_address_lan=10.0.1.1",
            "__meta_consul_tags=|blue|v2|",
        ]
    );
    assert_eq!(
        shown(&group.targets[1]),
        [
            "__address__=[fd00::2]:0",
            "__meta_consul_address=fd00::2",
            "__meta_consul_health=passing",
            "__meta_consul_node=n2",
            "__meta_consul_service_id=web-2",
            "__meta_consul_service_port=0",
            "__meta_consul_tags=||",
        ]
    );
}

#[test]
fn worst_check_is_the_health() {
    for (checks, expected) in [
        ("[]", Some("passing")),
        (r#"[{"Status":"passing"},{"Status":"warning"}]"#, Some("warning")),
        (r#"[{"Status":"critical"},{"Status":"warning"}]"#, Some("critical")),
        (
            r#"[{"Status":"critical"},{"CheckID":"_node_maintenance","Status":"x"}]"#,
            Some("maintenance"),
        ),
        (r#"[{"CheckID":"_service_maintenance:web","Status":"critical"}]"#, Some("maintenance")),
        (r#"[{"Status":"passing"},{"Status":"maintenance"}]"#, None),
        (r#"[{"Status":""}]"#, None),
    ] {
        let body = format!(r#"[{{"Node":{{}},"Service":{{}},"Checks":{checks}}}]"#);
        let instances: Vec<Instance> = serde_json::from_str(&body).expect("instances");
        let labels = ServiceLabels { service: "s", datacenter: "d", tag_separator: "," };
        let group = labels.group(instances);
        let health = group.targets[0].get("__meta_consul_health").map(String::as_str);
        assert_eq!(health, expected, "{checks}");
    }
}

/// Returns the response of the recorded fake; `None` while a query blocks.
fn recorded_reply(step: usize, data: &Value, path: &str) -> Option<Reply> {
    if let Some(status) = data["error"].as_u64() {
        return Some(story::reply(status, "text/plain", &"rpc error: no leader".into()));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let index = 100 + step;
    if query.split('&').any(|pair| pair == format!("index={index}")) {
        return None;
    }
    let services = data["services"].as_object().expect("services");
    let tags = |entry: &Value| entry["Service"]["Tags"].as_array().cloned().unwrap_or_default();
    let body = match path {
        "/v1/agent/self" => json!({"Config": {"Datacenter": "dc9"}}),
        "/v1/catalog/services" => {
            let tags_of = |entries: &Value| {
                entries.as_array().into_iter().flatten().flat_map(tags).collect::<Vec<_>>()
            };
            services.iter().map(|(name, all)| (name.clone(), json!(tags_of(all)))).collect()
        }
        _ => {
            let name = path.strip_prefix("/v1/health/service/").expect("a service");
            let wanted: Vec<_> =
                query.split('&').filter_map(|pair| pair.strip_prefix("tag=")).collect();
            let entries = services.get(name).and_then(Value::as_array).into_iter().flatten();
            let entries = entries.filter(|entry| {
                wanted.iter().all(|wanted| tags(entry).iter().any(|tag| tag == wanted))
            });
            entries.cloned().collect()
        }
    };
    let mut reply = story::reply(200, "application/json", &body);
    reply.headers.push(format!("X-Consul-Index: {index}"));
    Some(reply)
}

#[tokio::test]
async fn recorded_story_has_targets_of_prometheus() {
    let step = CurrentStep::default();
    let (world, shown) = (story::load_world(), step.clone());
    let server = FakeServer::start(move |path| {
        let step = shown.get();
        recorded_reply(step, &world[step]["consul"], path)
    })
    .await;
    let story = Story::of("consul", "127.0.0.1:18402", &server.address, Path::new("/dir"));
    let mut running = Vec::new();
    for job in story.jobs() {
        let DiscoveryConfig::Consul(config) = story.config(&job) else { panic!("{job}") };
        let config =
            ConsulSdConfig { refresh_interval: Duration::from_millis(20), ..(**config).clone() };
        let sink = GroupSink::collecting();
        let task = tokio::spawn(watcher(config, &mut Registry::new()).run(sink.clone()));
        running.push((job, sink, task));
    }
    assert_eq!(running.len(), 4);
    for number in 0..STEPS {
        step.set(number);
        // Equal steps must not pass before they were seen.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (job, sink, _) in &running {
            let expected = story.expected(number, job);
            let start = std::time::Instant::now();
            while story::targets(&sink.groups()) != expected {
                let found = story::targets(&sink.groups());
                assert!(
                    start.elapsed() < Duration::from_secs(30),
                    "step {number}, job {job}: {found:?} instead of {expected:?}"
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    running.into_iter().for_each(|(_, _, task)| task.abort());
}

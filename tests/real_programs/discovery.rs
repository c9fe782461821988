//! Discovery against the fakes with which Prometheus 3.14 was recorded, step by step.
//!
//! tests/clients/discovery_story.py serves the fakes and checks them with stock clients. Debian's
//! Prometheus watches the same files and lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use narthex::config::file;
use narthex::config::file::options::LoadOptions;
use narthex::discovery::groups::state::JobTargets;
use narthex::discovery::kinds::environment::Environment;
use narthex::discovery::metrics::DiscoveryMetrics;
use narthex::discovery::providers::{JobConfigs, Providers};
use narthex::discovery::target_group::TargetGroup;
use narthex::metrics::registry::Registry;
use narthex::metrics::text::ExpositionFormat;
use serde_json::Value;

use crate::support::foreign::Foreign;
use crate::support::launch::{Launch, Server};
use crate::support::{dir, golden};

/// Kinds of discovery that narthex has.
const KINDS: [&str; 6] = ["file", "http", "dns", "consul", "k8s", "docker"];
const DNS_PORT: u16 = 18453;
/// Time in which every fake is asked at least twice, so that a step cannot pass with the targets
/// of the one before it.
const MIN_WAIT: Duration = Duration::from_secs(4);
/// Maximum time until the targets of a step. A failed query of Consul is repeated after 15 s.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Job whose targets had no labels of their pods in the last step, because Prometheus knew the
/// endpoints first. narthex has those of the first step, which shows the same objects.
const LATE_PODS: &str = "k8s-endpoints";

/// Labels of the targets of each job, without empty ones.
type Discovered = BTreeMap<String, BTreeSet<BTreeMap<String, String>>>;

#[test]
#[ignore = "needs Debian's prometheus and Python clients: run tests/run"]
fn story_has_the_targets_of_prometheus() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let temp_dir = dir::temp();
        let place = temp_dir.path().to_str().expect("a path in UTF-8").to_owned();
        let mut fakes = Foreign::start("discovery_story.py", &[&place, &DNS_PORT.to_string()]);
        let resolv_conf = temp_dir.path().join("resolv.conf");
        let conf = "nameserver 127.0.0.77\nsearch corp.test\noptions ndots:2\n";
        std::fs::write(&resolv_conf, conf).expect("a file");
        let mut registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&mut registry);
        let environment = Environment { resolv_conf, dns_port: DNS_PORT, ..Environment::default() };
        let (providers, mut updates) =
            Providers::new(Duration::from_millis(500), environment, metrics);
        let configs = configs(temp_dir.path());
        assert_eq!(configs.len(), 50);
        fakes.step("shown");
        providers.apply(providers.prepare(&configs).expect("clients"));
        let debian = Debian::start(temp_dir.path());
        let mut found = Discovered::new();
        for (number, expected) in expected_steps(&place).into_iter().enumerate() {
            if number > 0 {
                fakes.go_on();
                fakes.step("shown");
            }
            let start = Instant::now();
            while start.elapsed() < MIN_WAIT || (found != expected && start.elapsed() < MAX_WAIT) {
                let update = tokio::time::timeout(Duration::from_secs(1), updates.next()).await;
                if let Ok(targets) = update {
                    found = discovered(&targets.expect("running providers"));
                }
            }
            for (job, targets) in &expected {
                assert_eq!(&found[job], targets, "step {number}, job {job}");
            }
            debian.assert_discovers(&expected, number);
        }
        let targets: usize = found.values().map(BTreeSet::len).sum();
        assert!(targets > 100, "{targets} targets at the end");
        assert_metrics(&registry.encode(ExpositionFormat::Classic));
        fakes.go_on();
        fakes.finish();
    });
}

/// Debian's Prometheus with the jobs that it supports.
struct Debian {
    server: Server,
    jobs: BTreeSet<String>,
}

impl Debian {
    /// Kinds of discovery that need no resolver of its own, that Debian does not leave out, and
    /// that are as in Prometheus 3: Docker has other targets for several networks.
    const KINDS: [&str; 2] = ["file", "http"];
    /// Job with label names that only Prometheus 3 accepts.
    const WITHOUT: &str = "http-utf8";

    fn start(place: &Path) -> Debian {
        let mut file = recorded_config(place);
        let jobs = file["scrape_configs"].as_array_mut().expect("jobs");
        jobs.retain(|job| {
            let name = job["job_name"].as_str().expect("a name");
            Self::KINDS.iter().any(|kind| name.starts_with(kind)) && name != Self::WITHOUT
        });
        let names = jobs.iter().map(|job| job["job_name"].as_str().expect("a name").to_owned());
        let names = names.collect::<BTreeSet<String>>();
        assert_eq!(names.len(), 19);
        for entry in jobs.iter_mut().filter_map(|job| job["http_sd_configs"].as_array_mut()) {
            // Newer than Debian's.
            entry[0].as_object_mut().expect("an entry").remove("http_headers");
        }
        let server = Launch::prometheus(&place.join("debian"), &file.to_string()).start();
        Debian { server, jobs: names }
    }

    /// Waits until it has the targets of the recording.
    fn assert_discovers(&self, expected: &Discovered, step: usize) {
        let expected: Discovered = expected
            .iter()
            .filter(|(job, targets)| self.jobs.contains(*job) && !targets.is_empty())
            .map(|(job, targets)| (job.clone(), targets.clone()))
            .collect();
        let start = Instant::now();
        let mut found = self.discovered();
        while found != expected && start.elapsed() < MAX_WAIT {
            std::thread::sleep(Duration::from_millis(200));
            found = self.discovered();
        }
        assert_eq!(found, expected, "Debian's Prometheus at step {step}");
    }

    fn discovered(&self) -> Discovered {
        let response = self.server.http.get("/api/v1/targets?state=active").json();
        let mut all = Discovered::new();
        for target in response["data"]["activeTargets"].as_array().expect("targets") {
            let labels = target["discoveredLabels"].clone();
            let mut labels: BTreeMap<String, String> =
                serde_json::from_value(labels).expect("labels");
            for (name, default) in [
                ("__scheme__", "http"),
                ("__metrics_path__", "/metrics"),
                ("__scrape_interval__", "1h"),
                ("__scrape_timeout__", "10s"),
            ] {
                if labels.get(name).is_some_and(|value| value == default) {
                    labels.remove(name);
                }
            }
            labels.remove("job");
            let job = target["scrapePool"].as_str().expect("a job").to_owned();
            all.entry(job).or_default().insert(labels);
        }
        all
    }
}

/// Asserts that failures were counted, under Prometheus's names.
fn assert_metrics(text: &str) {
    for name in [
        "prometheus_sd_http_failures_total",
        "prometheus_sd_dns_lookups_total",
        "prometheus_sd_dns_lookup_failures_total",
        "prometheus_sd_file_read_errors_total",
        "prometheus_sd_consul_rpc_failures_total",
        "prometheus_sd_kubernetes_failures_total",
        "prometheus_sd_kubernetes_events_total{role=\"pod\",event=\"add\"}",
        "prometheus_sd_refresh_failures_total{mechanism=\"http\",config=\"http-error\"}",
        "prometheus_sd_received_updates_total{name=\"scrape\"}",
        "prometheus_sd_updates_total{name=\"scrape\"}",
    ] {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let value: f64 = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        assert!(value > 0.0, "{name} is {value}");
    }
}

/// Returns the labels that the scraper gets: those of a target take precedence. A target without an
/// address is invalid, and Prometheus does not list it.
fn discovered(targets: &JobTargets) -> Discovered {
    let of_job = |groups: &Vec<Arc<TargetGroup>>| {
        // Of targets that differ only in discarded labels, Prometheus lists the last one.
        let mut all = BTreeMap::new();
        for group in groups {
            for target in &group.targets {
                let mut labels = group.labels.clone();
                labels.extend(target.clone());
                labels.retain(|_, value| !value.is_empty());
                if !labels.contains_key("__address__") {
                    continue;
                }
                let mut kept = labels.clone();
                kept.retain(|name, _| !name.starts_with("__meta_"));
                all.insert(kept, labels);
            }
        }
        all.into_values().collect()
    };
    targets.iter().map(|(job, groups)| (job.clone(), of_job(groups))).collect()
}

/// Returns the targets of each step that Prometheus discovered.
fn expected_steps(place: &str) -> Vec<Discovered> {
    let text = golden::text("discovery", "story.json").replace("DIR", place);
    let story: Value = serde_json::from_str(&text).expect("JSON");
    let steps = story["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 6);
    let of_step = |step: &Value| {
        let jobs = step["discovered"].as_object().expect("jobs").iter();
        jobs.filter(|(job, _)| is_supported(job))
            .map(|(job, targets)| {
                let targets = serde_json::from_value(targets.clone()).expect("labels of targets");
                (job.clone(), targets)
            })
            .collect()
    };
    let mut expected: Vec<Discovered> = steps.iter().map(of_step).collect();
    let first = expected[0][LATE_PODS].clone();
    expected[5].insert(LATE_PODS.to_owned(), first);
    expected
}

fn is_supported(job: &str) -> bool {
    job.split('-').next().is_some_and(|kind| KINDS.contains(&kind))
}

/// Returns the recorded configuration.
fn recorded_config(place: &Path) -> Value {
    let text = golden::text("discovery", "config.json");
    let text = text.replace("DIR", place.to_str().expect("a path in UTF-8"));
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the recorded configuration of the kinds that narthex has.
fn configs(place: &Path) -> JobConfigs {
    let text = recorded_config(place).to_string();
    let (config, problems) = file::parse(&text, place, LoadOptions::new(true), &|_| None);
    assert_eq!(problems, []);
    let jobs = config.scrape.all_jobs().filter(|job| is_supported(&job.name));
    jobs.map(|job| (job.name.clone(), job.discoveries.clone())).collect()
}

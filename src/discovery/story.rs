//! Recorded story of `tests/golden/discovery`, for tests: what the fakes show in each step, and the
//! targets that Prometheus 3.14 discovers.

use crate::config::file;
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::options::LoadOptions;
use crate::discovery::fake_server::Reply;
use crate::discovery::target_group::{LabelSet, TargetGroup};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of steps.
pub(crate) const STEPS: usize = 6;

/// Recorded story.
#[derive(Debug)]
pub(crate) struct Story {
    discovered: Value,
    jobs: BTreeMap<String, Vec<DiscoveryConfig>>,
}

/// Step that the fakes show. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentStep(Arc<AtomicUsize>);

impl CurrentStep {
    pub(crate) fn set(&self, step: usize) {
        self.0.store(step, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Story {
    /// Reads the jobs of a kind. `address` and `dir` replace those of the recording.
    pub(crate) fn of(kind: &str, recorded_address: &str, address: &str, dir: &Path) -> Self {
        let replaced = |name: &str| {
            let text = text(name).replace(recorded_address, address);
            text.replace("DIR", dir.to_str().expect("a path in UTF-8"))
        };
        let json = |name: &str| serde_json::from_str::<Value>(&replaced(name)).expect("JSON");
        let options = LoadOptions::new(true);
        let path = Path::new("config.json");
        let (config, problems) = file::parse(&replaced("config.json"), path, options, &|_| None);
        assert_eq!(problems, []);
        let jobs = config.scrape.all_jobs().filter(|job| job.name.split('-').next() == Some(kind));
        let jobs: BTreeMap<_, _> =
            jobs.map(|job| (job.name.clone(), job.discoveries.clone())).collect();
        assert!(!jobs.is_empty(), "no jobs of {kind}");
        let discovered = json("story.json.gz")["steps"].take();
        assert_eq!(discovered.as_array().map(Vec::len), Some(STEPS));
        Self { discovered, jobs }
    }

    /// Returns the names of the jobs.
    pub(crate) fn jobs(&self) -> Vec<String> {
        self.jobs.keys().cloned().collect()
    }

    /// Returns the only discovery of a job.
    pub(crate) fn config(&self, job: &str) -> &DiscoveryConfig {
        let [config] = self.jobs[job].as_slice() else { panic!("{job} has one discovery") };
        config
    }

    /// Returns the targets of a job in a step.
    pub(crate) fn expected(&self, step: usize, job: &str) -> BTreeSet<LabelSet> {
        let targets = self.discovered[step]["discovered"][job].clone();
        serde_json::from_value(targets).expect("labels of targets")
    }
}

/// Returns what all fakes show, by step.
pub(crate) fn load_world() -> Value {
    let mut world: Value = serde_json::from_str(&text("world.json.gz")).expect("JSON");
    world["steps"].take()
}

/// Returns the labels of all targets as Prometheus's API lists them: without empty ones, without
/// targets that have no address, and of targets that differ only in labels `__meta_*` the last one.
pub(crate) fn targets<G: Borrow<TargetGroup>>(groups: &[G]) -> BTreeSet<LabelSet> {
    let mut all: BTreeMap<LabelSet, LabelSet> = BTreeMap::new();
    for group in groups.iter().map(Borrow::borrow) {
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
}

/// Returns a response whose body is JSON, or text if `body` is a string.
pub(crate) fn reply(status: u64, content_type: &str, body: &Value) -> Reply {
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    Reply {
        status: u16::try_from(status).expect("a status"),
        content_type: content_type.to_owned(),
        ..Reply::json(&body)
    }
}

fn text(name: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/discovery");
    let mut file = File::open(dir.join(name)).expect("a golden file");
    let mut text = String::new();
    let read = match name.strip_suffix(".gz") {
        Some(_) => GzDecoder::new(file).read_to_string(&mut text),
        None => file.read_to_string(&mut text),
    };
    read.expect("a golden file can be read");
    text
}

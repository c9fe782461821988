//! The recordings, and their jobs as narthex's configuration has them.

use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::options::{FeatureDefaults, LoadOptions};
use crate::config::file::scrape::job::ScrapeJob;
use crate::discovery::target_group::{TargetGroup, address_labels};
use crate::scrape::pool::job::JobSettings;
use crate::scrape::request::fetch::Exchange;
use crate::scrape::unit::settings::StartTimestamps;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Keys of the HTTP client. Exchanges are scripted, so a job only notes whether it has any.
const CLIENT_KEYS: [&str; 5] =
    ["authorization", "basic_auth", "bearer_token", "follow_redirects", "http_headers"];

/// Reads a file of scripted scrapes.
pub(in crate::scrape) fn read(name: &str) -> Value {
    let file = bytes(&format!("scrape-behaviour/{name}.json.gz"));
    serde_json::from_slice(&file).unwrap()
}

/// Reads a file of `tests/golden`, and unpacks it if its name ends with `.gz`.
pub(in crate::scrape) fn bytes(name: &str) -> Vec<u8> {
    let file =
        std::fs::read(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    if !name.ends_with(".gz") {
        return file;
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(&*file).read_to_end(&mut unpacked).unwrap();
    unpacked
}

/// Reads the job of a recording with its section `global`, whose interval and timeout are 2 s by
/// default. Returns the problems of an invalid one.
pub(in crate::scrape) fn job(
    config: &Value,
    global: &Value,
    start_timestamps: StartTimestamps,
    exchange: Arc<dyn Exchange>,
) -> Result<JobSettings, String> {
    let mut all = json!({"scrape_interval": "2s", "scrape_timeout": "2s"});
    for (key, value) in global.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    let mut config = config.clone();
    let keys = config.as_object_mut().unwrap();
    let has_client_keys = CLIENT_KEYS.iter().filter(|key| keys.remove(**key).is_some()).count() > 0;
    let text = json!({"global": all, "scrape_configs": [config]}).to_string();
    let mut job = scrape_jobs(&text, start_timestamps)?.remove(0);
    job.http_client.enable_http2 = !has_client_keys;
    Ok(JobSettings::new(Arc::new(job), exchange, start_timestamps))
}

/// Reads all jobs of a configuration file. Returns the problems of an invalid one.
pub(in crate::scrape) fn scrape_jobs(
    text: &str,
    start_timestamps: StartTimestamps,
) -> Result<Vec<ScrapeJob>, String> {
    let features = FeatureDefaults {
        protobuf_first: start_timestamps != StartTimestamps::Ignore,
        extra_scrape_metrics: false,
    };
    let options = LoadOptions { ignore_unsupported: false, features };
    let path = Path::new("recorded.yml");
    let (file, problems) = crate::config::file::parse(text, path, options, &|_| None);
    if !problems.is_empty() {
        return Err(format!("{problems:?}"));
    }
    Ok(file.scrape.all_jobs().cloned().collect())
}

/// Returns the groups of the static targets of a job.
pub(in crate::scrape) fn static_groups(job: &JobSettings) -> Vec<TargetGroup> {
    let statics = job.config.discoveries.iter().filter_map(|discovery| match discovery {
        DiscoveryConfig::Static(groups) => Some(groups),
        _ => None,
    });
    let groups = statics.flatten().map(|group| target_group(&group.targets, &group.labels));
    groups.collect()
}

/// Returns the groups of a file of targets.
pub(in crate::scrape) fn file_groups(file: &Value) -> Vec<TargetGroup> {
    let groups = file.as_array().unwrap().iter().map(|group| {
        let targets: Vec<String> = serde_json::from_value(group["targets"].clone()).unwrap();
        let labels = group.get("labels").cloned().unwrap_or_else(|| json!({}));
        target_group(&targets, &serde_json::from_value(labels).unwrap())
    });
    groups.collect()
}

fn target_group(addresses: &[String], labels: &BTreeMap<String, String>) -> TargetGroup {
    TargetGroup {
        source: String::new(),
        labels: labels.clone(),
        targets: addresses.iter().cloned().map(address_labels).collect(),
    }
}

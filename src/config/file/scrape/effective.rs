//! Scrape sections of the effective configuration, with the keys and their order of Prometheus.

use crate::config::file::discovery;
use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::job::ScrapeJob;
use crate::config::file::scrape::limits::ScrapeLimits;
use crate::config::file::scrape::protocol::ScrapeProtocol;
use crate::config::file::scrape::relabel;
use crate::config::file::scrape::section::ScrapeSections;
use crate::config::units;
use crate::config::yaml::output::{Yaml, YamlMapping};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Returns the section `global`.
pub(crate) fn global(
    scrape: &GlobalScrape,
    external_labels: &BTreeMap<String, String>,
) -> YamlMapping {
    let mut global = YamlMapping::default();
    global.set("scrape_interval", units::format_prometheus_duration(scrape.interval));
    global.set("scrape_timeout", units::format_prometheus_duration(scrape.timeout));
    if let Some(names) = &scrape.protocols {
        global.set("scrape_protocols", protocols(names));
    }
    failure_log_file(&mut global, scrape.failure_log_file.as_ref());
    global.set_unless_zero("external_labels", YamlMapping::from_texts(external_labels));
    limits(&mut global, &scrape.limits);
    global.set_unless_zero("keep_dropped_targets", scrape.limits.keep_dropped_targets);
    global.set("metric_name_validation_scheme", scrape.validation.to_string());
    global.set("metric_name_escaping_scheme", scrape.escaping().as_str());
    global.set("scrape_native_histograms", scrape.native_histograms);
    global.set_unless_zero("convert_classic_histograms_to_nhcb", scrape.convert_classic_histograms);
    global.set_unless_zero("always_scrape_classic_histograms", scrape.always_classic_histograms);
    global.set("extra_scrape_metrics", scrape.extra_metrics);
    global
}

/// Adds the sections `scrape_config_files` and `scrape_configs`. As in Prometheus, the jobs of
/// included files are left out.
pub(crate) fn sections(file: &mut YamlMapping, scrape: &ScrapeSections) {
    let patterns = scrape.file_patterns.iter().map(|path| path.display().to_string());
    file.set_unless_zero("scrape_config_files", patterns.collect::<Yaml>());
    file.set_unless_zero("scrape_configs", scrape.jobs.iter().map(job).collect::<Yaml>());
}

/// Returns an entry of `scrape_configs`.
pub(crate) fn job(job: &ScrapeJob) -> YamlMapping {
    let mut entry = YamlMapping::of("job_name", job.name.as_str());
    entry.set_unless_zero("honor_labels", job.honor_labels);
    entry.set("honor_timestamps", job.honor_timestamps);
    entry.set("track_timestamps_staleness", job.track_timestamps_staleness);
    let mut params = YamlMapping::default();
    for (name, values) in &job.params {
        params.set(name, values.clone());
    }
    entry.set_unless_zero("params", params);
    entry.set("scrape_interval", units::format_prometheus_duration(job.interval));
    entry.set("scrape_timeout", units::format_prometheus_duration(job.timeout));
    entry.set("scrape_protocols", protocols(&job.protocols));
    if let Some(protocol) = job.fallback_protocol {
        entry.set("fallback_scrape_protocol", protocol.as_str());
    }
    let histograms = &job.histograms;
    entry.set("scrape_native_histograms", histograms.scrape_native);
    entry.set("always_scrape_classic_histograms", histograms.always_scrape_classic);
    entry.set("convert_classic_histograms_to_nhcb", histograms.convert_classic);
    failure_log_file(&mut entry, job.failure_log_file.as_ref());
    entry.set_unless_zero("metrics_path", job.metrics_path.as_str());
    entry.set_unless_zero("scheme", job.scheme.as_str());
    entry.set("enable_compression", job.enable_compression);
    limits(&mut entry, &job.limits);
    entry.set_unless_zero("native_histogram_bucket_limit", histograms.bucket_limit);
    entry.set_unless_zero("native_histogram_min_bucket_factor", histograms.min_bucket_factor);
    entry.set_unless_zero("keep_dropped_targets", job.limits.keep_dropped_targets);
    entry.set("metric_name_validation_scheme", job.validation.to_string());
    entry.set("metric_name_escaping_scheme", job.escaping.as_str());
    entry.set("extra_scrape_metrics", job.extra_metrics);
    job.http_client.add_to(&mut entry);
    entry.set_unless_zero("relabel_configs", relabel::effective(&job.relabel_rules));
    let metric_rules = relabel::effective(&job.metric_relabel_rules);
    entry.set_unless_zero("metric_relabel_configs", metric_rules);
    entry.extend(discovery::effective(&job.discoveries));
    entry
}

fn protocols(protocols: &[ScrapeProtocol]) -> Yaml {
    protocols.iter().map(|protocol| protocol.as_str()).collect()
}

fn failure_log_file(mapping: &mut YamlMapping, path: Option<&PathBuf>) {
    if let Some(path) = path {
        mapping.set("scrape_failure_log_file", path.display().to_string());
    }
}

fn limits(mapping: &mut YamlMapping, limits: &ScrapeLimits) {
    if limits.body_size.0 > 0 {
        mapping.set("body_size_limit", units::format_prometheus_bytes(limits.body_size));
    }
    mapping.set_unless_zero("sample_limit", limits.samples);
    mapping.set_unless_zero("target_limit", limits.targets);
    mapping.set_unless_zero("label_limit", limits.labels);
    mapping.set_unless_zero("label_name_length_limit", limits.label_name_length);
    mapping.set_unless_zero("label_value_length_limit", limits.label_value_length);
}

//! Effective configuration for `/api/v1/status/config`: YAML in Prometheus's format, with defaults
//! and expanded variables.
//!
//! The YAML parses as the same configuration.

use crate::config::file::contents::ConfigFile;
use crate::config::file::scrape::effective;
use crate::config::file::scrape::job::ScrapeJob;
use crate::config::units;
use crate::config::units::ByteSize;
use crate::config::yaml::output::YamlMapping;
use crate::tsdb::db::FloatEncoding;
use crate::tsdb::db::settings::Settings;
use serde_saphyr::SerializeError;
use std::time::Duration;

/// Formats a configuration and settings as a configuration file.
///
/// # Errors
/// None in practice: every value has a representation in YAML.
pub fn to_yaml(config: &ConfigFile, settings: &Settings) -> Result<String, SerializeError> {
    let mut file = YamlMapping::default();
    let external_labels = &config.global.external_labels;
    file.set("global", effective::global(&config.global.scrape, external_labels));
    effective::sections(&mut file, &config.scrape);
    file.set("storage", storage(settings));
    file.to_yaml()
}

/// Formats a job as an entry of `scrape_configs`.
///
/// # Errors
/// As [`to_yaml`].
pub fn job_to_yaml(job: &ScrapeJob) -> Result<String, SerializeError> {
    effective::job(job).to_yaml()
}

fn storage(settings: &Settings) -> YamlMapping {
    let mut tsdb = YamlMapping::default();
    tsdb.set("out_of_order_time_window", duration(settings.out_of_order_window_ms));
    tsdb.set_unless_zero("stale_series_compaction_threshold", settings.stale_series_threshold);
    let floats = match settings.float_encoding {
        FloatEncoding::Xor => "xor",
        FloatEncoding::Xor2 => "xor2",
    };
    tsdb.set("chunk_encoding", YamlMapping::of("floats", floats));
    let mut retention = YamlMapping::of("time", duration(settings.retention.time_ms));
    if settings.retention.bytes > 0 {
        let size = ByteSize(settings.retention.bytes);
        retention.set("size", units::format_prometheus_bytes(size));
    }
    retention.set_unless_zero("percentage", settings.retention.percentage);
    tsdb.set("retention", retention);

    let mut storage = YamlMapping::of("tsdb", tsdb);
    let max_exemplars = settings.max_exemplars as u64;
    storage.set("exemplars", YamlMapping::of("max_exemplars", max_exemplars));
    storage
}

fn duration(ms: i64) -> String {
    units::format_prometheus_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::to_yaml;
    use crate::config::file;
    use crate::config::flags::{Cli, Command};
    use crate::config::settings::at_start;
    use clap::Parser;
    use std::collections::BTreeMap;

    #[test]
    fn effective_yaml_parses_to_same_settings() {
        let Command::Serve(flags) = Cli::parse_from(["narthex", "serve"]).command else {
            unreachable!()
        };
        for text in [
            "",
            "global: {external_labels: {cluster: a, n: '1', empty: '', odd: \"a: b\\n#\"}}",
            "storage: {tsdb: {out_of_order_time_window: 90m, \
             stale_series_compaction_threshold: 0.25, chunk_encoding: {floats: xor2}}}",
            "storage: {tsdb: {retention: {time: 36h, size: 1536MB}}, \
             exemplars: {max_exemplars: 0}}",
            "storage: {tsdb: {retention: {percentage: 80}}}",
            "global: {scrape_interval: 20s, scrape_timeout: 7s, sample_limit: 5, \
             body_size_limit: 1536KB, scrape_protocols: [PrometheusProto], \
             metric_name_validation_scheme: legacy, extra_scrape_metrics: true}",
            "scrape_configs: [{job_name: 'on', params: {a: [x, 'y'], b: []}, honor_labels: true, \
             honor_timestamps: false, fallback_scrape_protocol: PrometheusText0.0.4, \
             metrics_path: /m, scheme: https, native_histogram_min_bucket_factor: 1.5, \
             static_configs: [{targets: ['a:1'], labels: {x: y}}, {targets: []}], \
             file_sd_configs: [{files: [/a/*.json]}]}]",
        ] {
            let file = file::parse_for_tests(text);
            let settings = at_start(&flags.storage, &file);
            let yaml = to_yaml(&file, &settings).unwrap();
            let reparsed = file::parse_for_tests(&yaml);
            let mut reparsed_settings = at_start(&flags.storage, &reparsed);
            // The YAML contains the retention, which makes it a configured one.
            reparsed_settings.retention.origin = settings.retention.origin;
            assert_eq!(reparsed_settings, settings, "{yaml}");
            assert_eq!(reparsed.global.external_labels, file.global.external_labels, "{yaml}");
            assert_eq!(reparsed.scrape, file.scrape, "{yaml}");
        }
        let file = file::parse_for_tests("global: {external_labels: {cluster: a}}");
        assert_eq!(
            to_yaml(&file, &at_start(&flags.storage, &file)).unwrap(),
            "global:\n  scrape_interval: 1m\n  scrape_timeout: 10s\n  external_labels:\n    \
             cluster: a\n  metric_name_validation_scheme: utf8\n  \
             metric_name_escaping_scheme: allow-utf-8\n  scrape_native_histograms: false\n  \
             extra_scrape_metrics: false\nstorage:\n  tsdb:\n    \
             out_of_order_time_window: 2h\n    chunk_encoding:\n      floats: xor\n    \
             retention:\n      time: 15d\n  exemplars:\n    max_exemplars: 100000\n"
        );
    }

    #[test]
    fn label_values_have_quotes_where_needed() {
        let Command::Serve(flags) = Cli::parse_from(["narthex", "serve"]).command else {
            unreachable!()
        };
        let settings = at_start(&flags.storage, &file::parse_for_tests(""));
        let labels: BTreeMap<_, _> =
            ["plain text", "1", "a: b", "it's: x", "", "two\nlines", "\u{1}\u{85}\u{feff}"]
                .into_iter()
                .enumerate()
                .map(|(i, value)| (format!("l{i}"), value.to_owned()))
                .collect();
        let mut file = file::parse_for_tests("");
        file.global.external_labels.clone_from(&labels);
        let yaml = to_yaml(&file, &settings).unwrap();
        let written: Vec<&str> = yaml.lines().skip(4).take(labels.len()).map(str::trim).collect();
        assert_eq!(
            written,
            [
                "l0: plain text",
                "l1: '1'",
                "l2: 'a: b'",
                "l3: 'it''s: x'",
                "l4: ''",
                "l5: \"two\\nlines\"",
                "l6: \"\\x01\\N\\uFEFF\"",
            ]
        );
        assert_eq!(file::parse_for_tests(&yaml).global.external_labels, labels);
    }
}

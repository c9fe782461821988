//! Effective configuration for `/api/v1/status/config`: YAML in Prometheus's format, with defaults
//! and expanded variables.
//!
//! The YAML parses as the same configuration.

use crate::config::units;
use crate::config::units::ByteSize;
use crate::tsdb::db::FloatEncoding;
use crate::tsdb::db::settings::Settings;
use serde::Serialize;
use serde_saphyr::{SerializeError, SingleQuoted};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Serialize)]
struct YamlFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    global: Option<YamlGlobal<'a>>,
    storage: YamlStorage,
}

#[derive(Serialize)]
struct YamlGlobal<'a> {
    external_labels: BTreeMap<&'a str, YamlString<'a>>,
}

/// String with quotes where it needs them, single ones if possible.
#[derive(Serialize)]
#[serde(untagged)]
enum YamlString<'a> {
    /// Plain, or with double quotes and escapes.
    Default(&'a str),
    Quoted(SingleQuoted<&'a str>),
}

impl<'a> YamlString<'a> {
    fn new(text: &'a str) -> Self {
        let is_quoted = serialize(&text).is_ok_and(|yaml| yaml.starts_with('"'));
        let quoted = SingleQuoted(text);
        if is_quoted && serialize(&quoted).is_ok() {
            Self::Quoted(quoted)
        } else {
            Self::Default(text)
        }
    }
}

#[derive(Serialize)]
struct YamlStorage {
    tsdb: YamlTsdb,
    exemplars: YamlExemplars,
}

#[derive(Serialize)]
struct YamlTsdb {
    out_of_order_time_window: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_series_compaction_threshold: Option<f64>,
    chunk_encoding: YamlChunkEncoding,
    retention: YamlRetention,
}

#[derive(Serialize)]
struct YamlChunkEncoding {
    floats: &'static str,
}

#[derive(Serialize)]
struct YamlRetention {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percentage: Option<f64>,
}

#[derive(Serialize)]
struct YamlExemplars {
    max_exemplars: usize,
}

/// Formats external labels and settings as a configuration file.
///
/// # Errors
/// None in practice: every value has a representation in YAML.
pub fn to_yaml(
    external_labels: &BTreeMap<String, String>,
    settings: &Settings,
) -> Result<String, SerializeError> {
    let duration = |ms: i64| {
        units::format_prometheus_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    };
    let retention = &settings.retention;
    let external_labels: BTreeMap<_, _> = external_labels
        .iter()
        .map(|(name, value)| (name.as_str(), YamlString::new(value)))
        .collect();
    serialize(&YamlFile {
        global: Some(YamlGlobal { external_labels })
            .filter(|global| !global.external_labels.is_empty()),
        storage: YamlStorage {
            tsdb: YamlTsdb {
                out_of_order_time_window: duration(settings.out_of_order_window_ms),
                stale_series_compaction_threshold: Some(settings.stale_series_threshold)
                    .filter(|share| *share > 0.0),
                chunk_encoding: YamlChunkEncoding {
                    floats: match settings.float_encoding {
                        FloatEncoding::Xor => "xor",
                        FloatEncoding::Xor2 => "xor2",
                    },
                },
                retention: YamlRetention {
                    time: duration(retention.time_ms),
                    size: Some(retention.bytes)
                        .filter(|size| *size > 0)
                        .map(|size| units::format_prometheus_bytes(ByteSize(size))),
                    percentage: Some(retention.percentage).filter(|share| *share > 0.0),
                },
            },
            exemplars: YamlExemplars { max_exemplars: settings.max_exemplars },
        },
    })
}

fn serialize(value: &impl Serialize) -> Result<String, SerializeError> {
    // A block scalar would fold long values.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options)
}

#[cfg(test)]
mod tests {
    use super::to_yaml;
    use crate::config::file;
    use crate::config::flags::{Cli, Command};
    use crate::config::settings::at_start;
    use clap::Parser;

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
        ] {
            let file = file::parse_for_tests(text);
            let settings = at_start(&flags.storage, &file);
            let yaml = to_yaml(&file.global.external_labels, &settings).unwrap();
            let reparsed = file::parse_for_tests(&yaml);
            let mut reparsed_settings = at_start(&flags.storage, &reparsed);
            // The YAML contains the retention, which makes it a configured one.
            reparsed_settings.retention.origin = settings.retention.origin;
            assert_eq!(reparsed_settings, settings, "{yaml}");
            assert_eq!(reparsed.global.external_labels, file.global.external_labels, "{yaml}");
        }
        let file = file::parse_for_tests("global: {external_labels: {cluster: a}}");
        assert_eq!(
            to_yaml(&file.global.external_labels, &at_start(&flags.storage, &file)).unwrap(),
            "global:\n  external_labels:\n    cluster: a\nstorage:\n  tsdb:\n    \
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
        let labels =
            ["plain text", "1", "a: b", "it's: x", "", "two\nlines", "\u{1}\u{85}\u{feff}"]
                .into_iter()
                .enumerate()
                .map(|(i, value)| (format!("l{i}"), value.to_owned()))
                .collect();
        let yaml = to_yaml(&labels, &settings).unwrap();
        let written: Vec<&str> = yaml.lines().skip(2).take(labels.len()).map(str::trim).collect();
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

//! Configuration file in Prometheus's YAML, parsed strictly.
//!
//! Supported: `global.external_labels`, `storage.exemplars`, and of `storage.tsdb` the keys
//! `retention`, `out_of_order_time_window`, `stale_series_compaction_threshold` and
//! `chunk_encoding`. Any other section or key is an error that names it: no setting is ignored.
//! Values of external labels may contain environment variables ([`crate::config::expand`]).

use crate::config::expand::expand;
use crate::config::units;
use crate::config::units::ByteSize;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sections of Prometheus's configuration file. They get another error than unknown names.
const PROMETHEUS_SECTIONS: [&str; 11] = [
    "global",
    "runtime",
    "rule_files",
    "scrape_config_files",
    "scrape_configs",
    "alerting",
    "storage",
    "tracing",
    "otlp",
    "remote_write",
    "remote_read",
];

/// Keys of Prometheus's section `global` that narthex does not support.
const PROMETHEUS_GLOBALS: [&str; 20] = [
    "scrape_interval",
    "scrape_timeout",
    "scrape_protocols",
    "scrape_native_histograms",
    "evaluation_interval",
    "rule_query_offset",
    "query_log_file",
    "scrape_failure_log_file",
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "extra_scrape_metrics",
];

/// Contents of the configuration file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    /// Section `storage.tsdb`, or its defaults.
    pub tsdb: TsdbSection,
    /// `storage.exemplars.max_exemplars`; `None` if not set, 0 = no exemplars.
    pub max_exemplars: Option<usize>,
    /// `global.external_labels` with expanded variables; a value may be empty.
    pub external_labels: BTreeMap<String, String>,
    /// Environment variables in the external labels that are unset or empty.
    pub empty_variables: Vec<String>,
}

/// Contents of the section `storage.tsdb`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TsdbSection {
    /// Replaces both retention flags if present.
    pub retention: Option<RetentionSection>,
    /// Ratio of stale series that triggers their compaction, 0 to 1; 0 = disabled.
    pub stale_series_threshold: f64,
    /// `None` if the file does not set it.
    pub float_encoding: Option<FloatEncoding>,
    /// Maximum age of a sample behind the newest one; zero = none, `None` if not set.
    pub out_of_order_window: Option<Duration>,
}

/// Section `storage.tsdb.retention`. Zero means unlimited.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetentionSection {
    /// Maximum age of samples.
    pub time: Duration,
    /// Maximum size of the data directory.
    pub size: ByteSize,
    /// Maximum size of the data directory in percent of the file system, 0 to 100.
    pub percentage: f64,
}

/// Error of loading the configuration file.
#[derive(Debug, thiserror::Error)]
pub enum LoadConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {path}: {source}")]
    Read {
        /// Path of the configuration file.
        path: PathBuf,
        /// Error of reading the file.
        source: std::io::Error,
    },
    /// The file is not valid YAML, or has an unknown key or an invalid value.
    #[error("{path}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// Path of the configuration file.
        path: PathBuf,
        /// Line number from 1, if known.
        line: Option<usize>,
        /// Key and the reason why it is invalid.
        message: String,
    },
}

/// Reads and parses a configuration file.
///
/// # Errors
/// [`LoadConfigError`] names the file and, if known, the line.
pub fn load(path: &Path) -> Result<ConfigFile, LoadConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| LoadConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, &|name| std::env::var(name).ok()).map_err(|ConfigProblem { line, message }| {
        LoadConfigError::Invalid { path: path.to_owned(), line, message }
    })
}

/// [`LoadConfigError::Invalid`] without the path.
#[derive(Debug, PartialEq)]
struct ConfigProblem {
    line: Option<usize>,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    global: Option<RawGlobal>,
    storage: Option<RawStorage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGlobal {
    external_labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    tsdb: Option<RawTsdb>,
    exemplars: Option<RawExemplars>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTsdb {
    out_of_order_time_window: Option<StringOrNumber>,
    stale_series_compaction_threshold: Option<f64>,
    chunk_encoding: Option<RawChunkEncoding>,
    retention: Option<RawRetention>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    time: Option<StringOrNumber>,
    size: Option<StringOrNumber>,
    percentage: Option<f64>,
}

/// Value that Prometheus parses as a string even if YAML parses it as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum StringOrNumber {
    Text(String),
    Number(serde_yaml_ng::Number),
}

impl StringOrNumber {
    fn into_string(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChunkEncoding {
    floats: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExemplars {
    max_exemplars: Option<i64>,
}

fn parse(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<ConfigFile, ConfigProblem> {
    if let Some(problem) = unknown_section(text)? {
        return Err(problem);
    }
    let file: Option<RawFile> =
        serde_yaml_ng::from_str(text).map_err(|error| yaml_problem(&error))?;
    let RawFile { global, storage } = file.unwrap_or_default();
    let mut config = ConfigFile::default();
    let external_labels = global.and_then(|global| global.external_labels).unwrap_or_default();
    for (name, value) in external_labels {
        if name.is_empty() {
            return Err(field_problem(
                text,
                "global.external_labels",
                "is invalid: \"\" is not a valid label name",
            ));
        }
        let expanded = expand(&value, variable);
        config.empty_variables.extend(expanded.unset_variables);
        config.external_labels.insert(name, expanded.text);
    }
    if let Some(storage) = storage {
        config.tsdb =
            storage.tsdb.map(|tsdb| tsdb_section(text, tsdb)).transpose()?.unwrap_or_default();
        let max_exemplars = storage.exemplars.and_then(|section| section.max_exemplars);
        // As in Prometheus, a negative number is 0.
        config.max_exemplars =
            max_exemplars.map(|max| usize::try_from(max.max(0)).unwrap_or(usize::MAX));
    }
    Ok(config)
}

/// Converts the section with Prometheus's limits. In addition, a stale series threshold outside 0
/// to 1 is an error.
fn tsdb_section(text: &str, section: RawTsdb) -> Result<TsdbSection, ConfigProblem> {
    let threshold = section.stale_series_compaction_threshold.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&threshold) {
        let field = "storage.tsdb.stale_series_compaction_threshold";
        return Err(field_problem(text, field, &format!("must be from 0 to 1, not {threshold}")));
    }
    let floats = section.chunk_encoding.and_then(|encoding| encoding.floats).unwrap_or_default();
    let float_encoding = match floats.as_str() {
        "" => None,
        "xor" => Some(FloatEncoding::Xor),
        "xor2" => Some(FloatEncoding::Xor2),
        other => {
            let field = "storage.tsdb.chunk_encoding.floats";
            return Err(field_problem(text, field, &format!("must be xor or xor2, not {other:?}")));
        }
    };
    let out_of_order_window =
        match section.out_of_order_time_window.map(StringOrNumber::into_string) {
            Some(window) => Some(units::parse_duration(&window).map_err(|error| {
                field_problem(
                    text,
                    "storage.tsdb.out_of_order_time_window",
                    &format!("is invalid: {error}"),
                )
            })?),
            None => None,
        };
    let retention =
        section.retention.map(|section| retention_section(text, section)).transpose()?;
    Ok(TsdbSection {
        retention,
        stale_series_threshold: threshold,
        float_encoding,
        out_of_order_window,
    })
}

fn retention_section(text: &str, section: RawRetention) -> Result<RetentionSection, ConfigProblem> {
    let wrong = |field: &str, why: &str| {
        field_problem(text, &format!("storage.tsdb.retention.{field}"), why)
    };
    let time = match section.time.map(StringOrNumber::into_string) {
        Some(time) => units::parse_duration(&time)
            .map_err(|error| wrong("time", &format!("is invalid: {error}")))?,
        None => Duration::ZERO,
    };
    let size = match section.size.map(StringOrNumber::into_string) {
        Some(size) if size.starts_with('-') => {
            return Err(wrong("size", &format!("must be at least 0, not {size}")));
        }
        Some(size) => units::parse_bytes_with_unit(&size)
            .map_err(|error| wrong("size", &format!("is invalid: {error}")))?,
        None => ByteSize(0),
    };
    let percentage = section.percentage.unwrap_or(0.0);
    if !(0.0..=100.0).contains(&percentage) {
        return Err(wrong("percentage", &format!("must be from 0 to 100, not {percentage}")));
    }
    Ok(RetentionSection { time, size, percentage })
}

fn field_problem(text: &str, field: &str, why: &str) -> ConfigProblem {
    let name = field.rsplit('.').next().unwrap_or(field);
    ConfigProblem { line: line_of(text, name), message: format!("{field} {why}") }
}

/// Parses a valid configuration file for tests of other modules.
#[cfg(test)]
pub(crate) fn parse_for_tests(text: &str) -> ConfigFile {
    parse(text, &|_| None).unwrap_or_else(|problem| panic!("{problem:?} in {text}"))
}

/// Returns an error for a top-level name other than `global` and `storage`, or for an unsupported
/// key of `global`.
fn unknown_section(text: &str) -> Result<Option<ConfigProblem>, ConfigProblem> {
    let value: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(text).map_err(|error| yaml_problem(&error))?;
    let Some(sections) = value.as_mapping() else {
        return Ok(None);
    };
    let unknown = sections.keys().find_map(|key| match key.as_str() {
        Some("global" | "storage") => None,
        Some(name) => Some(name.to_owned()),
        None => Some(format!("{key:?}")),
    });
    let globals = sections.get("global").and_then(|global| global.as_mapping());
    let mut names =
        globals.into_iter().flat_map(|globals| globals.keys()).filter_map(|key| key.as_str());
    let global = names.find(|name| PROMETHEUS_GLOBALS.contains(name));
    if let (None, Some(name)) = (&unknown, global) {
        let message =
            format!("global.{name} is not supported by this version of narthex; remove it");
        return Ok(Some(ConfigProblem { line: line_of(text, name), message }));
    }
    Ok(unknown.map(|name| ConfigProblem {
        line: line_of(text, &name),
        message: if PROMETHEUS_SECTIONS.contains(&name.as_str()) {
            format!("section {name} is not supported by this version of narthex; remove it")
        } else {
            format!("unknown section {name}")
        },
    }))
}

fn yaml_problem(error: &serde_yaml_ng::Error) -> ConfigProblem {
    let line = error.location().map(|location| location.line());
    ConfigProblem { line, message: error.to_string() }
}

/// Returns the line number of the first occurrence of a key.
fn line_of(text: &str, name: &str) -> Option<usize> {
    text.lines()
        .position(|line| {
            line.trim_start()
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with(':'))
        })
        .map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::{ConfigFile, ConfigProblem, RetentionSection, TsdbSection};
    use crate::config::units::ByteSize;
    use crate::tsdb::chunk::float_chunk::FloatEncoding;
    use std::time::Duration;

    fn parse(text: &str) -> Result<ConfigFile, ConfigProblem> {
        super::parse(text, &|name| (name == "HOST").then(|| "h1".to_owned()))
    }

    fn problem(text: &str) -> ConfigProblem {
        parse(text).unwrap_err()
    }

    #[test]
    fn empty_file_is_accepted() {
        for text in [
            "",
            "# nothing\n",
            "storage:\n",
            "storage: {}\n",
            "storage:\n  tsdb:\n    out_of_order_time_window: 0s\n",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn unsupported_section_is_named_with_line() {
        let section = problem("storage:\nscrape_configs: []\n");
        assert_eq!(section.line, Some(2));
        assert!(section.message.contains("section scrape_configs is not supported"), "{section:?}");
        let global =
            problem("storage:\nglobal:\n  external_labels: {a: b}\n  scrape_interval: 1s\n");
        assert_eq!(global.line, Some(4));
        assert!(global.message.contains("global.scrape_interval is not supported"), "{global:?}");
    }

    #[test]
    fn external_labels_are_strings_with_variables() {
        let file = parse(
            "global:\n  external_labels:\n    host: ${HOST}-x\n    gone: $NO\n    one: 1.10\n    \
             yes: true\n    a.b: '~'\n",
        )
        .unwrap();
        let labels: Vec<_> = file
            .external_labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            labels,
            [("a.b", "~"), ("gone", ""), ("host", "h1-x"), ("one", "1.10"), ("yes", "true")]
        );
        assert_eq!(file.empty_variables, ["NO"]);
        assert!(parse("global:\n  external_labels:\n").unwrap().external_labels.is_empty());
        assert!(parse("global:\n").unwrap().external_labels.is_empty());
    }

    #[test]
    fn invalid_external_labels_are_rejected() {
        let nameless = problem("global:\n  external_labels:\n    '': x\n");
        assert_eq!(nameless.line, Some(2));
        assert!(nameless.message.starts_with("global.external_labels"), "{nameless:?}");
        for wrong in ["{a: [b]}", "{a: 1, a: 2}", "text", "[a]"] {
            let found = problem(&format!("global:\n  external_labels: {wrong}\n"));
            assert!(found.line.is_some(), "{found:?}");
        }
        assert!(problem("global: {external_label: {a: b}}").message.contains("external_label"));
    }

    #[test]
    fn tsdb_section_is_parsed() {
        let text = "storage:\n  tsdb:\n    out_of_order_time_window: 90m\n    \
                    stale_series_compaction_threshold: 0.25\n    chunk_encoding:\n      \
                    floats: xor2\n    retention:\n      time: 30d\n      size: 1.5GB\n      \
                    percentage: 80\n";
        let retention = RetentionSection {
            time: Duration::from_secs(30 * 86_400),
            size: ByteSize(3 << 29),
            percentage: 80.0,
        };
        assert_eq!(
            parse(text).unwrap().tsdb,
            TsdbSection {
                retention: Some(retention),
                stale_series_threshold: 0.25,
                float_encoding: Some(FloatEncoding::Xor2),
                out_of_order_window: Some(Duration::from_secs(90 * 60)),
            }
        );
        assert_eq!(
            parse("storage: {tsdb: {retention: {time: 0, size: 0}}}").unwrap().tsdb.retention,
            Some(RetentionSection::default())
        );
    }

    #[test]
    fn negative_max_exemplars_is_zero() {
        let max = |section: &str| {
            parse(&format!("storage: {{exemplars: {section}}}")).unwrap().max_exemplars
        };
        assert_eq!(max("{max_exemplars: 5000}"), Some(5000));
        assert_eq!(max("{max_exemplars: -1}"), Some(0));
        assert_eq!((max("{}"), max("")), (None, None));
        assert!(problem("storage: {exemplars: {max_exemplars: many}}").line.is_some());
        assert!(problem("storage: {exemplars: {max: 1}}").message.contains("max"));
    }

    #[test]
    fn invalid_settings_are_named_with_line() {
        for (section, field) in [
            ("retention: {size: -1GB}", "storage.tsdb.retention.size"),
            ("retention: {size: 1024}", "storage.tsdb.retention.size"),
            ("retention: {time: 15}", "storage.tsdb.retention.time"),
            ("retention: {percentage: 100.5}", "storage.tsdb.retention.percentage"),
            ("retention: {percentage: -1}", "storage.tsdb.retention.percentage"),
            ("retention: {percentage: .nan}", "storage.tsdb.retention.percentage"),
            (
                "stale_series_compaction_threshold: 1.5",
                "storage.tsdb.stale_series_compaction_threshold",
            ),
            ("out_of_order_time_window: soon", "storage.tsdb.out_of_order_time_window"),
            ("out_of_order_time_window: -1h", "storage.tsdb.out_of_order_time_window"),
            ("chunk_encoding: {floats: gorilla}", "storage.tsdb.chunk_encoding.floats"),
        ] {
            let name = field.rsplit('.').next().unwrap();
            let found = problem(
                &format!("storage:\n  tsdb:\n    {section}\n")
                    .replace('{', "\n      ")
                    .replace('}', ""),
            );
            assert!(found.message.starts_with(field), "{found:?}");
            assert_eq!(found.line, Some(if section.contains('{') { 4 } else { 3 }), "{name}");
        }
        assert!(problem("storage: {tsdb: {retention: {days: 3}}}").message.contains("days"));
    }

    #[test]
    fn unknown_keys_are_rejected_with_line() {
        assert_eq!(problem("storge: {}\n").message, "unknown section storge");
        let field = problem("storage:\n  tsdb:\n    out_of_order_window: 30m\n");
        assert_eq!(field.line, Some(3));
        assert!(field.message.contains("out_of_order_window"), "{field:?}");
        assert!(problem("storage: [1, 2]\n").line.is_some());
        assert!(parse("just text").is_err());
        assert!(parse("storage: {}\nstorage: {}\n").is_err());
        assert!(parse("a: b: c").is_err());
    }
}

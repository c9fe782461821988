//! Entries of `file_sd_configs`.

use crate::config::units;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Extensions of the files.
const EXTENSIONS: [&str; 3] = ["json", "yml", "yaml"];

/// Settings of file discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSdConfig {
    /// Paths of JSON and YAML files. The last part of a path may have wildcards.
    pub files: Vec<PathBuf>,
    /// Time between two reads of all files, not zero. Changes are noticed earlier.
    pub refresh_interval: Duration,
}

impl FileSdConfig {
    /// Default of `refresh_interval`.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(300);
}

/// Reads an entry.
pub(super) fn parse(mut entry: Mapping<'_>) -> FileSdConfig {
    let paths = entry.list("files");
    if paths.is_empty() {
        entry.value().problem("needs at least one path in files");
    }
    let files = paths.iter().filter_map(path).collect();
    let refresh_interval = refresh_interval(&mut entry, FileSdConfig::DEFAULT_REFRESH_INTERVAL);
    entry.finish();
    FileSdConfig { files, refresh_interval }
}

fn path(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.string()?;
    let (dir, name) = text.rsplit_once('/').unwrap_or(("", &text));
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_known = EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension));
    if !is_known || dir.contains('*') {
        value.problem(format_args!(
            "{text:?} is not a path for file discovery; it ends with .json, .yml or .yaml, and \
             only its last part may have wildcards"
        ));
        return None;
    }
    Some(value.source().resolve(&text))
}

/// Reads `refresh_interval`. Zero is a problem; Prometheus panics.
pub(super) fn refresh_interval(entry: &mut Mapping<'_>, default: Duration) -> Duration {
    let Some(value) = entry.get("refresh_interval") else { return default };
    match value.duration() {
        Some(interval) if interval.is_zero() => {
            value.problem("must be more than 0");
            default
        }
        interval => interval.unwrap_or(default),
    }
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(config: &FileSdConfig) -> YamlMapping {
    let mut entry = YamlMapping::default();
    let files: Vec<String> = config.files.iter().map(|path| path.display().to_string()).collect();
    entry.set("files", files);
    entry.set("refresh_interval", units::format_prometheus_duration(config.refresh_interval));
    entry
}

//! Entries of `file_sd_configs`.

use std::path::PathBuf;
use std::time::Duration;

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

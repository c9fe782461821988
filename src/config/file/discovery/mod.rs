//! Settings of service discovery (`static_configs` and `*_sd_configs`).
//!
//! Equal settings share one provider, so every type here compares by all its fields.
//!
//! | module | contents |
//! |---|---|
//! | [`file`] | `file_sd_configs` |
//! | [`static_groups`] | `static_configs` |

pub mod file;
pub mod static_groups;

use crate::config::file::discovery::file::FileSdConfig;
use crate::config::file::discovery::static_groups::StaticGroup;

/// Settings of one provider of targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryConfig {
    /// All `static_configs` of a job.
    Static(Vec<StaticGroup>),
    /// One entry of `file_sd_configs`.
    File(FileSdConfig),
}

impl DiscoveryConfig {
    /// Name of the mechanism in metrics and logs, as in Prometheus.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::File(_) => "file",
        }
    }
}

//! Contents of the configuration file: one field per section.

use crate::config::file::global::GlobalSection;
use crate::config::file::scrape::section::ScrapeSections;
use crate::config::file::storage::StorageSection;
use crate::config::yaml::error::FileProblem;

/// Contents of the configuration file. A section that the file omits has its defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    /// Section `global`.
    pub global: GlobalSection,
    /// Sections `scrape_configs` and `scrape_config_files`.
    pub scrape: ScrapeSections,
    /// Section `storage`.
    pub storage: StorageSection,
    /// Settings that are valid but have no effect or a surprising one.
    pub warnings: Vec<FileProblem>,
}

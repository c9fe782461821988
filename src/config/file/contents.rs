//! Contents of the configuration file: one field per section.

use crate::config::file::global::GlobalSection;
use crate::config::file::storage::StorageSection;

/// Contents of the configuration file. A section that the file omits has its defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    /// Section `global`.
    pub global: GlobalSection,
    /// Section `storage`.
    pub storage: StorageSection,
}

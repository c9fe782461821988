//! Options for loading the configuration file.

/// Options for loading the configuration file, from flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether sections and keys that narthex does not support are warnings
    /// (`--config.ignore-unsupported`).
    pub ignore_unsupported: bool,
    /// Defaults of `global` that features change.
    pub features: FeatureDefaults,
}

/// Defaults of `global` that `--enable-feature` changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeatureDefaults {
    /// Whether `scrape_protocols` begins with protobuf, which has start timestamps.
    pub protobuf_first: bool,
    /// Default of `extra_scrape_metrics`.
    pub extra_scrape_metrics: bool,
}

impl LoadOptions {
    /// Options without features.
    #[must_use]
    pub const fn new(ignore_unsupported: bool) -> Self {
        let features = FeatureDefaults { protobuf_first: false, extra_scrape_metrics: false };
        Self { ignore_unsupported, features }
    }
}

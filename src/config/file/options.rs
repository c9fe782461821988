//! Options for loading the configuration file, by command.

/// Options for loading the configuration file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether the keys and sections of scraping are supported. If not, they are problems.
    pub scraping: bool,
    /// Whether sections and keys that narthex does not support are warnings
    /// (`--config.ignore-unsupported`).
    pub ignore_unsupported: bool,
}

impl LoadOptions {
    /// Options of `narthex serve`, which does not scrape yet.
    #[must_use]
    pub fn serve(ignore_unsupported: bool) -> Self {
        Self { scraping: false, ignore_unsupported }
    }

    /// Options of `narthex check config`.
    #[must_use]
    pub fn check(ignore_unsupported: bool) -> Self {
        Self { scraping: true, ignore_unsupported }
    }
}

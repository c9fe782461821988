//! Active configuration for handlers: the file without the database settings, and the last reload.
//!
//! The reloader writes it, handlers read it. The locks are held only for a copy.

use crate::config::file::contents::ConfigFile;
use crate::remote::external_labels::ExternalLabels;
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::SystemTime;

/// Contents of the configuration file that are not database settings.
#[derive(Debug, Clone, Default)]
pub struct LoadedConfig {
    /// Configuration file, for the effective configuration.
    pub file: Arc<ConfigFile>,
    /// `global.external_labels` as applied to series.
    pub external_labels: ExternalLabels,
}

/// Result of the last reload.
#[derive(Debug, Clone, Copy)]
pub struct LastReload {
    /// `true` if the last attempt succeeded.
    pub succeeded: bool,
    /// Time of the last successful load.
    pub at: SystemTime,
}

/// Active configuration and the result of the last reload.
#[derive(Debug)]
pub struct Configuration {
    loaded: RwLock<LoadedConfig>,
    last: RwLock<LastReload>,
    started: SystemTime,
}

impl Configuration {
    /// Creates the configuration of the start.
    #[must_use]
    pub fn new(loaded: LoadedConfig) -> Self {
        let started = SystemTime::now();
        let last = LastReload { succeeded: true, at: started };
        Self { loaded: RwLock::new(loaded), last: RwLock::new(last), started }
    }

    /// Activates a newly loaded configuration.
    pub fn replace(&self, loaded: LoadedConfig) {
        *self.loaded.write() = loaded;
        *self.last.write() = LastReload { succeeded: true, at: SystemTime::now() };
    }

    /// Records a failed reload; the previous configuration stays active.
    pub fn mark_reload_failed(&self) {
        self.last.write().succeeded = false;
    }

    /// Returns the labels that are added to every series read.
    #[must_use]
    pub fn external_labels(&self) -> ExternalLabels {
        self.loaded.read().external_labels.clone()
    }

    /// Returns the configuration file.
    #[must_use]
    pub fn file(&self) -> Arc<ConfigFile> {
        self.loaded.read().file.clone()
    }

    /// Returns the time of the start.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Returns the result of the last reload.
    #[must_use]
    pub fn last_reload(&self) -> LastReload {
        *self.last.read()
    }
}

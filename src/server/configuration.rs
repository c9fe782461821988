//! The configuration that holds, for handlers: what the file says beside the database's settings, and how the last reload went.
//!
//! Written by the reloader, read by handlers; the lock is held for the time of a copy.

use crate::remote::external_labels::ExternalLabels;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What is in the file and not among the database's settings.
#[derive(Debug, Clone, Default)]
pub struct LoadedConfig {
    /// `global.external_labels` as they are shown, values that are empty included.
    pub display_labels: BTreeMap<String, String>,
    /// The same as they are used.
    pub external_labels: ExternalLabels,
}

/// How it came to hold.
#[derive(Debug, Clone, Copy)]
pub struct LastReload {
    /// Whether the last attempt was one that holds.
    pub succeeded: bool,
    /// When the last successful one was.
    pub at: SystemTime,
}

/// The configuration that holds.
#[derive(Debug)]
pub struct Configuration {
    loaded: RwLock<LoadedConfig>,
    last: RwLock<LastReload>,
    started: SystemTime,
}

impl Configuration {
    /// That of the start.
    #[must_use]
    pub fn new(loaded: LoadedConfig) -> Self {
        let started = SystemTime::now();
        let last = LastReload { succeeded: true, at: started };
        Self { loaded: RwLock::new(loaded), last: RwLock::new(last), started }
    }

    /// Another one holds from now on.
    pub fn replace(&self, loaded: LoadedConfig) {
        *self.loaded.write() = loaded;
        *self.last.write() = LastReload { succeeded: true, at: SystemTime::now() };
    }

    /// A reload failed: the old one holds.
    pub fn mark_reload_failed(&self) {
        self.last.write().succeeded = false;
    }

    /// What is added to series that are read.
    #[must_use]
    pub fn external_labels(&self) -> ExternalLabels {
        self.loaded.read().external_labels.clone()
    }

    /// External labels as they are shown.
    #[must_use]
    pub fn display_labels(&self) -> BTreeMap<String, String> {
        self.loaded.read().display_labels.clone()
    }

    /// When that of the start was read.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// How it came to hold.
    #[must_use]
    pub fn last_reload(&self) -> LastReload {
        *self.last.read()
    }
}

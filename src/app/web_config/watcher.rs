//! Detection of changes, reload.
//!
//! A reload counts only if the files had the same contents before and after it, a pause of
//! [`SETTLE`] apart, and names the files that were compared. So neither a file that is being
//! rewritten nor a certificate whose key follows is taken for the new state, and no file that is in
//! use is without a comparison.

use crate::app::web_config::fingerprint::Fingerprint;
use crate::app::web_config::live::LiveWeb;
use crate::app::web_config::reload_check::Protection;
use crate::app::web_config::setup::{WebConfigError, WebConfigSource, WebSetup};
use crate::config::flags::grpc::GrpcFlags;
use crate::server::management::notifications::{Notice, Notifications};
use crate::server::transport::listener::HttpVersions;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two comparisons.
const INTERVAL: Duration = Duration::from_millis(400);
/// Time in which contents must not change to be loaded.
const SETTLE: Duration = Duration::from_millis(100);
/// Number of attempts to load files that keep changing; the next comparison continues.
const MAX_ATTEMPTS: u32 = 5;

/// File that was loaded at the start, with the contents that were loaded.
#[derive(Debug)]
pub(crate) struct WatchedConfig {
    pub(crate) source: WebConfigSource,
    grpc: GrpcFlags,
    /// The file and the files that it names.
    files: Vec<PathBuf>,
    /// Contents that were loaded last; `None` if they are unknown and the next comparison reloads.
    loaded: Option<Fingerprint>,
    /// Protection by the configuration in use.
    protection: Protection,
}

impl WatchedConfig {
    /// Loads the file of the start, and logs its warnings.
    pub(crate) fn load(
        source: WebConfigSource,
        grpc: GrpcFlags,
    ) -> Result<(WebSetup, Self), WebConfigError> {
        let files = source.read_files()?;
        Self::load_with(source, grpc, &files)
    }

    /// Loads the file, which named `files` a moment ago.
    pub(super) fn load_with(
        source: WebConfigSource,
        grpc: GrpcFlags,
        files: &[PathBuf],
    ) -> Result<(WebSetup, Self), WebConfigError> {
        // Before the contents are used: a change in between is found by the first comparison.
        let before = Fingerprint::from_files(files);
        let setup = source.load_for_server(None, &grpc)?;
        setup.log_warnings(&source.path);
        let loaded_files = source.files(&setup.config);
        let loaded = (loaded_files == files).then_some(before);
        let protection = Protection::from_config(&setup.config);
        Ok((setup, Self { source, grpc, files: loaded_files, loaded, protection }))
    }

    /// Loads the current contents. TLS connections continue to offer `versions`.
    fn load_again(&self, versions: HttpVersions) -> Result<WebSetup, WebConfigError> {
        let setup = self.source.load_for_server(Some(versions), &self.grpc)?;
        match self.protection.check(&setup.config, setup.has_users_section) {
            Ok(()) => Ok(setup),
            Err(problem) => Err(self.source.reload_error(problem)),
        }
    }
}

/// Reloads a web configuration file when its contents, or those of a file that it names, change.
#[derive(Debug)]
pub(crate) struct WebConfigWatcher {
    watched: WatchedConfig,
    live: LiveWeb,
    notifications: Arc<Notifications>,
    /// Text of the failure that was logged last; `None` after a success.
    pub(super) failure: Option<String>,
    /// Settings that need a restart and were logged.
    needs_restart: Vec<&'static str>,
}

impl WebConfigWatcher {
    pub(crate) fn new(
        watched: WatchedConfig,
        live: LiveWeb,
        notifications: Arc<Notifications>,
    ) -> Self {
        Self { watched, live, notifications, failure: None, needs_restart: Vec::new() }
    }

    /// Watches until the runtime shuts down. Files are read on a blocking thread.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let compared = tokio::task::spawn_blocking(move || {
                self.reload_if_changed();
                self
            });
            self = match compared.await {
                Ok(watcher) => watcher,
                Err(error) => {
                    tracing::error!(%error, "web configuration is not watched any more");
                    return;
                }
            };
        }
    }

    /// Compares the files, and reloads them if they changed.
    pub(crate) fn reload_if_changed(&mut self) {
        if self.watched.loaded.as_ref() == Some(&Fingerprint::from_files(&self.watched.files)) {
            return;
        }
        for _ in 0..MAX_ATTEMPTS {
            // A file that cannot be parsed names no other files.
            if let Ok(files) = self.watched.source.read_files() {
                self.watched.files = files;
            }
            if self.reload_if_stable() {
                return;
            }
        }
    }

    /// Reloads the files, and reports the result. Returns `false`, and changes nothing, if they
    /// change during the reload or are not the watched ones.
    pub(super) fn reload_if_stable(&mut self) -> bool {
        let files = &self.watched.files;
        let before = Fingerprint::from_files(files);
        std::thread::sleep(SETTLE);
        let setup = self.watched.load_again(self.live.http_versions());
        let named = match &setup {
            Ok(setup) => Some(self.watched.source.files(&setup.config)),
            Err(_) => self.watched.source.read_files().ok(),
        };
        if named.is_some_and(|named| named != *files) || Fingerprint::from_files(files) != before {
            return false;
        }
        self.watched.loaded = Some(before);
        match setup {
            Ok(setup) => self.succeed(setup),
            Err(error) => self.fail(&error),
        }
        true
    }

    fn succeed(&mut self, setup: WebSetup) {
        setup.log_warnings(&self.watched.source.path);
        self.watched.protection = Protection::from_config(&setup.config);
        let needs_restart = self.live.apply(setup);
        self.live.metrics.succeeded();
        self.notifications.clear(Notice::WebConfigReloadFailed);
        self.failure = None;
        let path = self.watched.source.path.display();
        tracing::info!(%path, "reloaded web configuration");
        if needs_restart != self.needs_restart {
            if !needs_restart.is_empty() {
                let settings = needs_restart.join(", ");
                tracing::warn!(%path, settings, "changed settings need a restart");
            }
            self.needs_restart = needs_restart;
        }
    }

    fn fail(&mut self, error: &WebConfigError) {
        self.live.metrics.failed();
        self.notifications.raise(Notice::WebConfigReloadFailed);
        let text = error.to_string();
        if self.failure.as_ref() != Some(&text) {
            tracing::error!(
                error = text,
                "web configuration reload failed, keeping the previous one"
            );
            self.failure = Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, MAX_ATTEMPTS, SETTLE};
    use std::time::Duration;

    #[test]
    fn change_has_an_effect_within_a_second() {
        assert!(INTERVAL + SETTLE * MAX_ATTEMPTS < Duration::from_secs(1));
    }
}

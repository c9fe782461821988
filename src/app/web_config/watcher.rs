//! Detection of changes, reload.
//!
//! A reload counts only if the files had the same contents before and after it, a pause of
//! [`SETTLE`] apart. So neither a file that is being rewritten nor a certificate whose key follows
//! is taken for the new state.

use crate::app::web_config::fingerprint::Fingerprint;
use crate::app::web_config::live::LiveWeb;
use crate::app::web_config::setup::{WebConfigError, WebConfigSource, WebSetup};
use crate::config::flags::grpc::GrpcFlags;
use crate::server::management::notifications::{Notice, Notifications};
use crate::server::transport::listener::HttpVersions;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two comparisons. Together with [`SETTLE`] well below a second.
const INTERVAL: Duration = Duration::from_millis(400);
/// Time in which contents must not change to be loaded.
const SETTLE: Duration = Duration::from_millis(100);
/// Number of attempts to load files that keep changing; the next comparison continues.
const MAX_ATTEMPTS: usize = 5;

/// File that was loaded at the start, with the contents that were loaded.
#[derive(Debug)]
pub(crate) struct WatchedConfig {
    pub(crate) source: WebConfigSource,
    grpc: GrpcFlags,
    /// The file and the files that it names.
    files: Vec<PathBuf>,
    loaded: Fingerprint,
}

impl WatchedConfig {
    /// Loads the file of the start, and logs its warnings.
    pub(crate) fn load(
        source: WebConfigSource,
        grpc: GrpcFlags,
    ) -> Result<(WebSetup, Self), WebConfigError> {
        let files = source.files()?;
        // Before the contents are used: a change in between is found by the first comparison.
        let loaded = Fingerprint::of(&files);
        let setup = source.load_for_server(None, &grpc)?;
        setup.log_warnings(&source.path);
        Ok((setup, Self { source, grpc, files, loaded }))
    }

    /// Loads the current contents. TLS connections continue to offer `versions`.
    fn load_again(&self, versions: HttpVersions) -> Result<WebSetup, WebConfigError> {
        self.source.load_for_server(Some(versions), &self.grpc)
    }
}

/// Reloads a web configuration file when its contents, or those of a file that it names, change.
#[derive(Debug)]
pub(crate) struct WebConfigWatcher {
    watched: WatchedConfig,
    live: LiveWeb,
    notifications: Arc<Notifications>,
    /// Text of the failure that was logged last; `None` after a success.
    failure: Option<String>,
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
        if Fingerprint::of(&self.watched.files) == self.watched.loaded {
            return;
        }
        for _ in 0..MAX_ATTEMPTS {
            // A file that cannot be parsed names no other files.
            if let Ok(files) = self.watched.source.files() {
                self.watched.files = files;
            }
            let before = Fingerprint::of(&self.watched.files);
            std::thread::sleep(SETTLE);
            let setup = self.watched.load_again(self.live.http_versions());
            if Fingerprint::of(&self.watched.files) == before {
                self.watched.loaded = before;
                match setup {
                    Ok(setup) => self.succeed(setup),
                    Err(error) => self.fail(&error),
                }
                return;
            }
        }
    }

    fn succeed(&mut self, setup: WebSetup) {
        setup.log_warnings(&self.watched.source.path);
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

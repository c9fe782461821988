//! Automatic reload of the configuration file (`--config.auto-reload`).
//!
//! The configuration file and the files that it includes are compared by contents at an interval.
//! A difference causes a reload as `/-/reload` does. After a failed reload, the next comparison
//! tries again: a missing certificate may exist by then.

use crate::app::web_config::fingerprint::Fingerprint;
use crate::config::file;
use crate::config::file::options::LoadOptions;
use crate::server::management::process_state::ProcessState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Configuration file to watch.
#[derive(Debug, Clone)]
pub(crate) struct WatchedFile {
    /// Path of the configuration file.
    pub(crate) path: PathBuf,
    /// Options with which it is loaded.
    pub(crate) options: LoadOptions,
    /// Time between two comparisons.
    pub(crate) interval: Duration,
    /// Contents that were loaded last; `None` if they are not those in use.
    pub(crate) loaded: Option<Fingerprint>,
}

impl WatchedFile {
    /// Notes the contents of the files. Call it before they are loaded.
    pub(crate) fn read_before_load(mut self) -> Self {
        self.loaded = Some(self.fingerprint());
        self
    }

    /// Reads the configuration file and the files that it includes. A file that cannot be parsed
    /// includes no other files.
    fn fingerprint(&self) -> Fingerprint {
        let mut paths = vec![self.path.clone()];
        if let Ok((config, _)) = file::check(&self.path, self.options) {
            paths.extend(config.scrape.included.into_iter().map(|included| included.path));
        }
        Fingerprint::from_files(&paths)
    }
}

/// Reloads the configuration file when its contents, or those of an included file, change.
#[derive(Debug)]
pub(crate) struct ConfigWatcher {
    file: WatchedFile,
    process: Arc<ProcessState>,
}

impl ConfigWatcher {
    /// Creates the watcher of a file that was loaded a moment ago.
    pub(crate) fn new(file: WatchedFile, process: Arc<ProcessState>) -> Self {
        Self { file, process }
    }

    /// Watches until the runtime shuts down. Files are read on a blocking thread.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(self.file.interval).await;
            let file = self.file.clone();
            let compared = tokio::task::spawn_blocking(move || file.fingerprint());
            let found = match compared.await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "configuration is not watched any more");
                    return;
                }
            };
            // The reloader logs its errors.
            if self.file.loaded.as_ref() != Some(&found) {
                self.file.loaded = self.process.control.reload().await.is_ok().then_some(found);
            }
        }
    }
}

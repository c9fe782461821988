//! Reload of the configuration file, on SIGHUP or on request.
//!
//! An invalid file changes nothing. The error is logged, counted in the metrics and returned to the
//! requester. Reloads run one at a time, on a blocking thread.

use crate::app::client_problems;
use crate::app::scraping::Scraping;
use crate::app::scraping::error::PrepareScrapingError;
use crate::config::file;
use crate::config::file::contents::ConfigFile;
use crate::config::file::error::ConfigFileError;
use crate::config::file::options::LoadOptions;
use crate::config::flags::storage::StorageFlags;
use crate::config::settings;
use crate::metrics::registry::{Gauge, Registry};
use crate::model::labels::BuildLabelsError;
use crate::remote::external_labels::ExternalLabels;
use crate::server::management::configuration::{Configuration, LoadedConfig};
use crate::server::management::notifications::{Notice, Notifications};
use crate::server::management::process_control::ReloadRequest;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::{FloatEncoding, RecordVersion};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Error of applying a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyConfigError {
    /// The file cannot be read or is invalid.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// `storage.tsdb.retention.percentage` is set, but the size of the file system is unknown.
    #[error("cannot apply storage.tsdb.retention.percentage: no file system size of {path}: {why}")]
    Percentage {
        /// Path of the data directory.
        path: PathBuf,
        /// Error of the system call.
        why: io::Error,
    },
    /// `st-storage` is enabled, but XOR chunks cannot store start timestamps.
    #[error(
        "storage.tsdb.chunk_encoding.floats must be xor2 with --enable-feature=st-storage: \
         xor cannot store start timestamps"
    )]
    StartsInXor,
    /// `global.external_labels` is not a valid label set.
    #[error("global.external_labels is invalid: {0}")]
    ExternalLabels(#[from] BuildLabelsError),
    /// A job of the file cannot be created.
    #[error(transparent)]
    Scraping(#[from] PrepareScrapingError),
    /// The database rejected the settings.
    #[error("cannot apply configuration: {0}")]
    Apply(#[from] MaintenanceError),
}

/// Prometheus's metrics of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ReloadMetrics {
    successful: Gauge,
    success_seconds: Gauge,
}

impl ReloadMetrics {
    /// Registers the metrics as after a success: the configuration of the start is loaded.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            successful: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            success_seconds: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
        };
        metrics.succeeded();
        metrics
    }

    fn succeeded(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.success_seconds.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        self.successful.set(1);
    }
}

/// Source of a reload.
#[derive(Debug, Clone)]
pub(crate) struct ReloadConfig {
    /// Path of the configuration file; `None` = all settings have their defaults.
    pub(crate) file: Option<PathBuf>,
    /// Options with which the file is loaded.
    pub(crate) options: LoadOptions,
    /// Flags that the file does not replace.
    pub(crate) flags: StorageFlags,
    /// Float encoding of the start, used if the file sets none.
    pub(crate) startup_encoding: FloatEncoding,
}

/// Reloads the configuration file and applies it to database and handlers.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) config: ReloadConfig,
    pub(crate) db: Arc<DbHandle>,
    pub(crate) scraping: Arc<Scraping>,
    pub(crate) metrics: ReloadMetrics,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) notifications: Arc<Notifications>,
}

impl Reloader {
    /// Reloads on each request and on each event. Returns when both channels are closed.
    pub(crate) async fn run(
        self,
        mut requests: mpsc::Receiver<ReloadRequest>,
        mut events: mpsc::Receiver<()>,
    ) {
        let reloader = Arc::new(self);
        loop {
            let requester = tokio::select! {
                Some(()) = events.recv() => None,
                Some(requester) = requests.recv() => Some(requester),
                else => return,
            };
            let task = tokio::task::spawn_blocking({
                let reloader = reloader.clone();
                move || reloader.reload()
            });
            let outcome = task.await.unwrap_or_else(|error| Err(error.to_string()));
            if let Some(requester) = requester {
                // A send error is ignored: the requester has disconnected.
                let _ = requester.send(outcome);
            }
        }
    }

    fn reload(&self) -> Result<(), String> {
        let result = self.try_reload();
        match &result {
            Ok(()) => {
                self.metrics.succeeded();
                self.notifications.clear(Notice::ConfigReloadFailed);
                tracing::info!(settings = ?self.db.shared().settings(), "reloaded configuration");
            }
            Err(error) => {
                self.metrics.successful.set(0);
                self.configuration.mark_reload_failed();
                self.notifications.raise(Notice::ConfigReloadFailed);
                tracing::error!(%error, "configuration reload failed, keeping the previous one");
            }
        }
        result.map_err(|error| error.to_string())
    }

    fn try_reload(&self) -> Result<(), ApplyConfigError> {
        let config = &self.config;
        let file = load_file(config.file.as_deref(), config.options)?;
        let settings = settings::at_reload(&config.flags, &file, config.startup_encoding);
        check(&settings, self.db.shared().options())?;
        let loaded = load_labels(&file)?;
        let jobs = self.scraping.prepare(&file)?;
        self.db.apply_settings(settings)?;
        self.scraping.apply(jobs);
        log_warnings(&file, &self.configuration.file());
        self.configuration.replace(loaded);
        Ok(())
    }
}

/// Loads the configuration file and checks that its HTTP clients can be created. Without a path,
/// all settings have their defaults.
pub(crate) fn load_file(
    path: Option<&Path>,
    options: LoadOptions,
) -> Result<ConfigFile, ConfigFileError> {
    let Some(path) = path else { return Ok(ConfigFile::default()) };
    let file = file::load(path, options)?;
    let problems = client_problems::problems(path, &file);
    if problems.is_empty() { Ok(file) } else { Err(ConfigFileError::Invalid(problems)) }
}

/// Returns the part of the file that handlers use. Warns of unset or empty environment variables.
pub(crate) fn load_labels(file: &ConfigFile) -> Result<LoadedConfig, ApplyConfigError> {
    for name in &file.global.empty_variables {
        tracing::warn!(name, "environment variable of an external label is empty");
    }
    let labels = &file.global.external_labels;
    let external_labels =
        ExternalLabels::new(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    Ok(LoadedConfig { file: Arc::new(file.clone()), external_labels })
}

/// Logs the warnings of a configuration that the previous one did not have.
pub(crate) fn log_warnings(file: &ConfigFile, previous: &ConfigFile) {
    for warning in file.warnings.iter().filter(|warning| !previous.warnings.contains(warning)) {
        tracing::warn!(%warning, "configuration has a setting without effect");
    }
}

/// Checks that the settings can apply on this machine. Warns of a retention size without effect.
pub(crate) fn check(settings: &Settings, options: &DbOptions) -> Result<(), ApplyConfigError> {
    if options.record_version == RecordVersion::V2 && settings.float_encoding == FloatEncoding::Xor
    {
        return Err(ApplyConfigError::StartsInXor);
    }
    let retention = &settings.retention;
    if retention.percentage == 0.0 {
        return Ok(());
    }
    if retention.bytes > 0 {
        tracing::warn!(
            "storage.tsdb.retention.percentage is set, ignoring storage.tsdb.retention.size"
        );
    }
    let path = &options.dir;
    let size_check = options.disk.space(path).and_then(|space| match space.total {
        0 => Err(io::Error::other("file system reports a size of 0")),
        _ => Ok(()),
    });
    size_check.map_err(|why| ApplyConfigError::Percentage { path: path.clone(), why })
}

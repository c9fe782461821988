//! Reading the configuration file again, told by SIGHUP or by a request, while everything goes on.
//!
//! A file that is wrong changes nothing and is reported: in the log, by the metrics and to who asked. One reload at a time, on a
//! blocking thread.

use crate::config::file;
use crate::config::file::{ConfigFile, LoadConfigError};
use crate::config::flags::ServeFlags;
use crate::config::settings;
use crate::metrics::registry::{Gauge, Registry};
use crate::model::labels::BuildLabelsError;
use crate::remote::external_labels::ExternalLabels;
use crate::server::configuration::{Configuration, LoadedConfig};
use crate::server::process_control::ReloadRequest;
use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::db::Db;
use crate::tsdb::db::error::MaintenanceError;
use crate::tsdb::db::settings::Settings;
use crate::tsdb::wal::record::builder::RecordVersion;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ApplyConfigError {
    /// The file can't be read or says something that can't be.
    #[error(transparent)]
    File(#[from] LoadConfigError),
    /// A share of a disk whose size can't be told.
    #[error(
        "storage.tsdb.retention.percentage can't be used: the size of the file system of {path} can't be told: {why}"
    )]
    Percentage {
        /// The data directory.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// Start timestamps are to be kept in chunks that have no place for them.
    #[error(
        "storage.tsdb.chunk_encoding.floats must be xor2 with --enable-feature=st-storage: xor has no place for start timestamps"
    )]
    StartsInXor,
    /// Labels that can't be.
    #[error("global.external_labels can't be used: {0}")]
    ExternalLabels(#[from] BuildLabelsError),
    /// The database does not take it.
    #[error("the configuration can't be applied: {0}")]
    Apply(#[from] MaintenanceError),
}

/// The metrics that Prometheus has of its configuration.
#[derive(Debug, Clone)]
pub(crate) struct ReloadMetrics {
    successful: Gauge,
    success_seconds: Gauge,
}

impl ReloadMetrics {
    /// Registers them; the configuration of the start has been read by then.
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

/// Reloads the configuration.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) flags: Arc<ServeFlags>,
    pub(crate) db: Arc<Db>,
    pub(crate) metrics: ReloadMetrics,
    pub(crate) configuration: Arc<Configuration>,
    /// That of the start, which a file falls back to that names none.
    pub(crate) startup_encoding: FloatEncoding,
}

impl Reloader {
    /// Reloads whenever somebody asks, or the process gets `hangup`.
    pub(crate) async fn run(self, mut asked: mpsc::Receiver<ReloadRequest>, mut hangup: Signal) {
        let reloader = Arc::new(self);
        loop {
            let asker = tokio::select! {
                Some(()) = hangup.recv() => None,
                Some(asker) = asked.recv() => Some(asker),
                else => return,
            };
            let working = tokio::task::spawn_blocking({
                let reloader = reloader.clone();
                move || reloader.reload()
            });
            let outcome = working.await.unwrap_or_else(|error| Err(error.to_string()));
            if let Some(asker) = asker {
                // Who asked may have gone.
                let _ = asker.send(outcome);
            }
        }
    }

    fn reload(&self) -> Result<(), String> {
        let done = self.try_reload();
        match &done {
            Ok(()) => {
                self.metrics.succeeded();
                tracing::info!(settings = ?self.db.settings(), "the configuration was reloaded");
            }
            Err(error) => {
                self.metrics.successful.set(0);
                self.configuration.mark_reload_failed();
                tracing::error!(%error, "the configuration was not reloaded: the old one holds");
            }
        }
        done.map_err(|error| error.to_string())
    }

    fn try_reload(&self) -> Result<(), ApplyConfigError> {
        let file =
            self.flags.config_file.as_deref().map(file::load).transpose()?.unwrap_or_default();
        let settings = settings::at_reload(&self.flags.storage, &file, self.startup_encoding);
        check(&settings, &self.db)?;
        let loaded = load_labels(&file)?;
        self.db.apply_settings(settings)?;
        self.configuration.replace(loaded);
        Ok(())
    }
}

/// What handlers need of the file; warns of variables that it names and that are not there.
pub(crate) fn load_labels(file: &ConfigFile) -> Result<LoadedConfig, ApplyConfigError> {
    for name in &file.empty_variables {
        tracing::warn!(name, "an external label names a variable of the environment that is empty");
    }
    let shown_labels = file.external_labels.clone();
    let external_labels = ExternalLabels::new(
        shown_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())),
    )?;
    Ok(LoadedConfig { display_labels: shown_labels, external_labels })
}

/// Whether settings can hold on this machine; warns of what is meant otherwise than it looks.
pub(crate) fn check(settings: &Settings, db: &Db) -> Result<(), ApplyConfigError> {
    if db.options().record_version == RecordVersion::V2
        && settings.float_encoding == FloatEncoding::Xor
    {
        return Err(ApplyConfigError::StartsInXor);
    }
    let retention = &settings.retention;
    if retention.percentage == 0.0 {
        return Ok(());
    }
    if retention.bytes > 0 {
        tracing::warn!(
            "storage.tsdb.retention.size means nothing beside storage.tsdb.retention.percentage"
        );
    }
    let path = &db.options().dir;
    let known = db.options().disk.space(path).and_then(|space| match space.total {
        0 => Err(io::Error::other("it says that it has no bytes")),
        _ => Ok(()),
    });
    known.map_err(|why| ApplyConfigError::Percentage { path: path.clone(), why })
}

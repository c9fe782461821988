//! `GET /api/v1/status/{config,flags,runtimeinfo,walreplay}`: configuration, flags, state of the
//! process and of the WAL replay.
//!
//! Thanos's sidecar reads the external labels from `config` and the block ranges from `flags`.

use crate::config::effective;
use crate::config::units;
use crate::config::units::ByteSize;
use crate::model::time::format_system_time;
use crate::server::api::response;
use crate::server::api::status::StatusState;
use crate::server::contract::api_error::ApiError;
use crate::server::management::host_name::host_name;
use crate::tsdb::db::settings::RetentionSettings;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// Flag whose default is computed.
const MAX_BLOCK_DURATION: &str = "storage.tsdb.max-block-duration";

#[derive(Serialize)]
struct ConfigData {
    yaml: String,
}

/// Prometheus's fields, including those without a meaning in narthex.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeInfo {
    start_time: String,
    #[serde(rename = "CWD")]
    cwd: String,
    hostname: String,
    server_time: String,
    reload_config_success: bool,
    last_config_time: String,
    corruption_count: u64,
    /// Number of threads.
    goroutine_count: usize,
    #[serde(rename = "GOMAXPROCS")]
    gomaxprocs: usize,
    #[serde(rename = "GOMEMLIMIT")]
    gomemlimit: i64,
    #[serde(rename = "GOGC")]
    gogc: &'static str,
    #[serde(rename = "GODEBUG")]
    godebug: &'static str,
    storage_retention: String,
}

/// Returns the active configuration as YAML.
pub(crate) async fn status_config(State(status): State<Arc<StatusState>>) -> Response {
    let file = status.configuration.file();
    match effective::to_yaml(&file, &status.db.shared().settings()) {
        Ok(yaml) => response::success(&ConfigData { yaml }),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

/// Returns the flags and their effective values.
pub(crate) async fn status_flags(State(status): State<Arc<StatusState>>) -> Response {
    let mut flags = status.flags.clone();
    let longest = u64::try_from(status.db.shared().longest_block_ms()).unwrap_or(0);
    flags.insert(
        MAX_BLOCK_DURATION.to_owned(),
        units::format_prometheus_duration(Duration::from_millis(longest)),
    );
    response::success(&flags)
}

/// Returns the state of the process.
pub(crate) async fn runtime_info(State(status): State<Arc<StatusState>>) -> Response {
    let last = status.configuration.last_reload();
    response::success(&RuntimeInfo {
        start_time: format_system_time(status.configuration.started()),
        cwd: std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
        hostname: host_name(),
        server_time: format_system_time(SystemTime::now()),
        reload_config_success: last.succeeded,
        last_config_time: format_system_time(last.at),
        corruption_count: status.corruptions.get(),
        goroutine_count: std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        gomaxprocs: std::thread::available_parallelism().map_or(1, usize::from),
        gomemlimit: i64::MAX,
        gogc: "",
        godebug: "",
        storage_retention: format_retention(&status.db.shared().settings().retention),
    })
}

/// `GET /api/v1/status/walreplay`, in Prometheus's format: segment numbers of the WAL.
pub(crate) async fn wal_replay(State(status): State<Arc<StatusState>>) -> Response {
    let progress = status.db.shared().replay_progress();
    response::success(&WalReplayData {
        min: progress.min.load(Ordering::Relaxed),
        max: progress.max.load(Ordering::Relaxed),
        current: progress.current.load(Ordering::Relaxed),
    })
}

#[derive(Serialize)]
struct WalReplayData {
    min: i64,
    max: i64,
    current: i64,
}

/// Formats the retention as Prometheus does: `15d or 512MiB`.
fn format_retention(retention: &RetentionSettings) -> String {
    let mut limits = Vec::new();
    if retention.time_ms > 0 {
        limits.push(units::format_prometheus_duration(Duration::from_millis(
            retention.time_ms.unsigned_abs(),
        )));
    }
    if retention.bytes > 0 {
        limits.push(units::format_prometheus_bytes(ByteSize(retention.bytes)));
    }
    if retention.percentage > 0.0 {
        limits.push(format!("{}%", retention.percentage));
    }
    limits.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::format_retention;
    use crate::tsdb::db::settings::{RetentionOrigin, RetentionSettings};

    #[test]
    fn retention_is_formatted_as_in_prometheus() {
        let limits = |time_ms, bytes, percentage| {
            format_retention(&RetentionSettings {
                time_ms,
                bytes,
                percentage,
                origin: RetentionOrigin::Configured,
            })
        };
        assert_eq!(limits(15 * 86_400_000, 0, 0.0), "15d");
        assert_eq!(limits(3_600_000, 512 << 20, 12.5), "1h or 512MiB or 12.5%");
        assert_eq!(limits(0, 0, 0.0), "");
    }
}

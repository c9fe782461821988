//! Options of the database, from flags and settings.

use crate::app::config::values::{limit, millis};
use crate::config::flags::dry_run::DryRunFlags;
use crate::config::flags::features::Feature;
use crate::config::flags::storage::{StorageFlags, WalCompressionFlag, WalSyncFlag};
use crate::tsdb::db::disk_guard::DiskReserve;
use crate::tsdb::db::options::{DbOptions, ShutdownMode};
use crate::tsdb::db::settings::Settings;
use crate::tsdb::db::{HistogramStMode, RecordCompression, RecordVersion, SeriesLimit, SyncMode};

/// Returns the options for [`LockedDir::open`](crate::tsdb::db::LockedDir::open).
pub(crate) fn db_options(
    flags: &StorageFlags,
    dry_run: DryRunFlags,
    settings: Settings,
) -> DbOptions {
    DbOptions {
        wal_compression: match flags.effective_wal_compression() {
            WalCompressionFlag::None => RecordCompression::None,
            WalCompressionFlag::Snappy => RecordCompression::Snappy,
            WalCompressionFlag::Zstd => RecordCompression::Zstd,
        },
        wal_segment_size: flags.wal_segment_size.0,
        wal_sync: match flags.wal_sync {
            WalSyncFlag::Os => SyncMode::Os,
            WalSyncFlag::Interval => SyncMode::Interval(flags.wal_sync_interval),
            WalSyncFlag::Always => SyncMode::Always,
        },
        chunk_range_ms: millis(flags.min_block_duration),
        series_limit: SeriesLimit {
            max: limit(flags.max_active_series),
            is_dry_run: dry_run.max_active_series,
        },
        // As in Prometheus, 0 means "not set".
        max_block_range_ms: flags.max_block_duration.map(millis).filter(|range| *range > 0),
        uploads_file: flags.delay_compact_file.clone().filter(|path| !path.as_os_str().is_empty()),
        shutdown_mode: if flags.features.contains(&Feature::MemorySnapshotOnShutdown) {
            ShutdownMode::ChunkSnapshot
        } else {
            ShutdownMode::KeepInWal
        },
        record_version: if flags.features.contains(&Feature::StStorage) {
            RecordVersion::V2
        } else {
            RecordVersion::V1
        },
        histogram_st_mode: if flags.features.contains(&Feature::HistogramsStEncoding) {
            HistogramStMode::WithSt
        } else {
            HistogramStMode::WithoutSt
        },
        disk_reserve: flags
            .disk_reserve
            .map_or(DiskReserve::Default, |size| DiskReserve::Bytes(size.0)),
        settings,
        ..DbOptions::new(flags.path.clone())
    }
}

//! Flags of the TSDB: data directory, WAL, retention and features.

use crate::config::flags::features::Feature;
use crate::config::flags::values::positive_duration;
use crate::config::units;
use crate::config::units::ByteSize;
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Flags of the TSDB.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageFlags {
    /// Base path of the data directory, in Prometheus's format.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "./data")]
    pub path: PathBuf,
    /// When to sync the WAL, which limits what a power failure can lose: os = left to the kernel,
    /// interval = every --storage.tsdb.wal-sync-interval, always = before each response. A killed
    /// process never loses acknowledged samples.
    #[arg(
        long = "storage.tsdb.wal-sync", value_enum, value_name = "MODE",
        default_value_t = WalSyncFlag::Interval
    )]
    pub wal_sync: WalSyncFlag,
    /// Time between two syncs of the WAL in mode interval; at least 1ms.
    #[arg(
        long = "storage.tsdb.wal-sync-interval", value_name = "DURATION", default_value = "1s",
        value_parser = sync_interval
    )]
    pub wal_sync_interval: Duration,
    /// Compress the WAL (true or false).
    #[arg(
        long = "storage.tsdb.wal-compression", value_name = "BOOL", default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = ArgAction::Set, overrides_with = "no_wal_compression"
    )]
    pub wal_compression: bool,
    /// Negative form of --storage.tsdb.wal-compression.
    #[arg(long = "no-storage.tsdb.wal-compression", hide = true)]
    pub no_wal_compression: bool,
    /// Compression algorithm of the WAL, used if --storage.tsdb.wal-compression is true. Older
    /// versions of Prometheus cannot read zstd.
    #[arg(
        long = "storage.tsdb.wal-compression-type", value_enum, value_name = "TYPE",
        default_value_t = WalCompressionFlag::Snappy
    )]
    pub wal_compression_type: WalCompressionFlag,
    /// Size at which to split the WAL segment files: 64KB to 256MB, a multiple of 32KB.
    #[arg(
        long = "storage.tsdb.wal-segment-size", value_name = "SIZE", default_value = "128MB",
        value_parser = segment_size
    )]
    pub wal_segment_size: ByteSize,
    /// Minimum duration of a data block before being persisted. For use in testing.
    #[arg(
        long = "storage.tsdb.min-block-duration", value_name = "DURATION", default_value = "2h",
        value_parser = positive_duration, hide = true
    )]
    pub min_block_duration: Duration,
    /// Maximum duration compacted blocks may span. For use in testing. Without it, 10% of the
    /// retention time, at most 31d.
    #[arg(
        long = "storage.tsdb.max-block-duration", value_name = "DURATION",
        value_parser = units::parse_duration, hide = true
    )]
    pub max_block_duration: Option<Duration>,
    /// Time to retain samples in storage. If neither this flag nor
    /// --storage.tsdb.retention.size is set, the retention time is 15d, unless that deletes older
    /// data that the directory already has. storage.tsdb.retention in the configuration file
    /// replaces both flags.
    #[arg(
        long = "storage.tsdb.retention.time", value_name = "DURATION",
        value_parser = units::parse_duration
    )]
    pub retention_time: Option<Duration>,
    /// Maximum number of bytes that can be stored for blocks, such as 512MB; a unit is required.
    /// The oldest blocks are deleted first.
    #[arg(
        long = "storage.tsdb.retention.size", value_name = "SIZE",
        value_parser = units::parse_bytes_with_unit
    )]
    pub retention_size: Option<ByteSize>,
    /// Path to a JSON file with uploaded blocks, such as the meta file of the Thanos shipper.
    /// Level-1 blocks that are not in the file are not compacted yet.
    #[arg(long = "storage.tsdb.delay-compact-file.path", value_name = "PATH")]
    pub delay_compact_file: Option<PathBuf>,
    /// Free disk space below which writes are rejected, until 1.25 times as much is free. 0 =
    /// disabled. Without the flag, 1GB or 2% of the file system, whichever is less.
    #[arg(
        long = "storage.tsdb.disk-reserve", value_name = "SIZE", value_parser = units::parse_bytes
    )]
    pub disk_reserve: Option<ByteSize>,
    /// Comma separated feature names to enable.
    #[arg(long = "enable-feature", value_enum, value_name = "NAME", value_delimiter = ',')]
    pub features: Vec<Feature>,
    /// Maximum number of series in the head; samples of further series are rejected. 0 = unlimited.
    #[arg(
        long = "storage.tsdb.max-active-series", value_name = "COUNT", default_value = "10000000",
        value_parser = units::parse_count
    )]
    pub max_active_series: u64,
}

impl StorageFlags {
    /// Returns the WAL compression that results from the three flags.
    #[must_use]
    pub fn effective_wal_compression(&self) -> WalCompressionFlag {
        if self.no_wal_compression || !self.wal_compression {
            WalCompressionFlag::None
        } else {
            self.wal_compression_type
        }
    }
}

/// Modes of WAL sync (`--storage.tsdb.wal-sync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WalSyncFlag {
    /// When the kernel writes it back
    Os,
    /// At an interval of --storage.tsdb.wal-sync-interval
    Interval,
    /// Before each response to a write
    Always,
}

/// Compression algorithms of the WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WalCompressionFlag {
    /// No compression of records
    None,
    /// Snappy blocks, the default of Prometheus
    Snappy,
    /// Zstandard frames, which older versions of Prometheus cannot read
    Zstd,
}

/// Parses a segment size. Pages are 32 KiB, and a segment has at least two.
fn segment_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    let legal = (64 << 10..=256 << 20).contains(&size.0) && size.0.is_multiple_of(32 << 10);
    if legal {
        Ok(size)
    } else {
        Err("it must be a multiple of 32KB from 64KB to 256MB".to_owned())
    }
}

/// Parses the sync interval. 0 would make the sync thread spin.
fn sync_interval(text: &str) -> Result<Duration, String> {
    let interval = units::parse_duration(text)?;
    if interval < Duration::from_millis(1) {
        Err("it must be at least 1ms".to_owned())
    } else {
        Ok(interval)
    }
}

//! Flags of the command line.
//!
//! Names are those of Prometheus where Prometheus has the flag. [`crate::config::prometheus_flags`]
//! removes the flags of Prometheus that narthex does not have before this parser runs.
//!
//! The doc comments of the fields are the texts of `--help`.

use crate::config::address::ListenAddress;
use crate::config::units;
use crate::config::units::ByteSize;
use crate::model::labels::METRIC_NAME;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Version and commit that `narthex --version` prints.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("NARTHEX_COMMIT"), ")");

/// Maximum length of the tenant label name, bytes.
const MAX_TENANT_LABEL_NAME: usize = 128;

/// Storage backend for Prometheus: remote write and remote read in front of a Prometheus data
/// directory.
#[derive(Debug, Parser)]
#[command(name = "narthex", version = VERSION, max_term_width = 110)]
pub struct Cli {
    /// Subcommand to run, with its flags.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands of the program `narthex`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Store samples received by remote write and serve them by remote read.
    ///
    /// Sizes are powers of two (512KB, 128MB, 2GB). Durations are written as 1h30m or 500ms. Flags
    /// of Prometheus that have no effect in narthex are accepted with a warning.
    Serve(Box<ServeFlags>),
}

/// Flags of `narthex serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeFlags {
    /// Path of the configuration file, in Prometheus's format. Without it, all settings have their
    /// defaults.
    #[arg(long = "config.file", value_name = "PATH")]
    pub config_file: Option<PathBuf>,
    /// Data directory, WAL, retention and features.
    #[command(flatten)]
    pub storage: StorageFlags,
    /// Limits of remote write.
    #[command(flatten)]
    pub write: WriteFlags,
    /// Limits of remote read, exports and lists.
    #[command(flatten)]
    pub read: ReadFlags,
    /// Listeners, timeouts and HTTP interfaces.
    #[command(flatten)]
    pub web: WebFlags,
    /// Limits of the gRPC services.
    #[command(flatten)]
    pub grpc: GrpcFlags,
    /// Tenants of Thanos Receive.
    #[command(flatten)]
    pub thanos: ThanosFlags,
    /// Level and format of the program's log.
    #[command(flatten)]
    pub log: LogFlags,
    /// Value of every flag as `/api/v1/status/flags` shows it; filled by
    /// [`crate::config::flag_values::parse`].
    #[arg(skip)]
    pub flag_values: BTreeMap<String, String>,
}

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

/// Flags of remote write, for HTTP and gRPC.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Remote write")]
pub struct WriteFlags {
    /// Maximum time by which a sample may be ahead of the server clock.
    #[arg(
        long = "storage.remote.write-max-future", value_name = "DURATION", default_value = "10m",
        value_parser = units::parse_duration
    )]
    pub max_future: Duration,
    /// Maximum size of a request body, before decompression.
    #[arg(
        long = "storage.remote.write-max-body-size", value_name = "SIZE", default_value = "32MB",
        value_parser = message_size
    )]
    pub max_body_size: ByteSize,
    /// Maximum size of a request after decompression; at most 256MB.
    #[arg(
        long = "storage.remote.write-max-decoded-size", value_name = "SIZE", default_value = "64MB",
        value_parser = decoded_size
    )]
    pub max_decoded_size: ByteSize,
    /// Maximum number of series in a request to remote write.
    #[arg(
        long = "storage.remote.write-max-series", value_name = "COUNT", default_value = "200000",
        value_parser = units::parse_count
    )]
    pub max_series: u64,
    /// Maximum number of samples in a request.
    #[arg(
        long = "storage.remote.write-max-samples", value_name = "COUNT", default_value = "2000000",
        value_parser = units::parse_count
    )]
    pub max_samples: u64,
    /// Maximum number of labels of a new series.
    #[arg(
        long = "storage.remote.write-max-labels", value_name = "COUNT", default_value = "256",
        value_parser = units::parse_count
    )]
    pub max_labels: u64,
    /// Maximum size of a label name of a new series.
    #[arg(
        long = "storage.remote.write-max-label-name-size", value_name = "SIZE",
        default_value = "4KB", value_parser = units::parse_bytes
    )]
    pub max_label_name_size: ByteSize,
    /// Maximum size of a label value of a new series.
    #[arg(
        long = "storage.remote.write-max-label-value-size", value_name = "SIZE",
        default_value = "128KB", value_parser = units::parse_bytes
    )]
    pub max_label_value_size: ByteSize,
    /// Maximum size of unit and help text, together, of a metric family.
    #[arg(
        long = "storage.remote.write-max-metadata-size", value_name = "SIZE", default_value = "8KB",
        value_parser = units::parse_bytes
    )]
    pub max_metadata_size: ByteSize,
    /// Maximum number of concurrent write requests. 0 = 4 per CPU, at least 16.
    #[arg(
        long = "storage.remote.write-concurrent-limit", value_name = "COUNT", default_value = "0",
        value_parser = units::parse_count
    )]
    pub concurrent_limit: u64,
    /// Maximum number of waiting write requests. Further requests get 503.
    #[arg(
        long = "storage.remote.write-queue-limit", value_name = "COUNT", default_value = "256",
        value_parser = units::parse_count
    )]
    pub queue_limit: u64,
}

/// Flags of remote read, exports and lists.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Remote read")]
pub struct ReadFlags {
    /// Maximum overall number of samples to return via the remote read interface, in a single
    /// query. 0 = unlimited. The limit is ignored for streamed responses.
    #[arg(
        long = "storage.remote.read-sample-limit", value_name = "COUNT", default_value = "5e7",
        value_parser = units::parse_count
    )]
    pub sample_limit: u64,
    /// Maximum number of concurrent remote read calls; four times as many wait. Further calls get
    /// 503. 0 = unlimited.
    #[arg(
        id = "read_concurrent_limit", long = "storage.remote.read-concurrent-limit",
        value_name = "COUNT", default_value = "10", value_parser = units::parse_count
    )]
    pub concurrent_limit: u64,
    /// Maximum time a query may take before it is aborted with 503. A streamed response has
    /// --web.read-timeout.
    #[arg(
        long = "query.timeout", value_name = "DURATION", default_value = "2m",
        value_parser = positive_duration
    )]
    pub query_timeout: Duration,
    /// Maximum number of concurrent exports; as many wait. Further exports get 503.
    #[arg(
        long = "web.export-concurrent-limit", value_name = "COUNT", default_value = "4",
        value_parser = positive_count
    )]
    pub export_concurrent_limit: u64,
    /// Maximum number of concurrent look-ups of labels, series, metadata and exemplars; four times
    /// as many wait. Further look-ups get 503.
    #[arg(
        long = "web.list-concurrent-limit", value_name = "COUNT", default_value = "10",
        value_parser = positive_count
    )]
    pub list_concurrent_limit: u64,
    /// Maximum compressed size of a response with samples; at most half of
    /// --web.max-bytes-in-flight.
    #[arg(
        long = "storage.remote.read-max-response-size", value_name = "SIZE",
        default_value = "128MB", value_parser = message_size
    )]
    pub max_response_size: ByteSize,
    /// Maximum number of bytes in a single frame of a streamed response; at most 8MB.
    #[arg(
        long = "storage.remote.read-max-bytes-in-frame", value_name = "SIZE",
        default_value = "1048576", value_parser = frame_size
    )]
    pub max_bytes_in_frame: ByteSize,
    /// Send chunks of streamed responses in the encoding in which they are stored, even if only
    /// newer readers know it (XOR2, start timestamps of histograms). Without the flag, such chunks
    /// are re-encoded.
    #[arg(long = "storage.remote.read-raw-encodings")]
    pub raw_encodings: bool,
}

/// Flags of the listeners.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Web")]
pub struct WebFlags {
    /// Address to listen on for HTTP and gRPC. Can be repeated. A port alone (:9201) means all IPv4
    /// and IPv6 addresses.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9201")]
    pub listen_address: Vec<ListenAddress>,
    /// Maximum number of simultaneous connections across all listeners. Further connections get
    /// 503.
    #[arg(
        long = "web.max-connections", value_name = "COUNT", default_value = "512",
        value_parser = positive_count
    )]
    pub max_connections: u64,
    /// Maximum time for a request to arrive, for its response to be taken, and between requests of
    /// a connection. The head of an HTTP/1.1 request has at most 30s, from its first byte.
    #[arg(
        long = "web.read-timeout", value_name = "DURATION", default_value = "5m",
        value_parser = positive_duration
    )]
    pub read_timeout: Duration,
    /// Maximum memory for all request bodies and responses, half for each. Further requests get
    /// 503.
    #[arg(
        long = "web.max-bytes-in-flight", value_name = "SIZE", default_value = "256MB",
        value_parser = message_size
    )]
    pub max_bytes_in_flight: ByteSize,
    /// Maximum number of streams of one HTTP/2 connection.
    #[arg(
        long = "web.max-concurrent-streams", value_name = "COUNT", default_value = "128",
        value_parser = positive_count
    )]
    pub max_concurrent_streams: u64,
    /// Enable API endpoints for admin control actions: delete series, clean tombstones, take
    /// snapshots.
    #[arg(long = "web.enable-admin-api", overrides_with = "no_enable_admin_api")]
    pub enable_admin_api: bool,
    /// Negative form of --web.enable-admin-api.
    #[arg(long = "no-web.enable-admin-api", hide = true, overrides_with = "enable_admin_api")]
    pub no_enable_admin_api: bool,
    /// Enable shutdown and reload via HTTP request.
    #[arg(long = "web.enable-lifecycle", overrides_with = "no_enable_lifecycle")]
    pub enable_lifecycle: bool,
    /// Negative form of --web.enable-lifecycle.
    #[arg(long = "no-web.enable-lifecycle", hide = true, overrides_with = "enable_lifecycle")]
    pub no_enable_lifecycle: bool,
    /// Maximum time to drain requests at a shutdown.
    #[arg(
        long = "web.shutdown-timeout", value_name = "DURATION", default_value = "30s",
        value_parser = units::parse_duration
    )]
    pub shutdown_timeout: Duration,
}

/// Flags of gRPC, which shares the listeners with HTTP.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "gRPC")]
pub struct GrpcFlags {
    /// Maximum number of write streams. Further streams get UNAVAILABLE. 0 = unlimited.
    #[arg(
        id = "grpc_max_streams", long = "grpc.max-streams", value_name = "COUNT",
        default_value = "512", value_parser = units::parse_count
    )]
    pub max_streams: u64,
    /// Maximum number of write streams of one client: an IPv4 address or an IPv6 network (/64).
    /// Further streams get UNAVAILABLE. 0 = half of --grpc.max-streams. Behind a proxy, all clients
    /// have its address.
    #[arg(
        long = "grpc.max-streams-per-client", value_name = "COUNT", default_value = "0",
        value_parser = units::parse_count
    )]
    pub max_streams_per_client: u64,
}

/// Flags of the Thanos services.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Thanos")]
pub struct ThanosFlags {
    /// Label that stores the tenant sent by a Thanos Receive router. Empty = tenants are ignored.
    #[arg(
        long = "thanos.tenant-label-name", value_name = "NAME", default_value = "tenant_id",
        value_parser = tenant_label
    )]
    pub tenant_label: String,
}

/// Flags of the program's log.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value_t = LogLevel::Info)]
    pub level: LogLevel,
    /// Output format of log messages.
    #[arg(
        long = "log.format", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Logfmt
    )]
    pub format: LogFormat,
}

/// Features that are off by default, with Prometheus's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Write the head to disk at a clean shutdown, so that the next start does not replay the WAL
    MemorySnapshotOnShutdown,
    /// Write float chunks with encoding xor2, which is smaller than xor
    #[value(name = "xor2-encoding")]
    Xor2Encoding,
    /// No effect: exemplars are always stored, up to storage.exemplars.max_exemplars
    ExemplarStorage,
    /// Store start timestamps sent with samples; in float chunks this requires xor2-encoding
    StStorage,
    /// Store start timestamps in native histogram chunks, too
    HistogramsStEncoding,
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

/// Minimum severity of a logged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Details of single requests
    Debug,
    /// Life cycle and results of maintenance
    Info,
    /// Degraded operation that recovers without an operator
    Warn,
    /// Failures that an operator must handle
    Error,
}

/// Output format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines of `key=value` pairs
    Logfmt,
    /// A JSON object per line
    Json,
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

/// Parses a size below 2 GiB: offsets in a message are 32-bit numbers.
fn message_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..1 << 31).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and less than 2GB".to_owned())
    }
}

/// Parses a frame size. The limit is low because each streamed read holds several frames in memory.
fn frame_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..=8 << 20).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and at most 8MB".to_owned())
    }
}

/// Parses the decompressed size limit. WAL records of a request are larger than the request, and a
/// record has at most 512 MiB.
fn decoded_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..=256 << 20).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and at most 256MB".to_owned())
    }
}

/// Parses the tenant label name. `__name__` is reserved for the metric.
fn tenant_label(text: &str) -> Result<String, String> {
    if text == METRIC_NAME {
        return Err("it must not be __name__".to_owned());
    }
    if text.len() > MAX_TENANT_LABEL_NAME {
        return Err(format!("it must have at most {MAX_TENANT_LABEL_NAME} bytes"));
    }
    Ok(text.to_owned())
}

fn positive_count(text: &str) -> Result<u64, String> {
    let count = units::parse_count(text)?;
    if (1..=1 << 20).contains(&count) {
        Ok(count)
    } else {
        Err("it must be from 1 to 1048576".to_owned())
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

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = units::parse_duration(text)?;
    if duration.is_zero() { Err("it must be more than 0".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command, Feature, ServeFlags, WalCompressionFlag};
    use clap::{CommandFactory, Parser};

    fn serve(flags: &[&str]) -> Result<ServeFlags, String> {
        let line = ["narthex", "serve"].iter().chain(flags);
        match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
            Command::Serve(flags) => Ok(*flags),
        }
    }

    #[test]
    fn command_passes_debug_assert() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_match_documentation() {
        let flags = serve(&[]).unwrap();
        assert_eq!(flags.web.listen_address[0].to_string(), ":9201");
        assert_eq!(flags.storage.path.to_str(), Some("./data"));
        assert_eq!(flags.storage.effective_wal_compression(), WalCompressionFlag::Snappy);
        assert_eq!(flags.read.sample_limit, 50_000_000);
    }

    #[test]
    fn wal_compression_is_disabled_by_both_forms() {
        for off in ["--no-storage.tsdb.wal-compression", "--storage.tsdb.wal-compression=false"] {
            assert_eq!(
                serve(&[off]).unwrap().storage.effective_wal_compression(),
                WalCompressionFlag::None
            );
        }
        let on = ["--storage.tsdb.wal-compression", "--storage.tsdb.wal-compression-type=zstd"];
        assert_eq!(
            serve(&on).unwrap().storage.effective_wal_compression(),
            WalCompressionFlag::Zstd
        );
    }

    #[test]
    fn zero_sync_interval_is_rejected() {
        let error = serve(&["--storage.tsdb.wal-sync-interval=0"]).unwrap_err();
        assert!(
            error.contains("--storage.tsdb.wal-sync-interval") && error.contains("at least 1ms"),
            "{error}"
        );
        assert!(serve(&["--storage.tsdb.wal-sync-interval=1ms"]).is_ok());
    }

    #[test]
    fn oversized_decoded_limit_is_rejected() {
        let error = serve(&["--storage.remote.write-max-decoded-size=257MB"]).unwrap_err();
        assert!(
            error.contains("write-max-decoded-size") && error.contains("at most 256MB"),
            "{error}"
        );
        assert!(serve(&["--storage.remote.write-max-decoded-size=256MB"]).is_ok());
    }

    #[test]
    fn retention_and_admin_flags_match_prometheus() {
        let flags = serve(&[]).unwrap();
        assert_eq!((flags.storage.retention_time, flags.storage.retention_size), (None, None));
        assert!(!flags.web.enable_admin_api && !flags.web.enable_lifecycle);
        let flags = serve(&[
            "--web.enable-admin-api",
            "--web.enable-lifecycle",
            "--no-web.enable-lifecycle",
        ])
        .unwrap();
        assert!(flags.web.enable_admin_api && !flags.web.enable_lifecycle);
        let features =
            serve(&["--enable-feature=memory-snapshot-on-shutdown,xor2-encoding,exemplar-storage"]);
        let expected =
            [Feature::MemorySnapshotOnShutdown, Feature::Xor2Encoding, Feature::ExemplarStorage];
        assert_eq!(features.unwrap().storage.features, expected);
        for wrong in [
            "--enable-feature=no-such-feature",
            "--storage.tsdb.retention.size=1024",
            "--storage.tsdb.retention.size=-1GB",
            "--storage.tsdb.retention.time=15",
            "--storage.tsdb.min-block-duration=0",
        ] {
            let error = serve(&[wrong]).unwrap_err();
            assert!(error.contains(wrong.split_once('=').unwrap().0), "{error}");
        }
    }

    #[test]
    fn tenant_label_rejects_metric_name() {
        let name = |flag: &str| serve(&[flag]).map(|flags| flags.thanos.tenant_label);
        assert_eq!(serve(&[]).unwrap().thanos.tenant_label, "tenant_id");
        assert_eq!(name("--thanos.tenant-label-name=").unwrap(), "");
        assert_eq!(name("--thanos.tenant-label-name=org").unwrap(), "org");
        for wrong in ["__name__".to_owned(), "x".repeat(129)] {
            let error = name(&format!("--thanos.tenant-label-name={wrong}")).unwrap_err();
            assert!(
                error.contains("--thanos.tenant-label-name") && error.contains("must"),
                "{error}"
            );
        }
    }

    #[test]
    fn invalid_value_is_rejected_with_flag_name() {
        for flag in [
            "--storage.tsdb.wal-segment-size=33KB",
            "--web.read-timeout=0",
            "--storage.remote.write-max-body-size=4GB",
        ] {
            let error = serve(&[flag]).unwrap_err();
            assert!(error.contains(flag.split_once('=').unwrap().0), "{error}");
        }
    }
}

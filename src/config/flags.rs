//! The command line.
//!
//! Names are Prometheus's wherever it has the flag. Flags of Prometheus that narthex lacks never come here, see
//! [`crate::config::prometheus_flags`].

use crate::config::address::ListenAddress;
use crate::config::units;
use crate::config::units::ByteSize;
use crate::model::labels::METRIC_NAME;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Version and commit, as `narthex --version` prints them.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("NARTHEX_COMMIT"), ")");

/// Longest name of the label that is added for a tenant, bytes.
const MAX_TENANT_LABEL_NAME: usize = 128;

/// A storage backend for Prometheus: remote write and remote read in front of a Prometheus data directory.
#[derive(Debug, Parser)]
#[command(name = "narthex", version = VERSION, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What narthex can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive samples by remote write, store them, answer remote read.
    ///
    /// Sizes are powers of two (512KB, 128MB, 2GB), durations are written 1h30m or 500ms. Flags of Prometheus that mean
    /// nothing here are accepted with a warning.
    Serve(Box<ServeFlags>),
}

/// All flags of `narthex serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeFlags {
    /// Configuration file, in Prometheus's syntax; without it the defaults hold.
    #[arg(long = "config.file", value_name = "PATH")]
    pub config_file: Option<PathBuf>,
    /// Where samples are kept and how.
    #[command(flatten)]
    pub storage: StorageFlags,
    /// Limits of what is written.
    #[command(flatten)]
    pub write: WriteFlags,
    /// Limits of what is read.
    #[command(flatten)]
    pub read: ReadFlags,
    /// The listener.
    #[command(flatten)]
    pub web: WebFlags,
    /// gRPC.
    #[command(flatten)]
    pub grpc: GrpcFlags,
    /// Thanos's services.
    #[command(flatten)]
    pub thanos: ThanosFlags,
    /// The log.
    #[command(flatten)]
    pub log: LogFlags,
    /// All of them as they are shown; filled by [`crate::config::flag_values::parse`].
    #[arg(skip)]
    pub flag_values: BTreeMap<String, String>,
}

/// Flags of the engine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageFlags {
    /// Data directory, in Prometheus's format.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "./data")]
    pub path: PathBuf,
    /// What a power cut may cost. os: whatever the operating system has not written yet; interval: the last
    /// --storage.tsdb.wal-sync-interval; always: nothing that was acknowledged. A killed process costs nothing in any mode.
    #[arg(long = "storage.tsdb.wal-sync", value_enum, value_name = "MODE", default_value_t = WalSyncFlag::Interval)]
    pub wal_sync: WalSyncFlag,
    /// How often the log is synced in mode interval; at least 1ms.
    #[arg(long = "storage.tsdb.wal-sync-interval", value_name = "DURATION", default_value = "1s", value_parser = sync_interval)]
    pub wal_sync_interval: Duration,
    /// Compress the write-ahead log (true or false).
    #[arg(long = "storage.tsdb.wal-compression", value_name = "BOOL", default_value = "true", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = ArgAction::Set, overrides_with = "no_wal_compression")]
    pub wal_compression: bool,
    /// The same as --storage.tsdb.wal-compression=false.
    #[arg(long = "no-storage.tsdb.wal-compression", hide = true)]
    pub no_wal_compression: bool,
    /// How the write-ahead log is compressed. Older versions of Prometheus can't read zstd.
    #[arg(long = "storage.tsdb.wal-compression-type", value_enum, value_name = "TYPE", default_value_t = WalCompressionFlag::Snappy)]
    pub wal_compression_type: WalCompressionFlag,
    /// Size at which a file of the write-ahead log ends; at least 64KB, at most 256MB, a multiple of 32KB.
    #[arg(long = "storage.tsdb.wal-segment-size", value_name = "SIZE", default_value = "128MB", value_parser = segment_size)]
    pub wal_segment_size: ByteSize,
    /// Time span of a block; for tests.
    #[arg(long = "storage.tsdb.min-block-duration", value_name = "DURATION", default_value = "2h", value_parser = positive_duration, hide = true)]
    pub min_block_duration: Duration,
    /// Longest time span of a block; for tests. Without it a tenth of the retention, at most 31d.
    #[arg(long = "storage.tsdb.max-block-duration", value_name = "DURATION", value_parser = units::parse_duration, hide = true)]
    pub max_block_duration: Option<Duration>,
    /// How long samples are kept. Without this flag and --storage.tsdb.retention.size 15d, as long as that deletes nothing from a
    /// directory that had older data. storage.tsdb.retention in the configuration file goes before both.
    #[arg(long = "storage.tsdb.retention.time", value_name = "DURATION", value_parser = units::parse_duration)]
    pub retention_time: Option<Duration>,
    /// How large the data directory may become (512MB; a unit is needed); the oldest blocks go first.
    #[arg(long = "storage.tsdb.retention.size", value_name = "SIZE", value_parser = units::parse_bytes_with_unit)]
    pub retention_size: Option<ByteSize>,
    /// A JSON file that lists uploaded blocks, such as that of Thanos's sidecar: blocks that are not in it are not compacted yet.
    #[arg(long = "storage.tsdb.delay-compact-file.path", value_name = "PATH")]
    pub delay_compact_file: Option<PathBuf>,
    /// Space that must stay free on the disk: below it writes are refused until a quarter more is free. 0: none. Without it 1GB, or 2%
    /// of a file system smaller than 50GB.
    #[arg(long = "storage.tsdb.disk-reserve", value_name = "SIZE", value_parser = units::parse_bytes)]
    pub disk_reserve: Option<ByteSize>,
    /// What is not on by default, separated by commas.
    #[arg(long = "enable-feature", value_enum, value_name = "NAME", value_delimiter = ',')]
    pub features: Vec<Feature>,
    /// Series that may be in memory at once; new ones beyond are refused. 0: no limit.
    #[arg(long = "storage.tsdb.max-active-series", value_name = "COUNT", default_value = "10000000", value_parser = units::parse_count)]
    pub max_active_series: u64,
}

impl StorageFlags {
    /// The compression that the three flags together mean.
    #[must_use]
    pub fn effective_wal_compression(&self) -> WalCompressionFlag {
        if self.no_wal_compression || !self.wal_compression {
            WalCompressionFlag::None
        } else {
            self.wal_compression_type
        }
    }
}

/// Flags of remote write, HTTP and gRPC alike.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Remote write")]
pub struct WriteFlags {
    /// How far ahead of the clock a sample may be.
    #[arg(long = "storage.remote.write-max-future", value_name = "DURATION", default_value = "10m", value_parser = units::parse_duration)]
    pub max_future: Duration,
    /// Largest request body, as it is sent.
    #[arg(long = "storage.remote.write-max-body-size", value_name = "SIZE", default_value = "32MB", value_parser = message_size)]
    pub max_body_size: ByteSize,
    /// Largest request after decompression; at most 256MB.
    #[arg(long = "storage.remote.write-max-decoded-size", value_name = "SIZE", default_value = "64MB", value_parser = decoded_size)]
    pub max_decoded_size: ByteSize,
    /// Most series in one request.
    #[arg(long = "storage.remote.write-max-series", value_name = "COUNT", default_value = "200000", value_parser = units::parse_count)]
    pub max_series: u64,
    /// Most samples in one request.
    #[arg(long = "storage.remote.write-max-samples", value_name = "COUNT", default_value = "2000000", value_parser = units::parse_count)]
    pub max_samples: u64,
    /// Most labels of a new series.
    #[arg(long = "storage.remote.write-max-labels", value_name = "COUNT", default_value = "256", value_parser = units::parse_count)]
    pub max_labels: u64,
    /// Longest label name of a new series.
    #[arg(long = "storage.remote.write-max-label-name-size", value_name = "SIZE", default_value = "4KB", value_parser = units::parse_bytes)]
    pub max_label_name_size: ByteSize,
    /// Longest label value of a new series.
    #[arg(long = "storage.remote.write-max-label-value-size", value_name = "SIZE", default_value = "128KB", value_parser = units::parse_bytes)]
    pub max_label_value_size: ByteSize,
    /// Longest unit and help text, together, of a metric family.
    #[arg(long = "storage.remote.write-max-metadata-size", value_name = "SIZE", default_value = "8KB", value_parser = units::parse_bytes)]
    pub max_metadata_size: ByteSize,
    /// Requests that are being stored at once. 0: four for each processor, at least 16.
    #[arg(long = "storage.remote.write-concurrent-limit", value_name = "COUNT", default_value = "0", value_parser = units::parse_count)]
    pub concurrent_limit: u64,
    /// Requests that may wait for their turn; beyond, the answer is 503.
    #[arg(long = "storage.remote.write-queue-limit", value_name = "COUNT", default_value = "256", value_parser = units::parse_count)]
    pub queue_limit: u64,
}

/// Flags of remote read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Remote read")]
pub struct ReadFlags {
    /// Most samples in one query. 0: no limit.
    #[arg(long = "storage.remote.read-sample-limit", value_name = "COUNT", default_value = "5e7", value_parser = units::parse_count)]
    pub sample_limit: u64,
    /// Reads that are answered at once; beyond, the answer is 503. 0: no limit.
    #[arg(id = "read_concurrent_limit", long = "storage.remote.read-concurrent-limit", value_name = "COUNT", default_value = "10", value_parser = units::parse_count)]
    pub concurrent_limit: u64,
    /// How long it may take to work out the answer to a read; beyond, the answer is 503. One that is streamed has the time of
    /// --web.read-timeout.
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m", value_parser = positive_duration)]
    pub query_timeout: Duration,
    /// Exports that are made at once; as many more wait, beyond, the answer is 503.
    #[arg(long = "web.export-concurrent-limit", value_name = "COUNT", default_value = "4", value_parser = positive_count)]
    pub export_concurrent_limit: u64,
    /// Maximum number of look-ups of labels, series, metadata and exemplars at once; four times as
    /// many wait. Beyond, the response is 503.
    #[arg(long = "web.list-concurrent-limit", value_name = "COUNT", default_value = "10", value_parser = positive_count)]
    pub list_concurrent_limit: u64,
    /// Largest answer, compressed; at most half of --web.max-bytes-in-flight.
    #[arg(long = "storage.remote.read-max-response-size", value_name = "SIZE", default_value = "128MB", value_parser = message_size)]
    pub max_response_size: ByteSize,
    /// Largest message of a streamed answer, which ends when it is reached; at most 8MB.
    #[arg(long = "storage.remote.read-max-bytes-in-frame", value_name = "SIZE", default_value = "1048576", value_parser = frame_size)]
    pub max_bytes_in_frame: ByteSize,
    /// Send chunks of streamed answers in the encoding in which they are stored, also where that is one that only newer readers know (XOR2,
    /// histograms with start times). Without it they are encoded anew in those that every reader knows.
    #[arg(long = "storage.remote.read-raw-encodings")]
    pub raw_encodings: bool,
}

/// Flags of the listener.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Web")]
pub struct WebFlags {
    /// Address for HTTP and gRPC; can be repeated. A port alone (:9201) means every address, IPv4
    /// and IPv6.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9201")]
    pub listen_address: Vec<ListenAddress>,
    /// Most connections at once; beyond, the answer is 503.
    #[arg(long = "web.max-connections", value_name = "COUNT", default_value = "512", value_parser = positive_count)]
    pub max_connections: u64,
    /// Maximum time for a request to arrive, for its response to be taken, and between requests of
    /// a connection. The head of an HTTP/1.1 request has at most 30s of it, from its first byte.
    #[arg(long = "web.read-timeout", value_name = "DURATION", default_value = "5m", value_parser = positive_duration)]
    pub read_timeout: Duration,
    /// Memory for all request bodies and answers together, half for each; beyond, the answer is 503.
    #[arg(long = "web.max-bytes-in-flight", value_name = "SIZE", default_value = "256MB", value_parser = message_size)]
    pub max_bytes_in_flight: ByteSize,
    /// Streams at once on one HTTP/2 connection.
    #[arg(long = "web.max-concurrent-streams", value_name = "COUNT", default_value = "128", value_parser = positive_count)]
    pub max_concurrent_streams: u64,
    /// Let HTTP requests delete series, clean up after that, and take snapshots.
    #[arg(long = "web.enable-admin-api", overrides_with = "no_enable_admin_api")]
    pub enable_admin_api: bool,
    /// The opposite of --web.enable-admin-api.
    #[arg(long = "no-web.enable-admin-api", hide = true, overrides_with = "enable_admin_api")]
    pub no_enable_admin_api: bool,
    /// Let HTTP requests reload the configuration and stop the server.
    #[arg(long = "web.enable-lifecycle", overrides_with = "no_enable_lifecycle")]
    pub enable_lifecycle: bool,
    /// The opposite of --web.enable-lifecycle.
    #[arg(long = "no-web.enable-lifecycle", hide = true, overrides_with = "enable_lifecycle")]
    pub no_enable_lifecycle: bool,
    /// How long requests under way may take to finish at shutdown.
    #[arg(long = "web.shutdown-timeout", value_name = "DURATION", default_value = "30s", value_parser = units::parse_duration)]
    pub shutdown_timeout: Duration,
}

/// Flags of gRPC, which is served at the addresses of the web.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "gRPC")]
pub struct GrpcFlags {
    /// Write streams at once; beyond, the answer is UNAVAILABLE. 0: no limit.
    #[arg(id = "grpc_max_streams", long = "grpc.max-streams", value_name = "COUNT", default_value = "512", value_parser = units::parse_count)]
    pub max_streams: u64,
    /// Maximum number of write streams of one client, which is an IPv4 address or an IPv6 network
    /// (/64). Beyond, the response is UNAVAILABLE. 0 = half of --grpc.max-streams. Behind a proxy
    /// all clients have its address.
    #[arg(long = "grpc.max-streams-per-client", value_name = "COUNT", default_value = "0", value_parser = units::parse_count)]
    pub max_streams_per_client: u64,
}

/// Flags of Thanos's services.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Thanos")]
pub struct ThanosFlags {
    /// The label in which the tenant is kept that a Thanos Receive router names; empty: tenants are not kept apart.
    #[arg(long = "thanos.tenant-label-name", value_name = "NAME", default_value = "tenant_id", value_parser = tenant_label)]
    pub tenant_label: String,
}

/// Flags of the log.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// Least severe messages to log.
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value_t = LogLevel::Info)]
    pub level: LogLevel,
    /// How messages are written.
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Logfmt)]
    pub format: LogFormat,
}

/// What is not on by default, under Prometheus's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Write the head down at a clean stop, so that the next start need not read the log.
    MemorySnapshotOnShutdown,
    /// Write chunks of floats in the newer, smaller encoding.
    #[value(name = "xor2-encoding")]
    Xor2Encoding,
    /// Changes nothing: exemplars are always kept, as many as `storage.exemplars.max_exemplars` says.
    ExemplarStorage,
    /// Store when the count of a sample began, where its sender says so; chunks of floats must be xor2 for it.
    StStorage,
    /// Write chunks of native histograms in the encodings that have a place for it.
    HistogramsStEncoding,
}

/// When the write-ahead log is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WalSyncFlag {
    /// When the operating system thinks fit.
    Os,
    /// Every so often.
    Interval,
    /// Before each acknowledgement.
    Always,
}

/// How the write-ahead log is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WalCompressionFlag {
    /// Not at all.
    None,
    /// Snappy blocks.
    Snappy,
    /// Zstandard frames.
    Zstd,
}

/// Severity of a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Whatever helps to find a fault.
    Debug,
    /// What happened.
    Info,
    /// What should be looked at.
    Warn,
    /// What failed.
    Error,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// A page of the log is 32 KiB and a segment has at least two.
fn segment_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    let legal = (64 << 10..=256 << 20).contains(&size.0) && size.0.is_multiple_of(32 << 10);
    if legal {
        Ok(size)
    } else {
        Err("it must be a multiple of 32KB from 64KB to 256MB".to_owned())
    }
}

/// Positions within a message are kept in 32 bits.
fn message_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..1 << 31).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and less than 2GB".to_owned())
    }
}

/// A few of them are in memory for each streamed read.
fn frame_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..=8 << 20).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and at most 8MB".to_owned())
    }
}

/// What is stored of a request goes to the log in records that are larger than it, and the log reads none of more than 512 MiB.
fn decoded_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..=256 << 20).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and at most 256MB".to_owned())
    }
}

/// A label that every series may be given: never the one that names the metric.
fn tenant_label(text: &str) -> Result<String, String> {
    if text == METRIC_NAME {
        return Err("it must not be the label of the metric's name".to_owned());
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

/// The sync thread sleeps that long between two looks.
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
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let flags = serve(&[]).unwrap();
        assert_eq!(flags.web.listen_address[0].to_string(), ":9201");
        assert_eq!(flags.storage.path.to_str(), Some("./data"));
        assert_eq!(flags.storage.effective_wal_compression(), WalCompressionFlag::Snappy);
        assert_eq!(flags.read.sample_limit, 50_000_000);
    }

    #[test]
    fn compression_is_switched_off_in_each_of_prometheus_ways() {
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
    fn a_sync_interval_that_would_spin_is_refused() {
        let error = serve(&["--storage.tsdb.wal-sync-interval=0"]).unwrap_err();
        assert!(
            error.contains("--storage.tsdb.wal-sync-interval") && error.contains("at least 1ms"),
            "{error}"
        );
        assert!(serve(&["--storage.tsdb.wal-sync-interval=1ms"]).is_ok());
    }

    #[test]
    fn a_request_that_could_make_too_large_a_log_record_is_refused() {
        let error = serve(&["--storage.remote.write-max-decoded-size=257MB"]).unwrap_err();
        assert!(
            error.contains("write-max-decoded-size") && error.contains("at most 256MB"),
            "{error}"
        );
        assert!(serve(&["--storage.remote.write-max-decoded-size=256MB"]).is_ok());
    }

    #[test]
    fn the_flags_of_retention_and_administration_are_prometheus_s() {
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
    fn the_tenants_label_is_any_but_the_metrics_name() {
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
    fn an_illegal_value_is_refused_with_the_flag_named() {
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

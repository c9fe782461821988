//! Flags of remote write.

use crate::config::flags::values::{message_size, positive_duration};
use crate::config::units;
use crate::config::units::ByteSize;
use clap::Args;
use std::time::Duration;

/// Flag of the maximum size of a request body, for errors.
pub const MAX_BODY_SIZE: &str = "--storage.remote.write-max-body-size";
/// Flag of the maximum size after decompression, for errors.
pub const MAX_DECODED_SIZE: &str = "--storage.remote.write-max-decoded-size";

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
    /// Maximum time of a write request until its response, which is then 503. The request may still
    /// be stored; a retry is safe.
    #[arg(
        id = "write_timeout", long = "storage.remote.write-timeout", value_name = "DURATION",
        default_value = "2m", value_parser = positive_duration
    )]
    pub timeout: Duration,
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

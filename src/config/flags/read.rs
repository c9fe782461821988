//! Flags of remote read, exports and lists.

use crate::config::flags::values::{message_size, positive_count, positive_duration};
use crate::config::units;
use crate::config::units::ByteSize;
use clap::Args;
use std::time::Duration;

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
    /// Maximum time a read, an export or a look-up may take before it is aborted with 503. A
    /// streamed response has --web.read-timeout from its start.
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

/// Parses a frame size. The limit is low because each streamed read holds several frames in memory.
fn frame_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..=8 << 20).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and at most 8MB".to_owned())
    }
}

//! Flags of gRPC.

use crate::config::units;
use clap::Args;

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

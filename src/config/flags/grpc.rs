//! Flags of gRPC.

use crate::config::units;
use clap::{ArgAction, Args, ValueEnum};

/// Flags of gRPC, which shares the listeners with HTTP.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "gRPC")]
pub struct GrpcFlags {
    /// Serve gRPC (true or false).
    #[arg(
        long = "grpc.enabled", value_name = "BOOL", default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = ArgAction::Set, overrides_with = "no_enabled"
    )]
    pub enabled: bool,
    /// Negative form of --grpc.enabled.
    #[arg(long = "no-grpc.enabled", hide = true)]
    pub no_enabled: bool,
    /// Credentials of gRPC clients: basic = user and password in the metadata authorization, if the
    /// web configuration file has users; cert = a verified client certificate instead.
    #[arg(
        long = "grpc.auth", value_enum, value_name = "KIND", default_value_t = GrpcAuthFlag::Basic
    )]
    pub auth: GrpcAuthFlag,
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

impl GrpcFlags {
    /// Returns `true` unless one of the two forms disables gRPC.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled && !self.no_enabled
    }
}

/// Credentials of gRPC clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GrpcAuthFlag {
    /// User and password
    Basic,
    /// Verified client certificate
    Cert,
}

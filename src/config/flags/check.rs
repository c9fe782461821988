//! Flags of `narthex check`.

use crate::config::flags::values::{message_size, positive_duration};
use crate::config::units;
use crate::config::units::ByteSize;
use crate::config::web::DEFAULT_MAX_BCRYPT_COST;
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;
use std::time::Duration;

/// URL of a server on this machine with the default port.
const DEFAULT_SERVER_URL: &str = "http://localhost:9201";

/// Flags of `narthex check`.
#[derive(Debug, Clone, Args)]
pub struct CheckFlags {
    /// Check to run, with its flags.
    #[command(subcommand)]
    pub command: CheckCommand,
}

/// Subcommands of `narthex check`.
#[derive(Debug, Clone, Subcommand)]
pub enum CheckCommand {
    /// Check configuration files and the files that they name, as a start does.
    ///
    /// Prints every problem and warning with file, line, column and key on standard error, and a
    /// line for each file with SUCCESS or FAILED on standard output. The exit code is 0 if all
    /// files are valid.
    Config(CheckConfigFlags),
    /// Check if a running server is healthy: if its process works.
    ///
    /// A server that replays the WAL is healthy, and so is one with a full disk. If the server is
    /// read-only, the output has the reason. The exit code is 0 for yes, 1 for no, and 2 if the
    /// server cannot be reached.
    Healthy(CheckServerFlags),
    /// Check if a running server is ready: if it serves requests.
    ///
    /// A server that replays the WAL is not ready. The exit code is 0 for yes, 1 for no, and 2 if
    /// the server cannot be reached.
    Ready(CheckServerFlags),
    /// Check if a running server stores and returns a sample.
    ///
    /// Writes one sample of a new series by remote write, and reads it by remote read. While the
    /// server is not ready, the requests are repeated. The exit code is 0 if the sample is read, 1
    /// if not, and 2 if the server cannot be reached.
    #[command(name = "roundtrip")]
    RoundTrip(RoundTripFlags),
    /// Scrape targets once and print what would be stored.
    ///
    /// Prints the series after relabeling, changes of labels and the limits on standard output, and
    /// stores nothing. The exit code is 0 if all scrapes succeed.
    Target(CheckTargetFlags),
    /// Check web configuration files.
    ///
    /// Prints SUCCESS or FAILED with the reason for each file on standard error. The exit code is 0
    /// if all files are valid.
    WebConfig(CheckWebConfigFlags),
}

/// Flags of `narthex check config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigFlags {
    /// Paths of the configuration files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Warn of sections and keys that narthex does not support, as in the command serve.
    #[arg(long = "config.ignore-unsupported")]
    pub ignore_unsupported: bool,
}

/// Flags of `narthex check target`.
#[derive(Debug, Clone, Args)]
pub struct CheckTargetFlags {
    /// URL of a target, which is scraped with the default settings of a job.
    #[arg(value_name = "URL", required_unless_present = "job", conflicts_with = "job")]
    pub url: Option<String>,
    /// Job whose targets are scraped with its settings.
    #[arg(long = "job", value_name = "NAME", requires = "config_file")]
    pub job: Option<String>,
    /// Path of the configuration file that has the job.
    #[arg(id = "config_file", long = "config.file", value_name = "FILE", requires = "job")]
    pub config_file: Option<PathBuf>,
    /// Target of the job to scrape, by its URL, address or instance. Without it, all targets of the
    /// job are scraped.
    #[arg(long = "target", value_name = "TARGET", requires = "job")]
    pub target: Option<String>,
    /// Maximum time until discovery has found the targets of the job.
    #[arg(
        long = "discovery-timeout", value_name = "DURATION", default_value = "10s",
        value_parser = units::parse_duration
    )]
    pub discovery_timeout: Duration,
    /// Maximum size of a decompressed response of jobs without body_size_limit.
    #[arg(
        long = "scrape.max-body-size", value_name = "SIZE", default_value = "256MB",
        value_parser = message_size
    )]
    pub max_body_size: ByteSize,
    /// Warn of sections and keys that narthex does not support, as in the command serve.
    #[arg(long = "config.ignore-unsupported", requires = "job")]
    pub ignore_unsupported: bool,
}

/// Flags of `narthex check healthy` and `narthex check ready`.
#[derive(Debug, Clone, Args)]
pub struct CheckServerFlags {
    /// URL of the server with its route prefix, or of its management listener without the prefix.
    #[arg(long = "url", value_name = "URL", default_value = DEFAULT_SERVER_URL)]
    pub url: String,
    /// Access to the server.
    #[command(flatten)]
    pub access: ServerAccessFlags,
    /// Maximum time until the response.
    #[arg(
        long = "timeout", value_name = "DURATION", default_value = "5s",
        value_parser = positive_duration
    )]
    pub timeout: Duration,
}

/// Flags of `narthex check roundtrip`.
#[derive(Debug, Clone, Args)]
pub struct RoundTripFlags {
    /// URL of the server with its route prefix. The management listener stores no samples.
    #[arg(long = "url", value_name = "URL", default_value = DEFAULT_SERVER_URL)]
    pub url: String,
    /// Access to the server.
    #[command(flatten)]
    pub access: ServerAccessFlags,
    /// Maximum time until the sample is read.
    #[arg(
        long = "timeout", value_name = "DURATION", default_value = "1m",
        value_parser = positive_duration
    )]
    pub timeout: Duration,
}

/// Flags of the access to a server: credentials and TLS.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerAccessFlags {
    /// Path of a file with credentials and TLS settings, with the keys of an HTTP client in
    /// Prometheus. The other flags take precedence.
    #[arg(long = "http.config.file", value_name = "FILE")]
    pub http_config_file: Option<PathBuf>,
    /// Name of a user.
    #[arg(long = "username", value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// Path of a file with the password of the user.
    #[arg(long = "password-file", value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Path of a file with the certificates that are trusted, instead of those of the system.
    #[arg(long = "ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Path of a file with the certificate of the client.
    #[arg(long = "cert-file", value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,
    /// Path of a file with the key of the certificate.
    #[arg(long = "key-file", value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,
    /// Name that the certificate of the server must have, instead of the host of the URL.
    #[arg(long = "server-name", value_name = "NAME")]
    pub server_name: Option<String>,
}

/// Flags of `narthex check web-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckWebConfigFlags {
    /// Paths of the web configuration files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Maximum bcrypt cost of a password hash, as in the command serve.
    #[arg(
        long = "web.auth-max-bcrypt-cost", value_name = "COST",
        default_value_t = DEFAULT_MAX_BCRYPT_COST, value_parser = value_parser!(u32).range(4..=31)
    )]
    pub max_bcrypt_cost: u32,
}

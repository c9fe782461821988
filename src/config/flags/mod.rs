//! Flags of the command line.
//!
//! Names are those of Prometheus where Prometheus has the flag. [`crate::config::prometheus_flags`]
//! removes the flags of Prometheus that narthex does not have before this parser runs.
//!
//! The doc comments of the fields are the texts of `--help`.
//!
//! | module | contents |
//! |---|---|
//! | [`check`] | checks of files |
//! | [`dry_run`] | limits in a dry run |
//! | [`features`] | names of `--enable-feature` |
//! | [`grpc`] | limits of the gRPC services |
//! | [`log`] | level and format of the program's log |
//! | [`read`] | limits of remote read, exports and lists |
//! | [`scrape`] | timestamps and limits of scrapes |
//! | [`storage`] | data directory, WAL and retention |
//! | [`thanos`] | tenants of Thanos Receive |
//! | `values` | parsers of values with a limited range |
//! | [`web`] | listeners, timeouts and HTTP interfaces |
//! | [`mod@write`] | limits of remote write |

pub mod check;
pub mod dry_run;
pub mod features;
pub mod grpc;
pub mod log;
pub mod read;
pub mod scrape;
pub mod storage;
pub mod thanos;
mod values;
pub mod web;
pub mod write;

use crate::config::flags::check::CheckFlags;
use crate::config::flags::dry_run::DryRunFlags;
use crate::config::flags::grpc::GrpcFlags;
use crate::config::flags::log::LogFlags;
use crate::config::flags::read::ReadFlags;
use crate::config::flags::scrape::ScrapeFlags;
use crate::config::flags::storage::StorageFlags;
use crate::config::flags::thanos::ThanosFlags;
use crate::config::flags::values::positive_duration;
use crate::config::flags::web::WebFlags;
use crate::config::flags::write::WriteFlags;
use clap::{Args, Parser, Subcommand};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Version and commit that `narthex --version` prints.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("NARTHEX_COMMIT"), ")");

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
    /// Store samples from remote write and from scraped targets, and serve them by remote read.
    ///
    /// Sizes are powers of two (512KB, 128MB, 2GB). Durations are written as 1h30m or 500ms. Flags
    /// of Prometheus that have no effect in narthex are accepted with a warning.
    Serve(Box<ServeFlags>),
    /// Check files, targets and running servers.
    Check(Box<CheckFlags>),
}

/// Flags of `narthex serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeFlags {
    /// Path of the configuration file, in Prometheus's format. Without it, all settings have their
    /// defaults.
    #[arg(long = "config.file", value_name = "PATH")]
    pub config_file: Option<PathBuf>,
    /// Warn of sections and keys of the configuration file that narthex does not support, instead
    /// of rejecting the file. They have no effect.
    #[arg(long = "config.ignore-unsupported")]
    pub ignore_unsupported: bool,
    /// Reload the configuration file when its contents, or those of an included file, change.
    #[arg(
        long = "config.auto-reload",
        requires = "config_file",
        overrides_with = "no_auto_reload"
    )]
    pub auto_reload: bool,
    /// Negative form of --config.auto-reload.
    #[arg(long = "no-config.auto-reload", hide = true, overrides_with = "auto_reload")]
    pub no_auto_reload: bool,
    /// Time between two comparisons of the files with the loaded contents.
    #[arg(
        long = "config.auto-reload-interval", value_name = "DURATION", default_value = "30s",
        value_parser = positive_duration
    )]
    pub auto_reload_interval: Duration,
    /// Data directory, WAL, retention and features.
    #[command(flatten)]
    pub storage: StorageFlags,
    /// Limits of remote write.
    #[command(flatten)]
    pub write: WriteFlags,
    /// Limits in a dry run.
    #[command(flatten)]
    pub dry_run: DryRunFlags,
    /// Limits of remote read, exports and lists.
    #[command(flatten)]
    pub read: ReadFlags,
    /// Listeners, timeouts and HTTP interfaces.
    #[command(flatten)]
    pub web: WebFlags,
    /// Limits of the gRPC services.
    #[command(flatten)]
    pub grpc: GrpcFlags,
    /// Timestamps and limits of scrapes.
    #[command(flatten)]
    pub scrape: ScrapeFlags,
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

#[cfg(test)]
mod tests;

//! Flags of `narthex check`.

use crate::config::web::DEFAULT_MAX_BCRYPT_COST;
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;

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

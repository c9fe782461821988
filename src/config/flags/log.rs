//! Flags of the program's log.

use clap::{Args, ValueEnum};

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

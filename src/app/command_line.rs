//! Entry point: parses the command line and runs the command.

use crate::app::{check, serve};
use crate::config::flags::Command;
use crate::config::{flag_values, prometheus_flags};
use std::io::Write;
use std::process::ExitCode;

/// Exit code of an invalid command line, as in clap.
const INVALID_COMMAND_LINE: u8 = 2;

/// Runs the command of this process's command line until it ends.
#[must_use]
pub fn run() -> ExitCode {
    let split = match prometheus_flags::split_args(std::env::args_os()) {
        Ok(split) => split,
        Err(error) => {
            // A failed write is ignored: the exit code reports the error, too.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::from(INVALID_COMMAND_LINE);
        }
    };
    let cli = flag_values::parse(split.narthex_args).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Serve(flags) => serve::run(&flags, &split.ignored),
        Command::Check(flags) => check::run(&flags),
    }
}

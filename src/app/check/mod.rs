//! Command `check`: checks of files, without a server.
//!
//! | module | contents |
//! |---|---|
//! | `config` | configuration files |
//! | `web_config` | web configuration files |

mod config;
mod web_config;

use crate::config::flags::check::{CheckCommand, CheckFlags};
use std::process::ExitCode;

/// Runs a check and returns the exit code of the process.
pub(crate) fn run(flags: &CheckFlags) -> ExitCode {
    match &flags.command {
        CheckCommand::Config(flags) => config::run(flags),
        CheckCommand::WebConfig(flags) => web_config::run(flags),
    }
}

//! Command `check`: checks of files and targets, without a server.
//!
//! | module | contents |
//! |---|---|
//! | `config` | configuration files |
//! | `target` | targets of scrapes |
//! | `web_config` | web configuration files |

mod config;
mod target;
mod web_config;

use crate::config::flags::check::{CheckCommand, CheckFlags};
use std::process::ExitCode;

/// Runs a check and returns the exit code of the process.
pub(crate) fn run(flags: &CheckFlags) -> ExitCode {
    match &flags.command {
        CheckCommand::Config(flags) => config::run(flags),
        CheckCommand::Target(flags) => target::run(flags),
        CheckCommand::WebConfig(flags) => web_config::run(flags),
    }
}

//! Command `check`: checks of files, targets and a running server.
//!
//! | module | contents |
//! |---|---|
//! | `config` | configuration files |
//! | `server` | a running server |
//! | `target` | targets of scrapes |
//! | `web_config` | web configuration files |

mod config;
mod server;
mod target;
mod web_config;

use crate::app::check::server::HealthEndpoint;
use crate::config::flags::check::{CheckCommand, CheckFlags};
use std::process::ExitCode;

/// Runs a check and returns the exit code of the process.
pub(crate) fn run(flags: &CheckFlags) -> ExitCode {
    match &flags.command {
        CheckCommand::Config(flags) => config::run(flags),
        CheckCommand::Healthy(flags) => server::run_health(flags, HealthEndpoint::Healthy),
        CheckCommand::Ready(flags) => server::run_health(flags, HealthEndpoint::Ready),
        CheckCommand::RoundTrip(flags) => server::run_round_trip(flags),
        CheckCommand::Target(flags) => target::run(flags),
        CheckCommand::WebConfig(flags) => web_config::run(flags),
    }
}

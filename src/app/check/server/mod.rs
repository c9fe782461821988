//! Checks of a running server, for probes, scripts and the test of a release.
//!
//! # Output
//! As `promtool check healthy` and `promtool check ready`: a line on standard output if the check
//! succeeds, otherwise the reason on standard error. The exit code is 0 for yes, 1 for no, and 2 if
//! there is no response: the server cannot be reached, or the settings are invalid.
//!
//! | module | contents |
//! |---|---|
//! | `client` | client of the server, from flags |
//! | `error` | errors without a response |
//! | `health` | whether the server is healthy or ready |
//! | `result` | result of a check |
//! | `round_trip` | whether a sample can be written and read |

mod client;
mod error;
mod health;
mod result;
mod round_trip;

pub(super) use crate::app::check::server::health::HealthEndpoint;

use crate::app::check::server::error::CheckServerError;
use crate::app::check::server::result::CheckResult;
use crate::config::flags::check::{CheckServerFlags, RoundTripFlags};
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit code if the server does not respond.
const EXIT_NO_RESPONSE: u8 = 2;

/// Checks if the server is healthy or ready.
pub(super) fn run_health(flags: &CheckServerFlags, endpoint: HealthEndpoint) -> ExitCode {
    run(health::run(flags, endpoint))
}

/// Writes a sample and reads it back.
pub(super) fn run_round_trip(flags: &RoundTripFlags) -> ExitCode {
    run(round_trip::run(flags))
}

fn run(check: impl Future<Output = Result<CheckResult, CheckServerError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result =
        runtime.map_err(CheckServerError::from).and_then(|runtime| runtime.block_on(check));
    // Failed writes are ignored: the exit code has the result, too.
    match result {
        Ok(CheckResult::Passed(text)) => {
            let _ = writeln!(io::stdout(), "SUCCESS: {text}");
            ExitCode::SUCCESS
        }
        Ok(CheckResult::Failed(text)) => {
            let _ = writeln!(io::stderr(), "FAILED: {text}");
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "ERROR: {error}");
            ExitCode::from(EXIT_NO_RESPONSE)
        }
    }
}

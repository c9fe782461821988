//! Check of web configuration files, with the output and exit codes of `promtool check web-config`.

use crate::config::flags::check::CheckWebConfigFlags;
use crate::config::web;
use crate::config::yaml::error::{ConfigProblem, LoadConfigError};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Checks all files and writes a line for each to standard error.
pub(super) fn run(flags: &CheckWebConfigFlags) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let mut code = ExitCode::SUCCESS;
    for file in &flags.files {
        let path = file.display();
        // Failed writes are ignored: the exit code has the result, too.
        match check(file, flags.max_bcrypt_cost) {
            Ok(warnings) => {
                for warning in warnings {
                    let _ = writeln!(stderr, "{path} WARNING: {path}:{warning}");
                }
                let _ = writeln!(stderr, "{path} SUCCESS");
            }
            Err(error) => {
                let _ = writeln!(stderr, "{path} FAILED: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Returns the warnings of a valid file.
fn check(path: &Path, max_bcrypt_cost: u32) -> Result<Vec<ConfigProblem>, LoadConfigError> {
    Ok(web::load(path, max_bcrypt_cost)?.warnings)
}

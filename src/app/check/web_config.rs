//! Check of web configuration files and the files that they name, with the output and exit codes of
//! `promtool check web-config`.

use crate::app::web_config::setup::WebConfigSource;
use crate::config::flags::check::CheckWebConfigFlags;
use std::io::Write;
use std::process::ExitCode;

/// Checks all files and writes a line for each to standard error.
pub(super) fn run(flags: &CheckWebConfigFlags) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let mut code = ExitCode::SUCCESS;
    for file in &flags.files {
        let path = file.display();
        let source = WebConfigSource { path: file.clone(), max_bcrypt_cost: flags.max_bcrypt_cost };
        // Failed writes are ignored: the exit code has the result, too.
        match source.load(None) {
            Ok(setup) => {
                for warning in setup.warnings {
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

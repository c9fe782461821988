//! Check of configuration files and the files that they name, as a start checks them.
//!
//! # Output
//! As `promtool check config`, with every problem: a line for each file with its verdict on
//! standard output, problems and warnings with their positions on standard error, and a summary.
//! The exit code is 0 if all files are valid, and 1 if not.

use crate::config::file;
use crate::config::file::contents::ConfigFile;
use crate::config::file::options::LoadOptions;
use crate::config::flags::check::CheckConfigFlags;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Checks all files.
pub(super) fn run(flags: &CheckConfigFlags) -> ExitCode {
    let options = LoadOptions::check(flags.ignore_unsupported);
    let mut code = ExitCode::SUCCESS;
    for path in &flags.files {
        let report = check(path, options);
        // Failed writes are ignored: the exit code has the result, too.
        let _ = std::io::stderr().lock().write_all(report.details.as_bytes());
        let _ = std::io::stdout().lock().write_all(report.verdict.as_bytes());
        if !report.is_valid {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Result for a file.
struct Report {
    is_valid: bool,
    /// Problems and warnings, one per line.
    details: String,
    verdict: String,
}

fn check(path: &Path, options: LoadOptions) -> Report {
    let shown = path.display();
    let mut details = String::new();
    // Writes to a string do not fail.
    let (file, problems) = match file::check(path, options) {
        Ok(checked) => checked,
        Err(error) => {
            let _ = writeln!(details, "ERROR: {error}");
            let verdict = format!("{shown} FAILED: cannot be read\n");
            return Report { is_valid: false, details, verdict };
        }
    };
    for problem in &problems {
        let _ = writeln!(details, "ERROR: {problem}");
    }
    for warning in &file.warnings {
        let _ = writeln!(details, "WARNING: {warning}");
    }
    for name in &file.global.empty_variables {
        let _ = writeln!(
            details,
            "WARNING: {shown}: environment variable {name} of an external label is empty"
        );
    }
    let verdict = match problems.len() {
        0 => success(path, &file),
        1 => format!("{shown} FAILED: 1 problem\n"),
        n => format!("{shown} FAILED: {n} problems\n"),
    };
    Report { is_valid: problems.is_empty(), details, verdict }
}

/// Returns the verdict and the summary of a valid file.
fn success(path: &Path, file: &ConfigFile) -> String {
    let jobs = file.scrape.all_jobs().count();
    let included = file.scrape.included.len();
    let warnings = file.warnings.len() + file.global.empty_variables.len();
    format!(
        "{} SUCCESS: {jobs} scrape jobs, {included} included files, {warnings} warnings\n",
        path.display()
    )
}

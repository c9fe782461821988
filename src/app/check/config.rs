//! Check of configuration files and the files that they name, as a start checks them.
//!
//! # Output
//! As `promtool check config`, with every problem: a line for each file with its verdict on
//! standard output, problems and warnings with their positions on standard error, and a summary.
//! The exit code is 0 if all files are valid, and 1 if not.

use crate::app::client_problems;
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
    let options = LoadOptions::new(flags.ignore_unsupported);
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
    let (file, mut problems) = match file::check(path, options) {
        Ok(checked) => checked,
        Err(error) => {
            let _ = writeln!(details, "ERROR: {error}");
            let verdict = format!("{shown} FAILED: cannot be read\n");
            return Report { is_valid: false, details, verdict };
        }
    };
    problems.extend(client_problems::problems(path, &file));
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

#[cfg(test)]
mod tests {
    use super::check;
    use crate::config::file::options::LoadOptions;

    #[test]
    fn client_that_cannot_be_created_is_a_problem() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        write("junk.pem", "junk");
        write(
            "jobs.yml",
            "scrape_configs:\n- job_name: c\n  tls_config: {server_name: 'a b', key: k, cert: c}\n",
        );
        let path = write(
            "n.yml",
            "scrape_configs:\n- job_name: a\n  tls_config: {ca_file: none.pem}\n  \
             http_sd_configs:\n  - url: https://u:hidden@h/\n    tls_config:\n      \
             cert_file: junk.pem\n      key_file: junk.pem\n- job_name: b\n  \
             oauth2:\n    client_id: a\n    token_url: https://t/\n    tls_config: {ca: hidden}\n  \
             consul_sd_configs: [{tls_config: {ca_file: junk.pem}}]\n  \
             docker_sd_configs: [{host: 'unix:///x', tls_config: {ca_file: unused.pem}}]\n\
             - job_name: d\n  oauth2: {client_id: a, token_url: 'http://t', client_certificate_key: \
             hidden, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'}\n  \
             kubernetes_sd_configs: [{role: pod, kubeconfig_file: none.conf}, {role: node}]\n\
             scrape_config_files: [jobs.yml]\n",
        );
        let report = check(&path, LoadOptions::new(false));
        assert!(!report.is_valid);
        assert!(report.verdict.ends_with("n.yml FAILED: 7 problems\n"), "{}", report.verdict);
        let place = format!("{}/", dir.path().display());
        let details = report.details.replace(&place, "");
        let (errors, warnings): (Vec<_>, Vec<_>) =
            details.lines().partition(|line| line.starts_with("ERROR: "));
        assert_eq!(
            errors,
            [
                "ERROR: n.yml:3:25: scrape_configs[0].tls_config.ca_file: unable to read CA cert: \
                 unable to read file none.pem: no such file or directory",
                "ERROR: n.yml:7:18: scrape_configs[0].http_sd_configs[0].tls_config.cert_file: \
                 unable to use specified client cert (file junk.pem): no valid certificate",
                "ERROR: n.yml:13:22: scrape_configs[1].oauth2.tls_config.ca: unable to use \
                 specified CA cert inline: no valid certificate",
                "ERROR: n.yml:14:46: scrape_configs[1].consul_sd_configs[0].tls_config.ca_file: \
                 unable to use specified CA cert file junk.pem: no valid certificate",
                "ERROR: n.yml:17:73: scrape_configs[2].oauth2.client_certificate_key: \
                 client_certificate_key is not an RSA private key in PEM",
                "ERROR: n.yml:18:56: scrape_configs[2].kubernetes_sd_configs[0].kubeconfig_file: \
                 cannot read none.conf: No such file or directory (os error 2)",
                "ERROR: jobs.yml:3:29: scrape_configs[0].tls_config.server_name: invalid \
                 server_name \"a b\"",
            ]
        );
        assert_eq!(
            warnings,
            ["WARNING: n.yml:15:23: scrape_configs[1].docker_sd_configs[0]: settings of the \
                 HTTP client need a host with http or https",]
        );
        assert!(!details.contains("hidden"), "{details}");
    }
}

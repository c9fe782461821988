//! `narthex check config` against Debian's `promtool check config`.

use crate::support::markdown::repository_path;
use std::path::Path;
use std::process::{Command, Output};

const NARTHEX: &str = env!("CARGO_BIN_EXE_narthex");

/// Starts of the names of the golden files that are compared: no discovery that Debian leaves out.
const COMPARED: [&str; 22] = [
    "bad-docker-",
    "bad-file-",
    "bad-global-",
    "bad-header-",
    "bad-http-",
    "bad-job-",
    "bad-metric-",
    "bad-relabel-",
    "bad-sd-",
    "bad-static-",
    "bad-storage-",
    "docker",
    "file-",
    "files-",
    "global-",
    "header-",
    "http-",
    "job-",
    "relabel-",
    "sd-",
    "static-",
    "storage-",
];

/// Files on which the verdicts differ, by the start of their names, and the reasons. Files with
/// keys that Debian's Prometheus does not know are not compared.
const DIFFERENCES: [(&str, &str); 26] = [
    ("bad-file-sd-refresh-zero", "promtool accepts what stops the server"),
    ("bad-http-sd-auth", "promtool does not check the client of a discovery"),
    ("bad-http-sd-refresh-zero", "promtool accepts what stops the server"),
    ("docker-host", "a host without a scheme cannot be reached"),
    ("file-other-sections", "narthex does not support the sections"),
    ("file-two-documents", "promtool ignores the second document"),
    ("global-body-negative", "a negative size is a mistake"),
    ("global-body-overflow", "the size overflows"),
    ("global-external-utf8", "UTF-8 names are newer"),
    ("global-sample-limit-float.", "promtool cuts the number"),
    ("http-oauth2-no-secret", "the secret is optional in newer versions"),
    ("http-proxy-odd-scheme", "a proxy of another kind cannot be reached"),
    ("http-tls.", "its CA is missing"),
    ("http-tls-max-below-min", "no version is left"),
    ("http-tls-versions", "narthex has TLS 1.2 and 1.3"),
    ("relabel-hashmod-target-group", "UTF-8 names are newer"),
    ("relabel-labeldrop-no-regex", "promtool relabels the target and finds no address"),
    ("relabel-labelmap-replacement-invalid", "UTF-8 names are newer"),
    ("relabel-modulus-too-big", "the number does not fit"),
    ("relabel-source-number", "UTF-8 names are newer"),
    ("relabel-target-", "UTF-8 names are newer"),
    ("static-address-forms", "promtool relabels the target and finds no address"),
    ("static-label-legacy", "UTF-8 names are newer"),
    ("static-labels", "UTF-8 names are newer"),
    ("static-slash-with-relabel", "promtool checks the address without the rules"),
    ("storage-stale-threshold-", "a share is from 0 to 1"),
];

#[test]
#[ignore = "needs Debian's promtool: run tests/run"]
fn verdicts_agree_with_promtool() {
    let dir = repository_path("tests/golden/config/files");
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(&dir).expect("golden files can be listed") {
        let name = entry.expect("an entry can be read").file_name().into_string().expect("UTF-8");
        let is_compared = COMPARED.iter().any(|start| name.starts_with(start));
        if !is_compared || DIFFERENCES.iter().any(|(start, _)| name.starts_with(start)) {
            continue;
        }
        let promtool = run("promtool", &["check", "config", "--syntax-only", &name], &dir);
        // A key that Debian's Prometheus does not know.
        if said(&promtool).contains("not found in type") && !name.starts_with("bad-") {
            continue;
        }
        let narthex = run(NARTHEX, &["check", "config", &name], &dir);
        assert_eq!(
            promtool.status.code(),
            narthex.status.code(),
            "{name}: {} {}",
            said(&promtool),
            said(&narthex)
        );
        if narthex.status.success() { good += 1 } else { bad += 1 }
    }
    assert!(good > 40 && bad > 100, "{good} good, {bad} bad");
}

fn run(program: &str, arguments: &[&str], dir: &Path) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|error| panic!("{program} runs: {error}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

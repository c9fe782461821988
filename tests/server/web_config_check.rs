//! `narthex check web-config`: output, exit codes, and the verdicts of Prometheus 3.14.

use crate::support::dir;
use crate::support::web_config::{WebConfigFiles, prometheus_verdicts};
use std::process::Command;

const NARTHEX: &str = env!("CARGO_BIN_EXE_narthex");

/// Files with which Prometheus 3.14 starts and narthex does not, and a part of the error.
/// docs/web-configuration.md has the reasons.
const STRICTER: [(&str, &str); 8] = [
    ("auth-Verify-no-ca.yml", "does not trust the CAs of the system"),
    ("ca-garbage.yml", "client_ca_file"),
    ("curve-521.yml", "\"CurveP521\" is unknown or not available"),
    ("max-TLS10.yml", "\"TLS10\" is unknown or not available"),
    ("max-TLS11.yml", "\"TLS11\" is unknown or not available"),
    ("min-above-max.yml", "max_version is below min_version"),
    ("rate-negative.yml", "rate_limit.interval must be at least 0"),
    ("rate-no-burst.yml", "needs rate_limit.burst"),
];

#[test]
fn golden_files_have_verdicts_of_prometheus() {
    let files = WebConfigFiles::golden();
    let verdicts = files.check(NARTHEX);
    let expected = prometheus_verdicts();
    assert!(expected.len() > 100 && expected.keys().eq(verdicts.keys()), "{verdicts:?}");
    for (name, verdict) in &verdicts {
        let stricter = STRICTER.iter().find(|(file, _)| file == name);
        match (stricter, verdict) {
            (None, None) => assert!(expected[name], "{name} is accepted"),
            (None, Some(reason)) => assert!(!expected[name], "{name}: {reason}"),
            (Some((_, part)), Some(reason)) => {
                assert!(expected[name] && reason.contains(part), "{name}: {reason}");
            }
            (Some(_), None) => panic!("{name} is accepted"),
        }
    }
}

#[test]
fn check_reports_every_file_and_its_warnings() {
    let dir = dir::temp();
    std::fs::write(dir.path().join("good.yml"), "").unwrap();
    std::fs::write(dir.path().join("bad.yml"), "http_server_config:\n  http3: on\n").unwrap();
    std::fs::write(dir.path().join("odd.yml"), "tls_server_config: {min_version: TLS11}").unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(NARTHEX)
            .args(["check", "web-config"])
            .args(arguments)
            .current_dir(dir.path())
            .output()
            .expect("narthex runs");
        assert!(output.stdout.is_empty(), "{output:?}");
        (output.status.code(), String::from_utf8(output.stderr).expect("narthex prints UTF-8"))
    };
    let warnings = "odd.yml WARNING: odd.yml:1:34: tls_server_config.min_version TLS11 is not \
                    available: the minimum is TLS12\n\
                    odd.yml WARNING: odd.yml:1:21: tls_server_config has neither certificate nor \
                    key: TLS is off\nodd.yml SUCCESS\n";
    assert_eq!(run(&["good.yml", "odd.yml"]), (Some(0), format!("good.yml SUCCESS\n{warnings}")));
    let failed = "bad.yml FAILED: bad.yml:2:3: unknown key \"http3\", expected one of http2, \
                  headers\nno.yml FAILED: cannot read configuration file no.yml: No such file or \
                  directory (os error 2)\ngood.yml SUCCESS\n";
    assert_eq!(run(&["bad.yml", "no.yml", "good.yml"]), (Some(1), failed.to_owned()));
    let (code, usage) = run(&[]);
    assert!(code == Some(2) && usage.contains("<FILE>..."), "{usage}");
}

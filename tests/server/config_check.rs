//! `narthex check config`: every problem of every file, output and exit codes.

use crate::support::checked::Checked;
use crate::support::dir;
use std::path::Path;

fn check(dir: &Path, arguments: &[&str]) -> Checked {
    Checked::run(dir, &[&["config"][..], arguments].concat())
}

#[test]
fn every_problem_of_every_file_is_reported() {
    let dir = dir::temp();
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a file can be written");
    };
    std::fs::create_dir(dir.path().join("jobs")).expect("a directory can be made");
    write(
        "bad.yml",
        "global:\n  scrape_interval: 15\n  scrape_intervall: 15s\n  evaluation_interval: 1m\n\
         scrape_configs:\n- job_name: a\n  scrape_timeout: 2m\n  honor_labels: perhaps\n  \
         static_configs:\n  - targets: ['http://a:1/metrics']\n- job_name: a\n  \
         ec2_sd_configs: [{region: x}]\n- scheme: http\nscrape_config_files: ['jobs/*.yml']\n\
         rule_files: [x.yml]\n",
    );
    write("jobs/one.yml", "scrape_configs:\n- job_name: a\n");
    write("jobs/two.yml", "global: {}\nscrape_configs:\n- job_name: b\n  sample_limit: -1\n");
    let checked = check(dir.path(), &["bad.yml"]);
    assert_eq!(checked.code, Some(1));
    assert_eq!(checked.stdout, "bad.yml FAILED: 12 problems\n");
    let lines: Vec<&str> = checked.stderr.lines().collect();
    assert_eq!(
        lines,
        [
            "ERROR: bad.yml:2:20: global.scrape_interval: \"15\" is not a duration; write for \
             example 1h30m or 500ms",
            "ERROR: bad.yml:3:3: global.scrape_intervall: unknown key \"scrape_intervall\"; did \
             you mean \"scrape_interval\"?",
            "ERROR: bad.yml:7:19: scrape_configs[0].scrape_timeout: 2m exceeds scrape_interval 1m",
            "ERROR: bad.yml:8:17: scrape_configs[0].honor_labels: must be true or false",
            "ERROR: bad.yml:10:15: scrape_configs[0].static_configs[0].targets[0]: \
             \"http://a:1/metrics\" is not an address; write host:port, and set scheme and \
             metrics_path of the job",
            "ERROR: bad.yml:11:3: scrape_configs[1]: job_name \"a\" is already used at bad.yml:6",
            "ERROR: bad.yml:12:3: scrape_configs[1].ec2_sd_configs: ec2_sd_configs is not \
             supported by this version of narthex; use http_sd_configs or file_sd_configs with a \
             program that lists the targets",
            "ERROR: bad.yml:13:3: scrape_configs[2]: job_name must not be empty",
            "ERROR: bad.yml:15:1: rule_files: section is not supported by this version of \
             narthex; evaluate rules in a Prometheus or Thanos Ruler that reads from narthex, or \
             start with --config.ignore-unsupported",
            "ERROR: jobs/one.yml:2:3: scrape_configs[0]: job_name \"a\" is already used at \
             bad.yml:6",
            "ERROR: jobs/two.yml:1:1: global: an included file may have scrape_configs only",
            "ERROR: jobs/two.yml:4:17: scrape_configs[0].sample_limit: must be an integer of at \
             least 0",
            "WARNING: bad.yml:4:24: global.evaluation_interval: has no effect: narthex does not \
             evaluate rules",
        ]
    );
}

#[test]
fn unsupported_sections_are_warnings_on_request() {
    let dir = dir::temp();
    let text = "global: {evaluation_interval: 30s, external_labels: {a: $NARTHEX_TEST_UNSET}}\n\
                rule_files: [x.yml]\nscrape_configs:\n- job_name: a\n  \
                ec2_sd_configs: [{region: x}]\n";
    std::fs::write(dir.path().join("odd.yml"), text).expect("a file can be written");
    let checked = check(dir.path(), &["odd.yml", "--config.ignore-unsupported"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_eq!(checked.stdout, "odd.yml SUCCESS: 1 scrape jobs, 0 included files, 4 warnings\n");
    assert_eq!(checked.stderr.matches("WARNING: odd.yml:").count(), 4, "{}", checked.stderr);
    // The flag is given, so no warning proposes it.
    let section = "WARNING: odd.yml:2:1: rule_files: section is not supported by this version of \
                   narthex; evaluate rules in a Prometheus or Thanos Ruler that reads from narthex";
    assert!(checked.stderr.lines().any(|line| line == section), "{}", checked.stderr);
    let missing = check(dir.path(), &["none.yml", "odd.yml"]);
    assert_eq!(missing.code, Some(1));
    assert_eq!(
        missing.stdout, "none.yml FAILED: cannot be read\nodd.yml FAILED: 2 problems\n",
        "{}",
        missing.stderr
    );
}

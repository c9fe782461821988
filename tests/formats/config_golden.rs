//! Configuration files of Prometheus 3.14: verdicts, positions and keys of problems, and the
//! effective configuration.

use crate::support::markdown::repository_path;
use flate2::read::GzDecoder;
use narthex::config::effective::to_yaml;
use narthex::config::file;
use narthex::config::file::contents::ConfigFile;
use narthex::config::file::options::LoadOptions;
use narthex::config::flag_values;
use narthex::config::flags::Command;
use narthex::config::settings;
use narthex::config::yaml::error::FileProblem;
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;

/// Files that Prometheus 3.14 accepts and narthex does not, by the start of their names, and a part
/// of the problem.
const STRICTER: &[(&str, &str)] = &[
    // Sections and discoveries that narthex does not support.
    ("file-other-sections", "alerting: section is not supported"),
    ("otlp-", "otlp: section is not supported"),
    ("rule-files-", "rule_files: section is not supported"),
    ("other-sd-", "is not supported by this version of narthex; use http_sd_configs"),
    // Settings with which every request fails.
    ("docker-host", "host: must begin with unix://, tcp://, http:// or https://"),
    ("header-odd-name", "http_headers.X A: not a valid header name"),
    ("http-proxy-odd-scheme", "proxy_url: scheme must be one of http, https, socks5, socks5h"),
    ("http-tls-max-below-min", "max_version: must be at least min_version"),
    ("http-tls-versions", "max_version: TLS11 is not supported"),
    // Mistakes that Prometheus does not notice.
    ("dns-sd-port-odd", "99999 is not a port"),
    ("file-two-documents", "file has more than one YAML document"),
    ("global-body-negative", "global.body_size_limit: \"-1KB\" is not a size"),
    ("global-body-overflow", "global.body_size_limit: \"8EB\" is not a size"),
    ("global-sample-limit-float.", "global.sample_limit: must be an integer of at least 0"),
    ("relabel-modulus-too-big", "modulus: must be an integer of at least 0"),
    ("storage-stale-threshold-", "stale_series_compaction_threshold: must be from 0 to 1"),
];

/// Keys of the effective configuration that narthex does not have, or that have another default.
const OTHER_KEYS: [&str; 6] =
    ["runtime", "otlp", "storage", "evaluation_interval", "rule_query_offset", "query_log_file"];

struct Golden {
    name: String,
    verdict: Value,
    file: ConfigFile,
    problems: Vec<FileProblem>,
}

fn dir() -> PathBuf {
    repository_path("tests/golden/config/files")
}

fn options() -> LoadOptions {
    LoadOptions::new(false)
}

/// Returns all files with the verdicts of Prometheus.
fn golden() -> Vec<Golden> {
    let verdicts = File::open(repository_path("tests/golden/config/verdicts.json.gz"));
    let verdicts = GzDecoder::new(verdicts.expect("there are verdicts"));
    let verdicts: Value = serde_json::from_reader(verdicts).expect("the verdicts are JSON");
    let files = verdicts["files"].as_object().expect("files by name");
    let load = |(name, verdict): (&String, &Value)| {
        let path = dir().join(name);
        let text = std::fs::read_to_string(&path).expect("a golden file can be read");
        let variables = |name: &str| (name == "G3_SET").then(|| "value".to_owned());
        let (file, problems) = file::parse(&text, &path, options(), &variables);
        Golden { name: name.clone(), verdict: verdict.clone(), file, problems }
    };
    files.iter().map(load).collect()
}

#[test]
fn golden_files_have_verdicts_of_prometheus() {
    let golden = golden();
    assert_eq!(golden.len(), 472);
    let mut wrong = Vec::new();
    for Golden { name, verdict, problems, .. } in &golden {
        let is_good = verdict["ok"].as_bool().expect("a verdict");
        let stricter = STRICTER.iter().find(|(start, _)| name.starts_with(start));
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let agrees = match (is_good, stricter) {
            (true, Some((_, part))) => shown.iter().any(|problem| problem.contains(part)),
            (true, None) => problems.is_empty(),
            (false, _) => !problems.is_empty(),
        };
        if !agrees {
            wrong.push(format!("{name} (Prometheus: {is_good}): {shown:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(golden.iter().filter(|golden| golden.verdict["ok"] == false).count(), 250);
}

#[test]
fn golden_problems_have_position_and_key() {
    // A mistake of the YAML is in no key.
    let is_of_yaml = |name: &str| {
        ["bad-file-", "file-two-documents", "bad-files-broken-inside"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let mut checked = 0;
    for Golden { name, problems, .. } in golden() {
        for problem in problems {
            let position = problem.problem.position;
            assert!(position.is_some_and(|at| at.line >= 1 && at.column >= 1), "{name}: {problem}");
            assert!(problem.path.starts_with(dir()), "{name}: {problem}");
            let message = &problem.problem.message;
            let has_key = message
                .split_once(": ")
                .is_some_and(|(key, _)| !key.is_empty() && !key.contains(' ') && key.is_ascii());
            let has_odd_key = message.starts_with("scrape_configs[0].http_headers.X A: ");
            let is_duplicate = message.starts_with("duplicate key ");
            assert!(
                has_key || has_odd_key || is_duplicate || is_of_yaml(&name),
                "{name}: {problem}"
            );
            checked += 1;
        }
    }
    assert!(checked > 200, "{checked}");
}

#[test]
fn effective_configuration_is_that_of_prometheus() {
    let line = ["narthex", "serve"].map(Into::into);
    let cli = flag_values::parse(line).expect("the defaults are valid");
    let Command::Serve(flags) = cli.command else { unreachable!() };
    let (mut compared, mut wrong) = (0, Vec::new());
    for Golden { name, verdict, file, problems } in golden() {
        // A null document leaves Prometheus without defaults.
        if name == "file-null.yml" {
            continue;
        }
        let Some(expected) = verdict["effective"].as_str().filter(|_| problems.is_empty()) else {
            continue;
        };
        let expected = expected.replace("DIR", &dir().display().to_string());
        // Prometheus shows the passwords of some URLs.
        let expected = expected.replace(":hidden-p@", ":xxxxx@");
        let settings = settings::at_start(&flags.storage, &file);
        let yaml = to_yaml(&file, &settings).expect("a configuration is YAML");
        let read = |yaml: &str| -> Value { serde_saphyr::from_str(yaml).expect("valid YAML") };
        let differences = differences("", &read(&yaml), &read(&expected));
        wrong.extend(differences.into_iter().map(|difference| format!("{name}: {difference}")));
        compared += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 120, "{compared}");
}

/// Returns the differences of two trees, except [`OTHER_KEYS`].
fn differences(key: &str, own: &Value, expected: &Value) -> Vec<String> {
    match (own, expected) {
        (Value::Object(own), Value::Object(expected)) => {
            let is_compared = |name: &&String| !OTHER_KEYS.contains(&name.as_str());
            let mut found = Vec::new();
            for name in own.keys().filter(is_compared) {
                let key = format!("{key}.{name}");
                match expected.get(name) {
                    Some(expected) => found.extend(differences(&key, &own[name], expected)),
                    // Prometheus shows the escaping only if the file has no section `global`.
                    None if key == ".global.metric_name_escaping_scheme" => {}
                    None => found.push(format!("{key} is not in Prometheus's")),
                }
            }
            // Prometheus shows an empty proxy_url.
            let is_empty = |name: &&String| *name == "proxy_url" && expected[*name] == "";
            let missing = expected.keys().filter(is_compared);
            let missing = missing.filter(|name| !own.contains_key(*name) && !is_empty(name));
            found.extend(missing.map(|name| format!("{key}.{name} is missing")));
            found
        }
        (Value::Array(own), Value::Array(expected)) if own.len() == expected.len() => {
            let pairs = own.iter().zip(expected).enumerate();
            pairs
                .flat_map(|(i, (own, expected))| differences(&format!("{key}[{i}]"), own, expected))
                .collect()
        }
        (Value::Number(own), Value::Number(expected)) if own.as_f64() == expected.as_f64() => {
            Vec::new()
        }
        _ if own == expected => Vec::new(),
        _ => vec![format!("{key} is {own}, not {expected}")],
    }
}

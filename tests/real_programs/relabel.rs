//! Relabeling of targets compared with Debian's Prometheus, and hashes with Python's MD5.
//!
//! Debian's version is 2.42. Its known differences from 3.14 are excluded: values have no newline,
//! which its dot does not match; names are legacy ones; every address has a port, because it adds
//! default ports; `labelmap` never maps two labels to one name, because its order is random; rules
//! do not read the labels that it does not have ([`NEW_LABELS`]).

use crate::support::launch::Launch;
use crate::support::seed::seeded;
use crate::support::wait::wait_for;
use crate::support::{dir, http::Http};
use narthex::model::label_editor::LabelEditor;
use narthex::model::label_name::NameValidationScheme;
use narthex::model::relabel::action::RelabelAction;
use narthex::model::relabel::apply;
use narthex::model::relabel::rule::{RelabelRule, RelabelRuleConfig};
use narthex::scrape::target::defaults::TargetDefaults;
use narthex::scrape::target::resolve::{TargetOutcome, resolve};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

type LabelMap = BTreeMap<String, String>;

/// Number of jobs, each with random rules and targets.
const JOBS: usize = 1000;
const ADDRESS: &str = "127.0.0.1:1";
/// Labels of targets that 2.42 does not have.
const NEW_LABELS: [&str; 3] = [
    "__convert_classic_histograms_to_nhcb__",
    "__always_scrape_classic_histograms__",
    "__scrape_native_histograms__",
];

fn pick<'a>(rng: &mut StdRng, choices: &[&'a str]) -> &'a str {
    choices.choose(rng).expect("a choice")
}

/// Returns a value of characters with a meaning in YAML, expressions, URLs or Unicode.
fn random_value(rng: &mut StdRng) -> String {
    let pieces = [
        "a", "b", "c", "ab", "foo", "Foo", "é", "ß", "ẞ", "İ", "ς", "K", "ᾳ", "1", "42", ";", ":",
        ".", "-", "_", "$1", "\\", "\"", "'", "#", " ", "\t", "%", "{}", "語", "😀",
    ];
    (0..rng.random_range(1..5)).map(|_| pick(rng, &pieces)).collect()
}

/// Returns an expression that is valid.
fn random_regex(rng: &mut StdRng) -> String {
    let atoms = [
        "a",
        "b",
        "foo",
        ".",
        ".*",
        ".+",
        "(.*)",
        "(.+)",
        "(a|b)",
        "(?P<n>.)",
        "(?P<n>[a-c]+)",
        "[^a]",
        r"\w",
        r"\d",
        r"\s",
        r"\b",
        r"\W*",
        "(?i:FOO|K)",
        "(?:ab)?",
        "(.*?)",
        "é|ß",
        "(;)",
        "[[:alpha:]]",
        r"\.",
        "(x)?",
        "",
    ];
    (0..rng.random_range(1..5)).map(|_| pick(rng, &atoms)).collect()
}

fn random_template(rng: &mut StdRng) -> String {
    let pieces = ["$1", "${1}", "$2", "${n}", "$0", "x", "-", "$$", "$", "${", "$1x", "é", "${9}"];
    (0..rng.random_range(1..4)).map(|_| pick(rng, &pieces)).collect()
}

fn random_rule(rng: &mut StdRng) -> RelabelRuleConfig {
    let names = ["a", "b", "c", "d", "job", "instance", "__tmp_x", "__meta_y", "__address__"];
    let targets = ["a", "b", "e", "job", "instance", "__tmp_x", "__meta_z", "__param_p", "a_$1"];
    let action = *RelabelAction::ALL.choose(rng).expect("an action");
    let mut rule = RelabelRuleConfig { action, ..RelabelRuleConfig::default() };
    let source: Vec<String> =
        (0..rng.random_range(0..4)).map(|_| pick(rng, &names).to_owned()).collect();
    let is_plain = |name: &&str| !name.contains('$');
    match action {
        RelabelAction::LabelMap => {
            rule.regex = Some(pick(rng, &["[a-d]", "__meta_(.+)", "(?P<n>[ab]).*", "j.b"]).into());
            // The whole name keeps results apart.
            rule.replacement = Some(pick(rng, &["m_$0", "${n}_$0", "${0}_$1", "__tmp_$0"]).into());
        }
        RelabelAction::LabelDrop | RelabelAction::LabelKeep => {
            let regexes = ["[ab]", "__meta_.*", "__.*|job|instance|[a-c]", "__address__", "(?i)A"];
            rule.regex = Some(pick(rng, &regexes).into());
            if action == RelabelAction::LabelKeep {
                rule.regex = Some(pick(rng, &["__.*|[a-c]", "__.*|job", "[^a]+"]).into());
            }
        }
        RelabelAction::KeepEqual | RelabelAction::DropEqual => {
            rule.source_labels = Some(source);
            rule.target_label = pick(rng, &names).to_owned();
        }
        _ => {
            rule.source_labels = rng.random_bool(0.9).then_some(source);
            rule.separator = rng.random_bool(0.3).then(|| pick(rng, &["", "/", "::", "é"]).into());
            rule.regex = rng.random_bool(0.7).then(|| random_regex(rng));
            if !matches!(action, RelabelAction::Keep | RelabelAction::Drop) {
                let plain: Vec<&str> = targets.iter().copied().filter(is_plain).collect();
                let is_template = action == RelabelAction::Replace;
                rule.target_label =
                    pick(rng, if is_template { &targets } else { &plain }).to_owned();
            }
            if action == RelabelAction::Replace {
                rule.replacement = rng.random_bool(0.7).then(|| random_template(rng));
            }
            if action == RelabelAction::HashMod {
                rule.modulus = *[1, 2, 3, 8, 1000, u64::from(u32::MAX)].choose(rng).expect("one");
            }
        }
    }
    rule
}

/// Returns a rule that is valid for narthex. Prometheus must accept all of them.
fn valid_rule(rng: &mut StdRng) -> RelabelRule {
    loop {
        let config = random_rule(rng);
        if let Ok(rule) = RelabelRule::new(config, NameValidationScheme::Legacy) {
            return rule;
        }
    }
}

/// Returns the rule as YAML, of which JSON is a subset.
fn rule_yaml(rule: &RelabelRule) -> Value {
    let config = rule.config();
    let mut yaml = json!({"action": rule.action().name()});
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            yaml[key] = value;
        }
    };
    set("source_labels", config.source_labels.as_ref().map(|labels| json!(labels)));
    set("separator", config.separator.as_ref().map(|text| json!(text)));
    set("regex", config.regex.as_ref().map(|text| json!(text)));
    set("modulus", (config.modulus > 0).then(|| json!(config.modulus)));
    set("target_label", (!config.target_label.is_empty()).then(|| json!(config.target_label)));
    set("replacement", config.replacement.as_ref().map(|text| json!(text)));
    yaml
}

/// Random job: its rules, and the labels of its only target.
struct Job {
    name: String,
    rules: Vec<RelabelRule>,
    labels: LabelMap,
}

impl Job {
    fn random(index: usize, rng: &mut StdRng) -> Job {
        let names = ["a", "b", "c", "d", "instance", "__meta_y", "__tmp_x", "__param_q"];
        let mut labels = LabelMap::new();
        for _ in 0..rng.random_range(0..6) {
            labels.insert(pick(rng, &names).to_owned(), random_value(rng));
        }
        let rules = (0..rng.random_range(1..6)).map(|_| valid_rule(rng)).collect();
        Job { name: format!("j{index}"), rules, labels }
    }

    fn yaml(&self) -> Value {
        json!({
            "job_name": self.name,
            "scrape_interval": "1d",
            "scrape_timeout": "10s",
            "static_configs": [{"targets": [ADDRESS], "labels": self.labels}],
            "relabel_configs": self.rules.iter().map(rule_yaml).collect::<Vec<_>>(),
        })
    }

    /// Returns `true` if no rule can change a label. Version 2.42 shows labels that rules have
    /// changed as discovered ones.
    fn has_filters_only(&self) -> bool {
        use RelabelAction::{Drop, DropEqual, Keep, KeepEqual};
        let is_filter =
            |rule: &RelabelRule| matches!(rule.action(), Keep | Drop | KeepEqual | DropEqual);
        self.rules.iter().all(is_filter)
    }

    /// Returns what narthex makes of the target.
    fn outcome(&self) -> Outcome {
        let defaults = TargetDefaults {
            job: self.name.clone(),
            interval: Duration::from_secs(86_400),
            timeout: Duration::from_secs(10),
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            scrape_native_histograms: false,
            convert_classic_histograms: false,
            always_scrape_classic_histograms: false,
            relabel_rules: self.rules.clone(),
        };
        let target = LabelMap::from([("__address__".to_owned(), ADDRESS.to_owned())]);
        match resolve(&defaults, &self.labels, &target, &mut LabelEditor::new()) {
            Ok(TargetOutcome::Active(target)) => {
                let is_known = |(name, _): &&(String, String)| !NEW_LABELS.contains(&&**name);
                let discovered = target.discovered.iter().filter(is_known).cloned().collect();
                let labels = target.series_labels.iter();
                Outcome::Active {
                    discovered: self.has_filters_only().then_some(discovered),
                    labels: labels.map(|(name, value)| (name.into(), value.into())).collect(),
                    url: target.url,
                }
            }
            Ok(TargetOutcome::Dropped { .. }) => Outcome::Dropped,
            Err(_) => Outcome::Invalid,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Active {
        /// Labels before relabeling, if they can be compared.
        discovered: Option<LabelMap>,
        labels: LabelMap,
        url: String,
    },
    Dropped,
    Invalid,
}

/// Returns the outcomes of a Prometheus by job, once all jobs have one.
fn outcomes(http: &Http, jobs: &[Job]) -> BTreeMap<String, Outcome> {
    let failed = Regex::new(r#"sync_failed_total\{scrape_job="(\w+)"\} 1\n"#).expect("a regex");
    let (data, invalid) = wait_for("all targets", || {
        let metrics = http.get("/metrics").text();
        let invalid: BTreeSet<String> =
            failed.captures_iter(&metrics).map(|found| found[1].to_owned()).collect();
        let response = http.get("/api/v1/targets?state=any").json();
        let count =
            |list: &str| response["data"][list].as_array().map_or(0, |targets| targets.len());
        (count("activeTargets") + count("droppedTargets") + invalid.len() == JOBS)
            .then(|| (response["data"].clone(), invalid))
    });
    let labels = |value: &Value| -> LabelMap {
        serde_json::from_value(value.clone()).expect("an object of labels")
    };
    let mut active: BTreeMap<&str, &Value> = BTreeMap::new();
    for target in data["activeTargets"].as_array().expect("a list") {
        active.insert(target["scrapePool"].as_str().expect("a name"), target);
    }
    let outcome = |job: &Job| match active.get(&*job.name) {
        Some(target) => Outcome::Active {
            discovered: job.has_filters_only().then(|| labels(&target["discoveredLabels"])),
            labels: labels(&target["labels"]),
            url: target["scrapeUrl"].as_str().expect("a URL").to_owned(),
        },
        None if invalid.contains(&job.name) => Outcome::Invalid,
        None => Outcome::Dropped,
    };
    jobs.iter().map(|job| (job.name.clone(), outcome(job))).collect()
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn random_rules_relabel_as_debian_prometheus() {
    let mut rng = seeded("relabel");
    let jobs: Vec<Job> = (0..JOBS).map(|index| Job::random(index, &mut rng)).collect();
    let yaml = json!({"scrape_configs": jobs.iter().map(Job::yaml).collect::<Vec<_>>()});
    let expected: Vec<Outcome> = jobs.iter().map(Job::outcome).collect();
    let count = |wanted: fn(&Outcome) -> bool| expected.iter().filter(|one| wanted(one)).count();
    let active = count(|outcome| matches!(outcome, Outcome::Active { .. }));
    let compared = count(|outcome| matches!(outcome, Outcome::Active { discovered: Some(_), .. }));
    let dropped = count(|outcome| *outcome == Outcome::Dropped);
    let invalid = count(|outcome| *outcome == Outcome::Invalid);
    let counts = [active, compared, dropped, invalid];
    assert!(active > 200 && compared > 5 && dropped > 100 && invalid > 5, "{counts:?}");

    let temp_dir = dir::temp();
    let server = Launch::prometheus(&temp_dir.path().join("data"), &yaml.to_string()).start();
    let found = outcomes(&server.http, &jobs);
    let differences: Vec<String> = jobs
        .iter()
        .zip(&expected)
        .map(|(job, expected)| (job, expected, &found[&job.name]))
        .filter(|(_, expected, found)| expected != found)
        .map(|(job, expected, found)| {
            format!("{}\n  narthex: {expected:?}\n  Prometheus: {found:?}", job.yaml())
        })
        .collect();
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
}

#[test]
#[ignore = "needs Python: run tests/run"]
fn hashmods_equal_those_of_python() {
    const PROGRAM: &str = "import hashlib, sys, json\n\
        for line in sys.stdin:\n    \
            value, modulus = json.loads(line)\n    \
            sum = hashlib.md5(value.encode()).digest()\n    \
            print(int.from_bytes(sum[8:], 'big') % modulus)\n";
    let mut rng = seeded("hashmod");
    let cases: Vec<(String, u64)> = (0..10_000)
        .map(|index| {
            let value = (0..index % 200).map(|_| random_value(&mut rng)).collect::<String>();
            let modulus = if index % 3 == 0 { u64::MAX } else { rng.random_range(1..=1 << 40) };
            (value, modulus)
        })
        .collect();
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = python.stdin.take().expect("stdin is piped");
    let lines: String =
        cases.iter().map(|case| serde_json::to_string(case).expect("JSON") + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().expect("python3 ends");
    writer.join().expect("no panic").expect("python3 reads its input");
    let output = String::from_utf8(output.stdout).expect("digits");
    let remainders: Vec<&str> = output.lines().collect();
    assert_eq!(remainders.len(), cases.len());
    let mut labels = LabelEditor::new();
    for ((value, modulus), remainder) in cases.iter().zip(remainders) {
        let rule = RelabelRuleConfig {
            source_labels: Some(vec!["a".to_owned()]),
            modulus: *modulus,
            target_label: "shard".to_owned(),
            action: RelabelAction::HashMod,
            ..RelabelRuleConfig::default()
        };
        let rule = RelabelRule::new(rule, NameValidationScheme::Utf8).expect("a valid rule");
        labels.clear();
        labels.push("a", value);
        apply(&[rule], &mut labels).expect("a small label set");
        assert_eq!(labels.get("shard"), remainder, "{value:?} % {modulus}");
    }
}

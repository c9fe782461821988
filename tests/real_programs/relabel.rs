//! Hashes of relabeling compared with Python's MD5.

use crate::support::seed::seeded;
use narthex::model::label_editor::LabelEditor;
use narthex::model::label_name::NameValidationScheme;
use narthex::model::relabel::action::RelabelAction;
use narthex::model::relabel::apply;
use narthex::model::relabel::rule::{RelabelRule, RelabelRuleConfig};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::io::Write;
use std::process::{Command, Stdio};

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

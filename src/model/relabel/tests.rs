//! Tests of rules against recordings of Prometheus 3.14, of their limits, and by property.

use super::action::RelabelAction;
use super::error::{RelabelError, RelabelRuleError};
use super::rule::{RelabelRule, RelabelRuleConfig};
use super::{RelabelStep, Steps, Verdict, apply};
use crate::model::label_editor::LabelEditor;
use crate::model::label_name::NameValidationScheme;
use proptest::prelude::{Strategy, prop_assert_eq, proptest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

fn rule(config: RelabelRuleConfig) -> Result<RelabelRule, RelabelRuleError> {
    RelabelRule::new(config, NameValidationScheme::Utf8)
}

fn replace(regex: &str, target: &str, replacement: &str) -> RelabelRule {
    rule(RelabelRuleConfig {
        source_labels: Some(vec!["a".to_owned()]),
        regex: Some(regex.to_owned()),
        target_label: target.to_owned(),
        replacement: Some(replacement.to_owned()),
        ..RelabelRuleConfig::default()
    })
    .unwrap()
}

fn editor<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelEditor {
    let mut editor = LabelEditor::new();
    for (name, value) in labels {
        editor.push(name, value);
    }
    editor.sort_initial();
    editor
}

fn steps(rules: &[RelabelRule], mut labels: LabelEditor) -> Result<Vec<RelabelStep>, RelabelError> {
    Steps::new(rules, &mut labels).collect()
}

/// Returns a rule of a recording. `None` if its YAML is invalid before the rule is looked at.
fn recorded_rule(keys: &Value, scheme: NameValidationScheme) -> Option<Recorded> {
    let keys = keys.as_object()?;
    let text = |key: &str| keys.get(key).and_then(Value::as_str).map(str::to_owned);
    let source_labels = match keys.get("source_labels") {
        None | Some(Value::Null) => None,
        Some(Value::Array(names)) => {
            Some(names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
        }
        Some(_) => return None,
    };
    let modulus = match keys.get("modulus") {
        None => 0,
        Some(modulus) if modulus.as_i64().is_some_and(|m| m < 0) => return None,
        Some(modulus) => match modulus.as_u64() {
            Some(modulus) => modulus,
            // Go's conversion of a float that is too large.
            None if modulus.as_f64().unwrap() >= 2_f64.powi(64) => 1 << 63,
            None => modulus.as_f64().unwrap() as u64,
        },
    };
    if keys.contains_key("unknown") || keys.get("action").is_some_and(Value::is_null) {
        return None;
    }
    let action = match text("action").map(|name| name.parse::<RelabelAction>()) {
        None => RelabelAction::Replace,
        Some(Ok(action)) => action,
        Some(Err(error)) => return Some(Err(RelabelRuleError::from(error))),
    };
    let config = RelabelRuleConfig {
        source_labels,
        separator: text("separator"),
        regex: text("regex"),
        modulus,
        target_label: text("target_label").unwrap_or_default(),
        replacement: text("replacement"),
        action,
    };
    Some(RelabelRule::new(config, scheme))
}

type Recorded = Result<RelabelRule, RelabelRuleError>;

fn scheme(table: &Value) -> NameValidationScheme {
    match table["scheme"].as_str() {
        Some("legacy") => NameValidationScheme::Legacy,
        _ => NameValidationScheme::Utf8,
    }
}

fn recordings() -> Value {
    let packed = include_bytes!("../../../tests/golden/relabel/cases.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn labels_of(value: &Value) -> Vec<(String, String)> {
    let labels: BTreeMap<String, String> = serde_json::from_value(value.clone()).unwrap();
    labels.into_iter().collect()
}

fn step_of(output: &Value) -> RelabelStep {
    match output.as_str() {
        Some("dropped") => RelabelStep { verdict: Verdict::Drop, labels: Vec::new() },
        _ => RelabelStep { verdict: Verdict::Keep, labels: labels_of(output) },
    }
}

#[test]
fn recorded_cases_have_equal_results() {
    let recordings = recordings();
    let (mut tables, mut cases, mut without_name) = (0, 0, 0);
    for table in recordings["tables"].as_array().unwrap() {
        tables += 1;
        let scheme = scheme(table);
        let rules = table["rules"].as_array().unwrap().iter();
        let rules: Vec<RelabelRule> =
            rules.map(|rule| recorded_rule(rule, scheme).unwrap().unwrap()).collect();
        for case in table["cases"].as_array().unwrap() {
            cases += 1;
            let input = labels_of(&case["input"]);
            let input = || editor(input.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let mut labels = input();
            if !case["output"][""].is_null() {
                without_name += 1;
                let label = "a".to_owned();
                let error = RelabelError::EmptyLabelName { rule: 1, label };
                assert_eq!(apply(&rules, &mut labels), Err(error));
                continue;
            }
            let expected = step_of(&case["output"]);
            let verdict = apply(&rules, &mut labels).unwrap();
            assert_eq!(verdict, expected.verdict, "{table}");
            if verdict == Verdict::Keep {
                assert_eq!(labels.sorted(), expected.labels, "{table}");
            }
            let expected: Vec<RelabelStep> = match case["steps"].as_array() {
                Some(steps) => steps.iter().map(step_of).collect(),
                None => vec![expected],
            };
            assert_eq!(steps(&rules, input()), Ok(expected), "{table}");
        }
    }
    assert_eq!((tables, cases, without_name), (257, 745, 1));
}

#[test]
fn recorded_bad_rules_are_refused() {
    let recordings = recordings();
    let (mut refused, mut messages) = (0, 0);
    for case in recordings["refused"].as_array().unwrap() {
        let scheme = scheme(case);
        let rules = case["rules"].as_array().unwrap().iter();
        let Some(rules) =
            rules.map(|rule| recorded_rule(rule, scheme)).collect::<Option<Vec<Recorded>>>()
        else {
            continue;
        };
        refused += 1;
        let error = rules.into_iter().find_map(Result::err);
        let error = error.unwrap_or_else(|| panic!("accepted: {case}"));
        let message = case["message"].as_str().unwrap();
        messages += usize::from(error.to_string() == message);
        let is_regex = matches!(error, RelabelRuleError::Regex { .. });
        assert_eq!(is_regex, message.starts_with("error parsing regexp: "), "{case}: {error}");
    }
    // The others are mistakes of YAML: unknown keys, wrong types, an action or rule that is null.
    assert_eq!((refused, messages), (66, 21));
}

#[test]
fn expanded_groups_agree_with_go() {
    let packed = include_bytes!("../../../tests/golden/regex/groups.jsonl.gz");
    let mut table = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut table).unwrap();
    let (mut rows, mut mismatches) = (0, Vec::new());
    for line in table.lines() {
        rows += 1;
        let row: Value = serde_json::from_str(line).unwrap();
        let rule =
            replace(row["pattern"].as_str().unwrap(), "b", row["template"].as_str().unwrap());
        let inputs = row["inputs"].as_array().unwrap();
        for (input, expanded) in inputs.iter().zip(row["expanded"].as_array().unwrap()) {
            let mut labels = editor([("a", input.as_str().unwrap()), ("b", "before")]);
            assert_eq!(apply(std::slice::from_ref(&rule), &mut labels), Ok(Verdict::Keep));
            let expected = expanded.as_str().unwrap_or("before");
            if labels.get("b") != expected {
                mismatches.push(format!("{line}: {input}: {:?}", labels.get("b")));
            }
        }
    }
    assert_eq!(rows, 1000);
    assert!(mismatches.is_empty(), "{}:\n{}", mismatches.len(), mismatches.join("\n"));
}

#[test]
fn later_name_wins_and_new_names_are_not_mapped() {
    let map = |regex: &str| {
        rule(RelabelRuleConfig {
            regex: Some(regex.to_owned()),
            replacement: Some("x".to_owned()),
            action: RelabelAction::LabelMap,
            ..RelabelRuleConfig::default()
        })
        .unwrap()
    };
    let mut labels = editor([("b", "2"), ("a", "1"), ("c", "3")]);
    // A changed label counts as later than all others.
    labels.set("a", "4");
    assert_eq!(apply(&[map("[a-x]")], &mut labels), Ok(Verdict::Keep));
    assert_eq!(labels.get("x"), "4");
    let mut labels = editor([("b", "2"), ("a", "1"), ("c", "3")]);
    assert_eq!(apply(&[map("[a-x]")], &mut labels), Ok(Verdict::Keep));
    assert_eq!(labels.get("x"), "3");
}

#[test]
fn growth_is_limited() {
    let double = replace("(.*)", "a", "$1$1");
    let mut labels = editor([("a", "0123456789abcdef")]);
    // The text is 17 + 33 + 65 + … bytes.
    let error = RelabelError::TooLarge { rule: 20 };
    assert_eq!(apply(&vec![double; 40], &mut labels), Err(error));
    let message = "label set exceeds 8192 labels or 33554432 bytes in rule 20";
    assert_eq!(RelabelError::TooLarge { rule: 20 }.to_string(), message);
}

#[test]
fn excessive_expressions_and_groups_are_refused() {
    let config = |regex: String, replacement: String| RelabelRuleConfig {
        regex: Some(regex),
        replacement: Some(replacement),
        target_label: "x".to_owned(),
        ..RelabelRuleConfig::default()
    };
    for pattern in [r"(\pL{1000}.{1000})".to_owned(), "(.{1,100}a){10}".repeat(100)] {
        let error = rule(config(pattern, "$1$100".to_owned())).unwrap_err();
        assert!(error.to_string().contains("regular expression too large"), "{error:.200}");
        assert_eq!(error.key(), "regex");
    }
    // Groups that are not read cost nothing.
    let groups = "(.{40})".repeat(200);
    let all: String = (1..=200).map(|group| format!("${{{group}}}")).collect();
    assert!(rule(config(groups.clone(), "$1$200".to_owned())).is_ok());
    let error = rule(config(groups, all)).unwrap_err();
    assert!(error.to_string().ends_with("more than 333874 bytes when compiled"), "{error:.200}");
    let many: String = (1..=257).map(|group| format!("${{{group}}}")).collect();
    let error = rule(config("(a)".repeat(300), many)).unwrap_err();
    let limit = RelabelRuleError::TooManyGroups { key: "replacement", limit: 256 };
    assert_eq!(error, limit);
    assert_eq!(error.to_string(), "'replacement' reads more than 256 groups of 'regex'");
}

fn any_rule() -> impl Strategy<Value = RelabelRuleConfig> {
    let text = "[ab$1{}(.*)+|;A-C:_é-]{0,6}";
    let keys = (
        proptest::option::of(proptest::collection::vec("[a-d]", 0..4)),
        proptest::option::of(text),
        proptest::option::of(text),
        0..3_u64,
        text,
        proptest::option::of(text),
        0..RelabelAction::ALL.len(),
    );
    keys.prop_map(
        |(source_labels, separator, regex, modulus, target_label, replacement, action)| {
            RelabelRuleConfig {
                source_labels,
                separator,
                regex,
                modulus,
                target_label,
                replacement,
                action: RelabelAction::ALL[action],
            }
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_rules_neither_panic_nor_disagree(
        configs in proptest::collection::vec(any_rule(), 1..6),
        labels in proptest::collection::btree_map("[a-d_]{1,2}", "[a-c:.é]{1,4}", 0..5),
    ) {
        for scheme in [NameValidationScheme::Legacy, NameValidationScheme::Utf8] {
            let rules: Vec<RelabelRule> = configs
                .iter()
                .filter_map(|config| RelabelRule::new(config.clone(), scheme).ok())
                .collect();
            let input = || editor(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let mut applied = input();
            let verdict = apply(&rules, &mut applied);
            let last = steps(&rules, input()).map(|steps| steps.last().cloned());
            match last {
                Err(error) => prop_assert_eq!(verdict, Err(error)),
                Ok(None) => prop_assert_eq!(verdict, Ok(Verdict::Keep)),
                Ok(Some(step)) => {
                    prop_assert_eq!(verdict, Ok(step.verdict));
                    if step.verdict == Verdict::Keep {
                        prop_assert_eq!(applied.sorted(), step.labels);
                    }
                }
            }
        }
    }

    /// Templates of static text need no expression with groups.
    #[test]
    fn group_in_literal_text_is_the_middle(
        before in "[a.é]{0,3}", value in "(?s).{0,6}", after in "[b+]{0,3}",
    ) {
        let escaped = |text: &str| text.replace('.', r"\.").replace('+', r"\+");
        let pattern = format!("{}(.*){}", escaped(&before), escaped(&after));
        let mut labels = editor([("a", format!("{before}{value}{after}").as_str())]);
        apply(&[replace(&pattern, "x", "$1")], &mut labels).unwrap();
        prop_assert_eq!(labels.get("x"), value);
    }
}

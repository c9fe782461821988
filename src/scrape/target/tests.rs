//! Tests of targets against recordings of Prometheus 3.14 and tables.

use super::defaults::TargetDefaults;
use super::discovered::discovered_labels;
use super::error::TargetError;
use super::resolve::{Target, TargetOutcome, resolve};
use super::series_labels::{add_target_labels, report_labels};
use crate::model::label_editor::LabelEditor;
use crate::model::label_name::NameValidationScheme;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::relabel::action::RelabelAction;
use crate::model::relabel::rule::{RelabelRule, RelabelRuleConfig};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Duration;

type LabelMap = BTreeMap<String, String>;

fn map(pairs: &[(&str, &str)]) -> LabelMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn defaults() -> TargetDefaults {
    TargetDefaults {
        job: "node".to_owned(),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        metrics_path: "/metrics".to_owned(),
        scheme: "http".to_owned(),
        params: BTreeMap::new(),
        scrape_native_histograms: false,
        convert_classic_histograms: false,
        always_scrape_classic_histograms: false,
        relabel_rules: Vec::new(),
    }
}

fn active(defaults: &TargetDefaults, target: &LabelMap) -> Target {
    match resolve(defaults, &LabelMap::new(), target, &mut LabelEditor::new()) {
        Ok(TargetOutcome::Active(target)) => *target,
        other => panic!("{target:?}: {other:?}"),
    }
}

fn failure(target: &[(&str, &str)]) -> TargetError {
    resolve(&defaults(), &LabelMap::new(), &map(target), &mut LabelEditor::new()).unwrap_err()
}

fn rule_of(keys: &Value) -> RelabelRule {
    let text = |key: &str| keys[key].as_str().map(str::to_owned);
    let source_labels = keys["source_labels"].as_array().map(|names| {
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    let config = RelabelRuleConfig {
        source_labels,
        separator: text("separator"),
        regex: text("regex"),
        modulus: keys["modulus"].as_u64().unwrap_or(0),
        target_label: text("target_label").unwrap_or_default(),
        replacement: text("replacement"),
        action: text("action").map_or(RelabelAction::Replace, |name| name.parse().unwrap()),
    };
    RelabelRule::new(config, NameValidationScheme::Utf8).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Returns the settings of a recorded job.
fn job_of(case: &Value) -> TargetDefaults {
    let config = &case["config"];
    let text = |key: &str| config[key].as_str().map(str::to_owned);
    let switch = |key: &str| config[key].as_bool().unwrap_or(false);
    let duration = |key: &str| match config[key].as_str() {
        Some(duration) => crate::config::units::parse_duration(duration).unwrap(),
        None => Duration::from_secs(2),
    };
    let params = config["params"].as_object().into_iter().flatten();
    TargetDefaults {
        job: text("job_name").unwrap(),
        interval: duration("scrape_interval"),
        timeout: duration("scrape_timeout").min(duration("scrape_interval")),
        metrics_path: text("metrics_path").unwrap_or_else(|| "/metrics".to_owned()),
        scheme: text("scheme").unwrap_or_else(|| "http".to_owned()),
        params: params.map(|(name, values)| (name.clone(), strings(values))).collect(),
        scrape_native_histograms: switch("scrape_native_histograms") || case["group"] == "native",
        convert_classic_histograms: switch("convert_classic_histograms_to_nhcb"),
        always_scrape_classic_histograms: switch("always_scrape_classic_histograms"),
        relabel_rules: config["relabel_configs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(rule_of)
            .collect(),
    }
}

/// Returns the labels of each static target of a job with those of its group.
fn static_targets(config: &Value) -> Vec<(LabelMap, LabelMap)> {
    let groups = config["static_configs"].as_array().unwrap().iter();
    let targets = groups.flat_map(|group| {
        let labels: LabelMap = match &group["labels"] {
            Value::Null => LabelMap::new(),
            labels => serde_json::from_value(labels.clone()).unwrap(),
        };
        strings(&group["targets"])
            .into_iter()
            .map(move |address| (labels.clone(), map(&[("__address__", &address)])))
    });
    targets.collect()
}

#[test]
fn recorded_jobs_have_equal_targets() {
    let packed = include_bytes!("../../../tests/golden/scrape-behaviour/cases.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    let recordings: Value = serde_json::from_str(&text).unwrap();
    let (mut cases, mut urls, mut dropped, mut failed) = (0, 0, 0, 0);
    for case in recordings["cases"].as_array().unwrap() {
        cases += 1;
        let job = job_of(case);
        let (mut found, mut reports) = (BTreeSet::new(), BTreeSet::new());
        let mut found_dropped = Vec::new();
        for (group, target) in static_targets(&case["config"]) {
            let mut labels = LabelEditor::new();
            match resolve(&job, &group, &target, &mut labels) {
                Ok(TargetOutcome::Active(target)) => {
                    found.insert(target.url);
                    report_labels(&mut labels, "up", &target.series_labels);
                    reports.insert(labels.build().unwrap().to_string());
                }
                Ok(TargetOutcome::Dropped { discovered }) => {
                    found_dropped.push(discovered.iter().cloned().collect::<LabelMap>());
                }
                Err(error) => {
                    failed += 1;
                    let log = case["log"].as_array().unwrap();
                    let gist = match &error {
                        TargetError::InvalidDuration { value, .. } => format!("{value:?}"),
                        TargetError::InvalidBoolean { value, .. } => format!("{value:?}"),
                        TargetError::ZeroDuration { .. } => "cannot be 0".to_owned(),
                        error => error.to_string(),
                    };
                    let is_logged = log.iter().any(|line| {
                        let line = line.as_str().unwrap().replace('\\', "");
                        line.contains("Creating target failed") && line.contains(&gist)
                    });
                    assert!(is_logged, "{error}: {log:?}");
                }
            }
        }
        let recorded = case["targets"].as_object().unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), recorded.keys().collect::<Vec<_>>());
        urls += found.len();
        let series = case["series"].as_array().into_iter().flatten();
        let ups = series.map(|series| &series["labels"]).filter(|labels| {
            labels["__name__"] == "up" && (case["case"] != "exposes-up" || labels["x"].is_null())
        });
        let ups: BTreeSet<String> = ups
            .map(|labels| {
                let labels: LabelMap = serde_json::from_value(labels.clone()).unwrap();
                let mut up: LabelsBuilder<'_> =
                    labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                up.build().unwrap().to_string()
            })
            .collect();
        if !ups.is_empty() {
            assert!(reports.is_subset(&ups), "{}: {reports:?} {ups:?}", case["case"]);
        }
        let recorded = case["droppedTargets"].as_array().into_iter().flatten();
        for recorded in recorded {
            dropped += 1;
            let labels: LabelMap =
                serde_json::from_value(recorded["discoveredLabels"].clone()).unwrap();
            assert!(found_dropped.contains(&labels), "{labels:?} {found_dropped:?}");
        }
    }
    assert_eq!((cases, urls, dropped, failed), (364, 366, 3, 9));
}

#[test]
fn defaults_fill_absent_and_empty_labels() {
    let mut job = defaults();
    job.params = BTreeMap::from([
        ("a".to_owned(), vec!["1".to_owned(), "2".to_owned()]),
        ("b".to_owned(), Vec::new()),
        ("c".to_owned(), vec!["3".to_owned()]),
    ]);
    let group = map(&[("job", "group"), ("x", "group"), ("y", "group"), ("z", "")]);
    let target = map(&[("__address__", "h"), ("x", "own"), ("y", ""), ("__scheme__", "")]);
    let target: LabelMap = target.into_iter().chain(map(&[("__param_c", "own")])).collect();
    let mut labels = LabelEditor::new();
    labels.push("left", "over");
    discovered_labels(&job, &group, &target, &mut labels);
    let expected = map(&[
        ("__address__", "h"),
        ("__always_scrape_classic_histograms__", "false"),
        ("__convert_classic_histograms_to_nhcb__", "false"),
        ("__metrics_path__", "/metrics"),
        ("__param_a", "1"),
        ("__param_c", "own"),
        ("__scheme__", "http"),
        ("__scrape_interval__", "1m"),
        ("__scrape_native_histograms__", "false"),
        ("__scrape_timeout__", "10s"),
        ("job", "group"),
        ("x", "own"),
    ]);
    assert_eq!(labels.sorted(), expected.into_iter().collect::<Vec<_>>());
}

#[test]
fn labels_override_the_job() {
    let target = active(
        &defaults(),
        &map(&[
            ("__address__", "h:1"),
            ("__scheme__", "https"),
            ("__metrics_path__", "/x"),
            ("__param_m", "v w"),
            ("__scrape_interval__", "1h30m"),
            ("__scrape_timeout__", "500ms"),
            ("__unix_socket__", "/run/a.sock"),
            ("__scrape_native_histograms__", "T"),
            ("__convert_classic_histograms_to_nhcb__", "1"),
            ("__always_scrape_classic_histograms__", "TRUE"),
            ("__meta_zone", "gone"),
            ("__tmp", "kept"),
            ("zone", "z"),
        ]),
    );
    assert_eq!(target.url, "https://h:1/x?m=v+w");
    assert_eq!(target.unix_socket.as_deref(), Some("/run/a.sock"));
    assert_eq!((target.interval.as_secs(), target.timeout.as_millis()), (5400, 500));
    assert!(target.scrape_native_histograms && target.convert_classic_histograms);
    assert!(target.always_scrape_classic_histograms);
    assert_eq!(target.series_labels.to_string(), r#"{instance="h:1", job="node", zone="z"}"#);
    assert_eq!(
        (target.labels.get("__meta_zone"), target.labels.get("__tmp")),
        (None, Some("kept"))
    );
    assert!(target.discovered.contains(&("__meta_zone".to_owned(), "gone".to_owned())));
}

#[test]
fn bad_labels_are_errors_of_the_target() {
    for (labels, message) in [
        (vec![], "no address"),
        (vec![("__address__", "http://h")], r#""http://h" is not a valid hostname"#),
        (
            vec![("__scrape_interval__", "soon")],
            r#"cannot parse __scrape_interval__: not a valid duration string: "soon""#,
        ),
        (vec![("__scrape_interval__", "0")], "__scrape_interval__ cannot be 0"),
        (vec![("__scrape_timeout__", "0s")], "__scrape_timeout__ cannot be 0"),
        (
            vec![("__scrape_timeout__", "61s")],
            r#"scrape timeout cannot be greater than scrape interval ("61s" > "1m")"#,
        ),
        (
            vec![("__scrape_native_histograms__", "yes")],
            r#"cannot parse __scrape_native_histograms__: invalid boolean "yes""#,
        ),
    ] {
        let mut labels = labels;
        if message != "no address" && labels[0].0 != "__address__" {
            labels.push(("__address__", "h"));
        }
        assert_eq!(failure(&labels).to_string(), message);
    }
}

#[test]
fn urls_are_printed_as_by_go() {
    for (scheme, address, path, params, url) in [
        ("http", "a:9", "/metrics", vec![], "http://a:9/metrics"),
        (
            "https",
            "[::1]:9",
            "metrics",
            vec![("b", "2"), ("b", "x y"), ("a", "é&=~*"), ("a", "+")],
            "https://[::1]:9/metrics?a=%C3%A9%26%3D~%2A&a=%2B&b=2&b=x+y",
        ),
        (
            "http",
            "a b%é<>\"",
            "/x?y#z%20-é!'()*:;=@,$&+~",
            vec![("", "")],
            "http://a%20b%25%C3%A9<>\"/x%3Fy%23z%2520-%C3%A9%21%27%28%29%2A:;=@,$&+~?=",
        ),
        ("http", "a:9", "*", vec![], "http://a:9/*"),
        ("http", "a?b@c\\", "/*", vec![], "http://a%3Fb%40c%5C/%2A"),
    ] {
        let mut job = defaults();
        job.scheme = scheme.to_owned();
        job.metrics_path = path.to_owned();
        for (name, value) in params {
            job.params.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        assert_eq!(active(&job, &map(&[("__address__", address)])).url, url);
    }
}

#[test]
fn label_replaces_the_first_value_of_a_parameter() {
    let mut job = defaults();
    job.params = BTreeMap::from([("a".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
    let own = map(&[("__address__", "h"), ("__param_a", "3"), ("__param_b", "4")]);
    assert_eq!(active(&job, &own).url, "http://h/metrics?a=3&a=2&b=4");
    job.relabel_rules = vec![rule_of(&serde_json::json!(
        {"regex": "__param_a|__scheme__", "action": "labeldrop"}
    ))];
    // A dropped label does not take the parameter of the job away.
    assert_eq!(active(&job, &map(&[("__address__", "h")])).url, "//h/metrics?a=1&a=2");
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

#[test]
fn exposed_labels_meet_those_of_the_target() {
    let target = labels(&[("instance", "h:1"), ("job", "node")]);
    for (exposed, honored, renamed) in [
        (
            vec![("__name__", "a")],
            r#"{__name__="a", instance="h:1", job="node"}"#,
            r#"{__name__="a", instance="h:1", job="node"}"#,
        ),
        (
            vec![("__name__", "a"), ("job", "x")],
            r#"{__name__="a", instance="h:1", job="x"}"#,
            r#"{__name__="a", exported_job="x", instance="h:1", job="node"}"#,
        ),
        (
            vec![("__name__", "a"), ("job", "")],
            r#"{__name__="a", instance="h:1"}"#,
            r#"{__name__="a", instance="h:1", job="node"}"#,
        ),
        (
            vec![("exported_job", "y"), ("exported_exported_job", "z"), ("job", "x")],
            r#"{exported_exported_job="z", exported_job="y", instance="h:1", job="x"}"#,
            "{exported_exported_exported_job=\"x\", exported_exported_job=\"z\", \
             exported_job=\"y\", instance=\"h:1\", job=\"node\"}",
        ),
    ] {
        for (honor_labels, expected) in [(true, honored), (false, renamed)] {
            let mut editor = LabelEditor::new();
            exposed.iter().for_each(|(name, value)| editor.push(name, value));
            editor.sort_initial();
            add_target_labels(&mut editor, &target, honor_labels);
            assert_eq!(editor.build().unwrap().to_string(), expected);
        }
    }
}

#[test]
fn shortest_conflicting_name_is_renamed_first() {
    let target = labels(&[("exported_job", "t1"), ("job", "t2")]);
    let mut editor = LabelEditor::new();
    editor.push("exported_job", "e1");
    editor.push("job", "e2");
    add_target_labels(&mut editor, &target, false);
    let expected = "{exported_exported_exported_job=\"e1\", exported_exported_job=\"e2\", \
                    exported_job=\"t1\", job=\"t2\"}";
    assert_eq!(editor.build().unwrap().to_string(), expected);
    report_labels(&mut editor, "up", &target);
    assert_eq!(editor.build().unwrap().to_string(), r#"{__name__="up", job="t2"}"#);
}

proptest! {
    #[test]
    fn merged_series_keep_every_value(
        exposed in proptest::collection::btree_map("(exported_){0,2}[ab]", "[x-z]", 0..6),
        own in proptest::collection::btree_map("(exported_){0,1}[ab]", "[t-v]", 1..4),
    ) {
        let target = own.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let target = target.collect::<LabelsBuilder<'_>>().build().unwrap();
        for honor_labels in [false, true] {
            let mut editor = LabelEditor::new();
            exposed.iter().for_each(|(name, value)| editor.push(name, value));
            editor.sort_initial();
            add_target_labels(&mut editor, &target, honor_labels);
            let merged: LabelMap = editor.sorted().into_iter().collect();
            let winner = if honor_labels { &exposed } else { &own };
            for (name, value) in winner {
                prop_assert_eq!(merged.get(name), Some(value));
            }
            let mut values: Vec<&String> = merged.values().collect();
            let mut expected: Vec<&String> = exposed.values().collect();
            if honor_labels {
                expected.extend(own.iter().filter(|(n, _)| !exposed.contains_key(*n)).map(|e| e.1));
            } else {
                expected.extend(own.values());
            }
            values.sort();
            expected.sort();
            prop_assert_eq!(values, expected);
        }
    }

    #[test]
    fn arbitrary_labels_neither_panic_nor_leak_internal_labels(
        target in proptest::collection::btree_map(
            "(__)?(address|scheme|metrics_path|scrape_interval|param_a|meta_b|[a-c])(__)?",
            "[a-z0-9:/é ]{0,6}", 0..8,
        ),
    ) {
        let mut editor = LabelEditor::new();
        let outcome = resolve(&defaults(), &LabelMap::new(), &target, &mut editor);
        if let Ok(TargetOutcome::Active(target)) = outcome {
            prop_assert!(target.series_labels.iter().all(|(name, _)| !name.starts_with("__")));
            prop_assert!(target.series_labels.get("instance").is_some());
            prop_assert!(target.timeout <= target.interval);
            // The scheme is not escaped.
            prop_assert!(target.url.split_once("//").unwrap().1.is_ascii());
        }
    }
}

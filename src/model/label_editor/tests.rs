//! Tests of the editor against a plain map, and of its order and limits.

use super::{EditLabelsError, LabelEditor, MAX_LABELS, MAX_TEXT};
use crate::model::labels::BuildLabelsError;
use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeMap;

fn editor(labels: &[(&str, &str)]) -> LabelEditor {
    let mut editor = LabelEditor::new();
    for (name, value) in labels {
        editor.push(name, value);
    }
    editor.sort_initial();
    editor
}

fn listed(editor: &LabelEditor) -> Vec<(&str, &str)> {
    editor.iter().collect()
}

#[test]
fn changed_labels_follow_initial_ones() {
    let mut labels = editor(&[("c", "3"), ("a", "1"), ("b", "2")]);
    assert_eq!(listed(&labels), [("a", "1"), ("b", "2"), ("c", "3")]);
    labels.set("z", "26");
    labels.set("a", "1");
    assert_eq!(listed(&labels), [("b", "2"), ("c", "3"), ("z", "26"), ("a", "1")]);
    labels.set("z", "0");
    assert_eq!(listed(&labels), [("b", "2"), ("c", "3"), ("z", "0"), ("a", "1")]);
    labels.remove("z");
    labels.set("z", "9");
    labels.set("b", "");
    assert_eq!(listed(&labels), [("c", "3"), ("a", "1"), ("z", "9")]);
    assert_eq!(labels.build().unwrap().to_string(), r#"{a="1", c="3", z="9"}"#);
}

#[test]
fn empty_initial_value_is_only_had() {
    let mut labels = editor(&[("a", ""), ("b", "2")]);
    assert!(labels.has("a") && labels.get("a").is_empty() && !labels.has("c"));
    assert_eq!((listed(&labels), labels.len()), (vec![("b", "2")], 1));
    assert_eq!(labels.build().unwrap().to_string(), r#"{b="2"}"#);
    labels.remove("b");
    assert!(labels.is_empty());
    assert_eq!(labels.build(), Err(EditLabelsError::Build(BuildLabelsError::Empty)));
    labels.set("a", "1");
    assert_eq!(labels.sorted(), [("a".to_owned(), "1".to_owned())]);
}

#[test]
fn duplicate_and_empty_names_are_found() {
    let labels = editor(&[("b", "1"), ("a", "2"), ("b", "")]);
    assert_eq!(labels.duplicate_name(), Some("b"));
    assert_eq!(editor(&[("b", "1"), ("a", "1")]).duplicate_name(), None);
    let duplicate = BuildLabelsError::DuplicateName { name: "a".into() };
    let labels = editor(&[("a", "1"), ("a", "1")]);
    assert_eq!(labels.build(), Err(EditLabelsError::Build(duplicate)));
    let labels = editor(&[("", "1"), ("a", "1")]);
    assert_eq!(labels.build(), Err(EditLabelsError::Build(BuildLabelsError::EmptyName)));
}

#[test]
fn limits_stop_growth_until_cleared() {
    let mut labels = LabelEditor::new();
    for i in 0..=MAX_LABELS {
        labels.push(&i.to_string(), "x");
    }
    assert!(labels.is_too_large());
    assert_eq!(labels.len(), MAX_LABELS);
    assert_eq!(labels.build(), Err(EditLabelsError::TooLarge));
    labels.clear();
    assert!(labels.is_empty() && !labels.is_too_large());
    labels.push("a", &"x".repeat(MAX_TEXT - 1));
    assert!(!labels.is_too_large());
    labels.set("a", "y");
    assert!(labels.is_too_large());
    let limit = format!("label set exceeds {MAX_LABELS} labels or {MAX_TEXT} bytes");
    assert_eq!(labels.build().unwrap_err().to_string(), limit);
}

#[derive(Debug, Clone)]
enum Change {
    Set(String, String),
    Remove(String),
    KeepNamesBelow(String),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        ("[a-dé]", "[xyß]{0,2}").prop_map(|(name, value)| Change::Set(name, value)),
        "[a-dé]".prop_map(Change::Remove),
        "[c-f]".prop_map(Change::KeepNamesBelow),
    ]
}

proptest! {
    #[test]
    fn editor_equals_a_map(
        initial in proptest::collection::btree_map("[a-dé]", "[xyß]{1,2}", 0..5),
        changes in proptest::collection::vec(change(), 0..12),
    ) {
        let mut labels = LabelEditor::new();
        labels.push("left over", "from before");
        labels.clear();
        let mut map: BTreeMap<String, String> = initial.clone();
        for (name, value) in initial.iter().rev() {
            labels.push(name, value);
        }
        labels.sort_initial();
        for change in changes {
            match change {
                Change::Set(name, value) => {
                    labels.set(&name, &value);
                    map.insert(name, value);
                }
                Change::Remove(name) => {
                    labels.remove(&name);
                    map.remove(&name);
                }
                Change::KeepNamesBelow(bound) => {
                    labels.retain_names(|name| name < bound.as_str());
                    map.retain(|name, _| *name < bound);
                }
            }
            map.retain(|_, value| !value.is_empty());
            prop_assert_eq!(labels.sorted(), map.clone().into_iter().collect::<Vec<_>>());
            for name in ["a", "b", "c", "d", "é"] {
                let expected = map.get(name).map_or("", String::as_str);
                prop_assert_eq!(labels.get(name), expected);
            }
        }
        let built = labels.build();
        prop_assert_eq!(built.is_ok(), !map.is_empty());
        if let Ok(built) = built {
            let pairs: Vec<_> = map.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            prop_assert_eq!(built.iter().collect::<Vec<_>>(), pairs);
        }
    }
}

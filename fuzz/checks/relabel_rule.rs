//! Relabeling rules: an arbitrary rule is rejected, or its result follows from the expression.
//!
//! The input is expression, replacement, target label and value, separated by zero bytes. A rule
//! is applied as `replace`, `labelmap`, `keep` and `drop`, which must agree on what matches. For
//! simple expressions and templates, the replacement is compared with the `regex` crate.

use narthex::model::label_editor::LabelEditor;
use narthex::model::label_name::NameValidationScheme;
use narthex::model::relabel::action::RelabelAction;
use narthex::model::relabel::rule::{RelabelRule, RelabelRuleConfig};
use narthex::model::relabel::{Verdict, apply};

/// Panics if actions contradict each other or the `regex` crate.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(4, '\0');
    let mut part = || parts.next().unwrap_or_default();
    let (regex, replacement, target, value) = (part(), part(), part(), part());
    let rule = |action, scheme| {
        let is_used = action == RelabelAction::Replace || action == RelabelAction::LabelMap;
        let config = RelabelRuleConfig {
            source_labels: Some(vec!["source".to_owned()]),
            regex: Some(regex.to_owned()),
            target_label: target.to_owned(),
            replacement: is_used.then(|| replacement.to_owned()),
            action,
            ..RelabelRuleConfig::default()
        };
        RelabelRule::new(config, scheme)
    };
    let utf8 = NameValidationScheme::Utf8;
    let (Ok(keep), Ok(drop)) = (rule(RelabelAction::Keep, utf8), rule(RelabelAction::Drop, utf8))
    else {
        for action in RelabelAction::ALL {
            assert!(rule(action, utf8).is_err(), "{action}");
        }
        return;
    };
    let kept = apply(&[keep], &mut editor(value));
    let matches = kept == Ok(Verdict::Keep);
    assert_eq!(apply(&[drop], &mut editor(value)) == Ok(Verdict::Drop), matches);
    for scheme in [NameValidationScheme::Legacy, utf8] {
        if let Ok(map) = rule(RelabelAction::LabelMap, scheme) {
            let _ = apply(&[map], &mut editor(value));
        }
        let Ok(replace) = rule(RelabelAction::Replace, scheme) else { continue };
        let mut labels = editor(value);
        assert_eq!(apply(&[replace], &mut labels), Ok(Verdict::Keep));
        if !matches {
            assert_eq!(labels.sorted(), editor(value).sorted());
        } else if is_simple(regex) && !target.contains('$') && is_simple_template(replacement) {
            let expected = expand(regex, replacement, value);
            assert_eq!(labels.get(target), expected, "{value:?}");
        }
    }
}

fn editor(value: &str) -> LabelEditor {
    let mut labels = LabelEditor::new();
    labels.push("source", value);
    labels.push("other", "x");
    labels.sort_initial();
    labels
}

/// Returns `true` if RE2 and the `regex` crate have the same semantics for the expression.
fn is_simple(regex: &str) -> bool {
    regex.chars().all(|c| c.is_alphanumeric() || "_-:/,=.|*+()?".contains(c))
        && !regex.contains("(?")
}

/// Returns `true` if Go and the `regex` crate expand the template alike: `$01` is a name in Go.
fn is_simple_template(template: &str) -> bool {
    template.is_ascii() && !template.contains(['0', '{', '}'])
}

fn expand(regex: &str, template: &str, value: &str) -> String {
    let mut expanded = String::new();
    if let Ok(regex) = regex::Regex::new(&format!("^(?s:{regex})$"))
        && let Some(captures) = regex.captures(value)
    {
        captures.expand(template, &mut expanded);
    }
    expanded
}

//! Trace of a body: how each exposed series gets its labels.
//!
//! [`crate::scrape::unit::check`] decides what is stored, at the cost of one look-up per known
//! series. This module repeats its steps for people, one by one.

use crate::exposition::entry::EntryKind;
use crate::exposition::format::Format;
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::open::open_parser;
use crate::model::label_editor::LabelEditor;
use crate::model::labels::{Labels, METRIC_NAME, write_labels};
use crate::model::relabel::action::RelabelAction;
use crate::model::relabel::{RelabelStep, Steps, Verdict};
use crate::scrape::target::label_names::EXPORTED_PREFIX;
use crate::scrape::target::series_labels::add_target_labels;
use crate::scrape::unit::settings::UnitSettings;
use std::fmt;

/// Maximum number of prefixes `exported_` that are looked for.
const MAX_PREFIXES: usize = 8;

/// Change of the labels of an exposed series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelChange {
    /// Series as it is exposed.
    pub exposed: SeriesLabels,
    /// Kind of the change.
    pub kind: ChangeKind,
}

/// Kind of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// The target has the label, too, so the exposed one gets another name.
    Renamed {
        /// Exposed name.
        from: String,
        /// New name.
        to: String,
    },
    /// The exposed label hides the one of the target (`honor_labels`).
    Hidden {
        /// Name of the label.
        name: String,
    },
    /// A rule changes the labels.
    Relabeled {
        /// Rule of `metric_relabel_configs`.
        rule: RuleName,
        /// Effect of the rule.
        difference: LabelDifference,
    },
    /// A rule drops the series.
    Dropped {
        /// Rule of `metric_relabel_configs`.
        rule: RuleName,
    },
}

/// Position and action of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleName {
    /// Position in the list of rules, from 0.
    pub index: usize,
    /// Action of the rule.
    pub action: RelabelAction,
}

/// Labels as they are shown: `name{label="value"}`, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeriesLabels(Vec<(String, String)>);

/// Difference of two label sets as it is shown: `changed="value", -removed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelDifference {
    /// Labels that are new or have another value.
    set: Vec<(String, String)>,
    /// Names of labels that are removed.
    removed: Vec<String>,
}

impl SeriesLabels {
    /// Creates them from pairs of name and value, sorted by name.
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}

impl From<&Labels> for SeriesLabels {
    fn from(labels: &Labels) -> Self {
        Self(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl fmt::Display for SeriesLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_name = |(name, _): &&(String, String)| name == METRIC_NAME;
        let metric = self.0.iter().find(is_name);
        if let Some((_, metric)) = metric {
            f.write_str(metric)?;
        }
        if metric.is_some() && self.0.len() == 1 {
            return Ok(());
        }
        let others = self.0.iter().filter(|pair| !is_name(pair));
        write_labels(f, others.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

impl LabelDifference {
    /// Compares labels before and after a change.
    #[must_use]
    pub fn new(before: &[(String, String)], after: &[(String, String)]) -> Self {
        let set = after.iter().filter(|pair| !before.contains(pair)).cloned().collect();
        let is_gone = |name: &String| after.iter().all(|(left, _)| left != name);
        let removed = before.iter().map(|(name, _)| name).filter(|name| is_gone(name));
        Self { set, removed: removed.cloned().collect() }
    }
}

impl fmt::Display for LabelDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, value) in &self.set {
            write!(f, "{separator}{name}={value:?}")?;
            separator = ", ";
        }
        for name in &self.removed {
            write!(f, "{separator}-{name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] ({})", self.index, self.action)
    }
}

/// Reports the changes of all exposed series, in the order of the body and of their effect. Ends at
/// the first error of the body.
///
/// # Errors
/// The error of `report`.
pub fn trace_labels<E>(
    body: &[u8],
    format: Format,
    settings: &UnitSettings,
    mut report: impl FnMut(LabelChange) -> Result<(), E>,
) -> Result<(), E> {
    let mut parser = open_parser(body, format, settings.parser);
    let (mut labels, mut editor) = (LabelBuffer::new(), LabelEditor::new());
    while let Ok(Some(kind)) = parser.next_entry() {
        if kind == EntryKind::Series {
            parser.labels(&mut labels);
            trace_series(&labels, &mut editor, settings, &mut report)?;
        }
    }
    Ok(())
}

fn trace_series<E>(
    exposed: &LabelBuffer,
    editor: &mut LabelEditor,
    settings: &UnitSettings,
    report: &mut impl FnMut(LabelChange) -> Result<(), E>,
) -> Result<(), E> {
    let mut report = |kind| {
        let pairs = exposed.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        report(LabelChange { exposed: SeriesLabels(pairs.collect()), kind })
    };
    editor.clear();
    for (name, value) in exposed.iter() {
        editor.push(name, value);
    }
    editor.sort_initial();
    add_target_labels(editor, &settings.target_labels, settings.honor_labels);
    for (name, _) in settings.target_labels.iter() {
        let Some(value) = exposed.get(name) else { continue };
        if settings.honor_labels {
            report(ChangeKind::Hidden { name: name.to_owned() })?;
        } else if let Some(to) = new_name(name, value, exposed, editor) {
            report(ChangeKind::Renamed { from: name.to_owned(), to })?;
        }
    }
    let rules = &settings.metric_relabeling;
    let mut before = editor.sorted();
    for (index, (rule, step)) in rules.iter().zip(Steps::new(rules, editor)).enumerate() {
        let rule = RuleName { index, action: rule.action() };
        match step {
            // The check reports the error.
            Err(_) => break,
            Ok(RelabelStep { verdict: Verdict::Drop, .. }) => {
                report(ChangeKind::Dropped { rule })?;
                break;
            }
            Ok(RelabelStep { verdict: Verdict::Keep, labels }) if labels != before => {
                let difference = LabelDifference::new(&before, &labels);
                before = labels;
                report(ChangeKind::Relabeled { rule, difference })?;
            }
            Ok(RelabelStep { verdict: Verdict::Keep, .. }) => {}
        }
    }
    Ok(())
}

/// Returns the new name of an exposed label that the target has, too.
fn new_name(
    name: &str,
    value: &str,
    exposed: &LabelBuffer,
    editor: &LabelEditor,
) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let names = (1..=MAX_PREFIXES).map(|count| EXPORTED_PREFIX.repeat(count) + name);
    let is_free = |name: &String| exposed.get(name).is_none_or(str::is_empty);
    names.filter(is_free).find(|new| editor.get(new) == value)
}

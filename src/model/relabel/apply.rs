//! Execution of rules.

use super::case;
use super::error::RelabelError;
use super::groups::GroupRegex;
use super::rule::{Operation, RelabelRule};
use super::template::Template;
use crate::model::label_editor::LabelEditor;
use crate::model::label_editor::span::Span;
use md5::{Digest, Md5};
use smallvec::SmallVec;

/// Result of applying rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The label set is kept, perhaps changed, perhaps without labels.
    Keep,
    /// A rule drops the label set. Its labels are those before that rule.
    Drop,
}

/// State after one rule of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelabelStep {
    /// Whether this rule or an earlier one drops the label set.
    pub verdict: Verdict,
    /// Labels after the rule, sorted by name; empty if the label set is dropped.
    pub labels: Vec<(String, String)>,
}

/// Applies rules in their order, until one drops the label set.
///
/// # Errors
/// [`RelabelError`] if a label would have no name, or the set becomes too large.
pub fn apply(rules: &[RelabelRule], labels: &mut LabelEditor) -> Result<Verdict, RelabelError> {
    for (index, rule) in rules.iter().enumerate() {
        if apply_rule(rule, index + 1, labels)? == Verdict::Drop {
            return Ok(Verdict::Drop);
        }
    }
    Ok(Verdict::Keep)
}

/// Rules that are applied one by one: the state after each. Rules after a drop are included,
/// although they do not run. An item has the errors of [`apply`]; do not continue after one.
#[derive(Debug)]
pub struct Steps<'a> {
    rules: std::iter::Enumerate<std::slice::Iter<'a, RelabelRule>>,
    labels: &'a mut LabelEditor,
    verdict: Verdict,
}

impl<'a> Steps<'a> {
    /// Applies `rules` to `labels` as far as the steps are taken.
    pub fn new(rules: &'a [RelabelRule], labels: &'a mut LabelEditor) -> Self {
        Self { rules: rules.iter().enumerate(), labels, verdict: Verdict::Keep }
    }
}

impl Iterator for Steps<'_> {
    type Item = Result<RelabelStep, RelabelError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, rule) = self.rules.next()?;
        if self.verdict == Verdict::Keep {
            match apply_rule(rule, index + 1, self.labels) {
                Ok(verdict) => self.verdict = verdict,
                Err(error) => return Some(Err(error)),
            }
        }
        let is_kept = self.verdict == Verdict::Keep;
        let labels = if is_kept { self.labels.sorted() } else { Vec::new() };
        Some(Ok(RelabelStep { verdict: self.verdict, labels }))
    }
}

fn apply_rule(
    rule: &RelabelRule,
    number: usize,
    labels: &mut LabelEditor,
) -> Result<Verdict, RelabelError> {
    let mark = labels.text.mark();
    let verdict = match rule.operation() {
        Operation::Keep(regex) => {
            let source = source(rule, labels);
            keep_if(regex.matches(labels.text.get(source)))
        }
        Operation::Drop(regex) => {
            let source = source(rule, labels);
            keep_if(!regex.matches(labels.text.get(source)))
        }
        Operation::KeepEqual => {
            let source = source(rule, labels);
            keep_if(labels.get(rule.target_label()) == labels.text.get(source))
        }
        Operation::DropEqual => {
            let source = source(rule, labels);
            keep_if(labels.get(rule.target_label()) != labels.text.get(source))
        }
        Operation::LabelDrop(regex) => {
            labels.retain_names(|name| !regex.matches(name));
            Verdict::Keep
        }
        Operation::LabelKeep(regex) => {
            labels.retain_names(|name| regex.matches(name));
            Verdict::Keep
        }
        Operation::LabelMap { regex, replacement } => {
            map_names(regex, replacement, labels)
                .map_err(|label| RelabelError::EmptyLabelName { rule: number, label })?;
            Verdict::Keep
        }
        Operation::Replace { regex, target, replacement } => {
            let source = source(rule, labels);
            match regex.groups(labels.text.get(source)) {
                None => labels.text.truncate(mark),
                Some(groups) => {
                    let value = replacement.expand(labels, source, &groups);
                    let name = target.expand(labels, source, &groups);
                    if rule.scheme().is_valid_label_name(labels.text.get(name)) {
                        labels.set_spans(name, value);
                    }
                }
            }
            Verdict::Keep
        }
        Operation::HashMod => {
            let source = source(rule, labels);
            let remainder = hash(labels.text.get(source)) % rule.modulus().max(1);
            labels.set(rule.target_label(), &remainder.to_string());
            Verdict::Keep
        }
        Operation::Lowercase => set_cased(rule, labels, case::push_lowercase),
        Operation::Uppercase => set_cased(rule, labels, case::push_uppercase),
    };
    if matches!(
        rule.operation(),
        Operation::Keep(_) | Operation::Drop(_) | Operation::KeepEqual | Operation::DropEqual
    ) {
        labels.text.truncate(mark);
    }
    if labels.is_too_large() {
        return Err(RelabelError::TooLarge { rule: number });
    }
    Ok(verdict)
}

fn keep_if(is_kept: bool) -> Verdict {
    if is_kept { Verdict::Keep } else { Verdict::Drop }
}

/// Returns the joined values of the source labels. A single value is not copied.
fn source(rule: &RelabelRule, labels: &mut LabelEditor) -> Span {
    let [first, rest @ ..] = rule.source_labels() else { return Span::default() };
    let first = labels.value_span(first);
    if rest.is_empty() {
        return first;
    }
    let mark = labels.text.mark();
    labels.text.append_span(first);
    for name in rest {
        let value = labels.value_span(name);
        labels.text.append(rule.separator());
        labels.text.append_span(value);
    }
    labels.text.since(mark)
}

fn set_cased(
    rule: &RelabelRule,
    labels: &mut LabelEditor,
    push_cased: fn(&str, &mut String),
) -> Verdict {
    let source = source(rule, labels);
    let mut cased = String::new();
    push_cased(labels.text.get(source), &mut cased);
    labels.set(rule.target_label(), &cased);
    Verdict::Keep
}

/// Copies labels to the names that `replacement` forms of theirs. Labels that are created are not
/// mapped again.
///
/// # Errors
/// The name of a label whose new name would be empty.
fn map_names(
    regex: &GroupRegex,
    replacement: &Template,
    labels: &mut LabelEditor,
) -> Result<(), String> {
    let is_match = |(name, _): &(Span, Span)| regex.matches(labels.text.get(*name));
    let matching: SmallVec<[(Span, Span); 32]> = labels.spans().filter(is_match).collect();
    for (name, value) in matching {
        let Some(groups) = regex.groups(labels.text.get(name)) else { continue };
        let new_name = replacement.expand(labels, name, &groups);
        if new_name.is_empty() {
            return Err(labels.text.get(name).to_owned());
        }
        labels.set_spans(new_name, value);
    }
    Ok(())
}

/// Returns the last eight bytes of the MD5 sum, big-endian.
fn hash(text: &str) -> u64 {
    let sum: [u8; 16] = Md5::digest(text).into();
    sum[8..].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

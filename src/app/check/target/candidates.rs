//! Discovered targets of a job after relabeling, with the effect of each rule.

use crate::discovery::target_group::{ADDRESS_LABEL, LabelSet, TargetGroup};
use crate::model::label_editor::LabelEditor;
use crate::model::relabel::{RelabelStep, Steps, Verdict};
use crate::scrape::pool::job::TargetSpec;
use crate::scrape::target::defaults::TargetDefaults;
use crate::scrape::target::discovered::discovered_labels;
use crate::scrape::target::error::TargetError;
use crate::scrape::target::label_names::INSTANCE;
use crate::scrape::target::resolve::{TargetOutcome, resolve as resolve_target};
use crate::scrape::unit::trace::{LabelDifference, RuleName, SeriesLabels};
use std::sync::Arc;

/// Discovered target.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Value of `__address__` before relabeling.
    address: String,
    /// Labels before relabeling.
    pub(super) discovered: SeriesLabels,
    /// Rules that change labels, and their effect.
    pub(super) steps: Vec<(RuleName, LabelDifference)>,
    pub(super) result: CandidateResult,
}

/// Result of relabeling a target.
#[derive(Debug)]
pub(super) enum CandidateResult {
    Active(Box<TargetSpec>),
    /// The rule drops the target.
    Dropped(Option<RuleName>),
    Invalid(TargetError),
}

impl Candidate {
    fn new(defaults: &TargetDefaults, group: &LabelSet, target: &LabelSet) -> Self {
        let mut labels = LabelEditor::new();
        discovered_labels(defaults, group, target, &mut labels);
        let discovered = labels.sorted();
        let address = labels.get(ADDRESS_LABEL).to_owned();
        let (steps, dropping) = changes(defaults, &mut labels);
        let result = match resolve_target(defaults, group, target, &mut labels) {
            Ok(TargetOutcome::Active(target)) => {
                CandidateResult::Active(Box::new(TargetSpec::new(*target)))
            }
            Ok(TargetOutcome::Dropped { .. }) => CandidateResult::Dropped(dropping),
            Err(error) => CandidateResult::Invalid(error),
        };
        Self { address, discovered: SeriesLabels::new(discovered), steps, result }
    }

    /// Returns `true` if `name` is the address, the URL or the instance of the target.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let is_named =
            |target: &TargetSpec| &*target.url == name || target.labels.get(INSTANCE) == Some(name);
        self.address == name
            || matches!(&self.result, CandidateResult::Active(target) if is_named(target))
    }
}

/// Returns the rules that change `labels`, and the one that drops the target.
fn changes(
    defaults: &TargetDefaults,
    labels: &mut LabelEditor,
) -> (Vec<(RuleName, LabelDifference)>, Option<RuleName>) {
    let mut before = labels.sorted();
    let mut changes = Vec::new();
    let rules = &defaults.relabel_rules;
    for (index, (rule, step)) in rules.iter().zip(Steps::new(rules, labels)).enumerate() {
        let rule = RuleName { index, action: rule.action() };
        match step {
            Ok(RelabelStep { verdict: Verdict::Keep, labels }) => {
                if labels != before {
                    changes.push((rule, LabelDifference::new(&before, &labels)));
                    before = labels;
                }
            }
            Ok(RelabelStep { verdict: Verdict::Drop, .. }) => return (changes, Some(rule)),
            // The result of the target has the error.
            Err(_) => break,
        }
    }
    (changes, None)
}

/// Relabels all targets of the groups.
pub(super) fn resolve(defaults: &TargetDefaults, groups: &[Arc<TargetGroup>]) -> Vec<Candidate> {
    let targets = groups.iter().flat_map(|group| {
        group.targets.iter().map(|target| Candidate::new(defaults, &group.labels, target))
    });
    targets.collect()
}

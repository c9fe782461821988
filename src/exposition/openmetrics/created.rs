//! Start timestamps of series from the `_created` samples of their metric.
//!
//! The `_created` sample of a counter, histogram or summary follows the other samples with the same
//! labels, or stands between them. Prometheus searches it from each sample onwards until the next
//! metadata line, and remembers the latest one that it found. A sample whose next `_created` sample
//! belongs to other labels has no start timestamp. So a `_created` sample before all others of its
//! metric is not used.
//!
//! # Cost
//! The search remembers its result for all offsets that it passed, so every line is parsed at most
//! twice, whatever the order of the body.

use crate::exposition::lex::label_set::{Body, Item, walk};
use crate::exposition::lex::sample::bound_label;
use crate::exposition::lex::scan::{byte_at, slice};
use crate::exposition::number::seconds_to_millis;
use crate::exposition::openmetrics::line::{Line, OpenMetricsLabels, parse_line};
use crate::model::metadata::MetricType;
use std::ops::Range;

/// Family of the latest metadata line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// Type of the latest TYPE line.
    pub(crate) metric_type: MetricType,
    /// Length of the family name, bytes.
    pub(crate) name_length: usize,
}

/// Search for `_created` samples.
#[derive(Debug, Default)]
pub(crate) struct CreatedSamples {
    /// Result of the latest search.
    ahead: Option<Ahead>,
    /// Latest sample whose start timestamp was used.
    used: Option<Line>,
    /// Labels of the two compared series. Reused.
    labels: [Vec<LabelRange>; 2],
}

/// Result of a search.
#[derive(Debug)]
struct Ahead {
    /// Offsets of lines for which the result holds.
    from: usize,
    to: usize,
    /// The next `_created` sample before metadata.
    created: Option<Line>,
}

/// Name and value of a label in the body.
#[derive(Clone, Debug)]
struct LabelRange {
    name: Range<usize>,
    value: Range<usize>,
}

/// Returns `true` for types whose series have a `_created` sample.
pub(crate) fn has_start(metric_type: MetricType) -> bool {
    matches!(metric_type, MetricType::Counter | MetricType::Histogram | MetricType::Summary)
}

impl CreatedSamples {
    /// Returns the start timestamp of a sample, ms; 0 if it is unknown.
    pub(crate) fn start_timestamp(&mut self, body: Body<'_>, family: Family, line: &Line) -> i64 {
        if !has_start(family.metric_type) {
            self.used = None;
            return 0;
        }
        if let Some(used) = self.used.take()
            && self.is_same_metric(body, family, line, &used)
        {
            let millis = start_of(&used);
            self.used = Some(used);
            return millis;
        }
        if !self.ahead.as_ref().is_some_and(|ahead| (ahead.from..=ahead.to).contains(&line.end)) {
            self.ahead = Some(search(body, line.end));
        }
        let Some(created) = self.ahead.as_mut().and_then(|ahead| ahead.created.take()) else {
            return 0;
        };
        let mut millis = 0;
        if self.is_same_metric(body, family, line, &created) {
            millis = start_of(&created);
            self.used = (millis > 0).then(|| created.clone());
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.created = Some(created);
        }
        millis
    }

    /// Returns `true` if both samples have the same family name and, except for bounds, the same
    /// labels in the same order.
    fn is_same_metric(
        &mut self,
        body: Body<'_>,
        family: Family,
        line: &Line,
        created: &Line,
    ) -> bool {
        let name = slice(body.bytes, line.sample.series.name.clone());
        if name.get(..family.name_length) != created.created_family(body) {
            return false;
        }
        let [labels, created_labels] = &mut self.labels;
        collect_labels(body, family, line, labels);
        collect_labels(body, family, created, created_labels);
        let texts = |label: &LabelRange| {
            (slice(body.bytes, label.name.clone()), slice(body.bytes, label.value.clone()))
        };
        labels.iter().map(texts).eq(created_labels.iter().map(texts))
    }
}

fn start_of(created: &Line) -> i64 {
    seconds_to_millis(created.sample.value)
}

/// Searches the next `_created` sample from an offset on. Metadata and malformed lines end the
/// search.
fn search(body: Body<'_>, from: usize) -> Ahead {
    let mut at = from;
    while byte_at(body.bytes, at).is_some_and(|byte| byte != b'#') {
        let Ok(line) = parse_line(body, at) else {
            break;
        };
        if line.is_created(body) {
            return Ahead { from, to: at, created: Some(line) };
        }
        at = line.end;
    }
    Ahead { from, to: at, created: None }
}

/// Replaces `labels` with those of a line, without its bound.
fn collect_labels(body: Body<'_>, family: Family, line: &Line, labels: &mut Vec<LabelRange>) {
    labels.clear();
    let Some(start) = line.sample.series.labels else {
        return;
    };
    let bound = bound_label(family.metric_type).unwrap_or_default().as_bytes();
    let walked = walk::<OpenMetricsLabels>(body, start, |item| {
        if let Item::Label { name, value } = item
            && slice(body.bytes, name.clone()) != bound
        {
            labels.push(LabelRange { name, value });
        }
        Ok(())
    });
    debug_assert!(walked.is_ok(), "the line was validated");
}

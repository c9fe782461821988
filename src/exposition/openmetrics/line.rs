//! Sample lines of OpenMetrics with their exemplars.

use crate::exposition::entry::ExemplarEntry;
use crate::exposition::lex::label_set::{Body, Fault, Item, LabelSyntax, walk};
use crate::exposition::lex::sample::{SampleLine, SeriesText};
use crate::exposition::lex::scan::{Newlines, byte_at, end_of, metric_name, slice};
use crate::exposition::number::{parse_seconds, parse_value};
use crate::exposition::parse_error::TextProblem;
use std::ops::Range;

const EXEMPLAR: &[u8] = b" # {";
const CREATED: &[u8] = b"_created";

/// Sample line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// Sample without its exemplar.
    pub(crate) sample: SampleLine,
    /// Exemplar of the sample.
    exemplar: Option<ExemplarText>,
    /// Offset of the next line.
    pub(crate) end: usize,
}

/// Exemplar of a line.
#[derive(Clone, Debug)]
struct ExemplarText {
    /// Offset after the opening brace.
    labels: usize,
    value: f64,
    /// Timestamp, ms since the Unix epoch.
    timestamp: Option<i64>,
}

/// Label sets of series.
pub(crate) struct OpenMetricsLabels;

impl LabelSyntax for OpenMetricsLabels {
    const BLANKS: bool = false;
    const COMMAS: bool = true;
    const METRIC_NAME: bool = true;
    const NAME_NEWLINES: Newlines = Newlines::Allowed;
    const VALUE_NEWLINES: Newlines = Newlines::Forbidden;
}

/// Label sets of exemplars.
struct ExemplarLabels;

impl LabelSyntax for ExemplarLabels {
    const BLANKS: bool = false;
    const COMMAS: bool = true;
    const METRIC_NAME: bool = false;
    const NAME_NEWLINES: Newlines = Newlines::Forbidden;
    const VALUE_NEWLINES: Newlines = Newlines::Forbidden;
}

impl Line {
    /// Returns `true` if the name ends with `_created`.
    pub(crate) fn is_created(&self, body: Body<'_>) -> bool {
        slice(body.bytes, self.sample.series.name.clone()).ends_with(CREATED)
    }

    /// Returns the name without the suffix `_created`.
    pub(crate) fn created_family<'b>(&self, body: Body<'b>) -> Option<&'b [u8]> {
        slice(body.bytes, self.sample.series.name.clone()).strip_suffix(CREATED)
    }

    /// Replaces `exemplar` with that of the line. Returns `false` if there is none.
    ///
    /// As in Prometheus, escapes in its labels stay.
    pub(crate) fn exemplar(&self, body: Body<'_>, exemplar: &mut ExemplarEntry) -> bool {
        let Some(text) = &self.exemplar else {
            return false;
        };
        exemplar.value = text.value;
        exemplar.timestamp = text.timestamp;
        let labels = &mut exemplar.labels;
        labels.clear();
        let walked = walk::<ExemplarLabels>(body, text.labels, |item| {
            if let Item::Label { name, value } = item {
                labels.push(body.text(name), body.text(value));
            }
            Ok(())
        });
        debug_assert!(walked.is_ok(), "the line was validated");
        labels.sort();
        true
    }
}

/// Parses the sample line at an offset.
pub(crate) fn parse_line(body: Body<'_>, at: usize) -> Result<Line, Fault> {
    let bytes = body.bytes;
    let series = parse_series(body, at)?;
    let value = value_after(body, series.key.end, "metric")?;
    let mut sample = SampleLine { series, value: value.number, timestamp: None };
    let mut end = value.end;
    let mut is_exemplar = starts_exemplar(bytes, end);
    if !is_exemplar && byte_at(bytes, end) == Some(b' ') {
        let timestamp = timestamp_at(body, end)?;
        sample.timestamp = Some(timestamp.number);
        end = timestamp.end;
        is_exemplar = starts_exemplar(bytes, end);
    }
    let mut exemplar = None;
    let mut part = "sample";
    if is_exemplar {
        let labels = end + EXEMPLAR.len();
        let labels_end = walk::<ExemplarLabels>(body, labels, |_| Ok(()))?;
        let value = value_after(body, labels_end, "exemplar labels")?;
        end = value.end;
        let mut timestamp = None;
        if byte_at(bytes, end) == Some(b' ') {
            let parsed = timestamp_at(body, end)?;
            timestamp = Some(parsed.number);
            end = parsed.end;
        }
        exemplar = Some(ExemplarText { labels, value: value.number, timestamp });
        part = "exemplar";
    }
    match byte_at(bytes, end) {
        Some(b'\n') => Ok(Line { sample, exemplar, end: end + 1 }),
        None => Err(Fault::new(TextProblem::MissingEof, end)),
        Some(_) => Err(Fault::new(TextProblem::ExpectedLineEnd { part }, end)),
    }
}

fn parse_series(body: Body<'_>, at: usize) -> Result<SeriesText, Fault> {
    let name_end = metric_name(body.bytes, at);
    if byte_at(body.bytes, name_end) != Some(b'{') {
        if name_end == at {
            return Err(Fault::new(TextProblem::ExpectedLine, at));
        }
        return Ok(SeriesText { key: at..name_end, name: at..name_end, labels: None });
    }
    let mut name = (name_end > at).then_some(at..name_end);
    let labels = name_end + 1;
    let end = walk::<OpenMetricsLabels>(body, labels, |item| match item {
        Item::MetricName(_) if name.is_some() => Err(TextProblem::SecondName),
        Item::MetricName(quoted) => {
            name = Some(quoted);
            Ok(())
        }
        Item::Label { .. } => Ok(()),
    })?;
    let name = name.ok_or(Fault::new(TextProblem::MissingName, at))?;
    Ok(SeriesText { key: at..end, name, labels: Some(labels) })
}

/// Number of a line, and the offset after it.
struct Number<T> {
    number: T,
    end: usize,
}

/// Parses the value after a space. `part` is the part of the line before it.
fn value_after(body: Body<'_>, at: usize, part: &'static str) -> Result<Number<f64>, Fault> {
    let Some(text) = word_after(body.bytes, at) else {
        return Err(Fault::new(TextProblem::ExpectedValue { part }, at));
    };
    let number = parse_value(slice(body.bytes, text.clone()))
        .map_err(|problem| Fault::new(problem, text.start))?;
    Ok(Number { number, end: text.end })
}

/// Parses the timestamp after a space.
fn timestamp_at(body: Body<'_>, at: usize) -> Result<Number<i64>, Fault> {
    let text = word_after(body.bytes, at).ok_or(Fault::new(TextProblem::ExpectedTimestamp, at))?;
    let number = parse_seconds(slice(body.bytes, text.clone()))
        .map_err(|problem| Fault::new(problem, text.start))?;
    Ok(Number { number, end: text.end })
}

/// Returns the bytes between one space and the next space or newline.
fn word_after(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    if byte_at(bytes, at) != Some(b' ') {
        return None;
    }
    let start = at + 1;
    let end = end_of(bytes, start, |byte| !matches!(byte, b' ' | b'\n'));
    (end > start).then_some(start..end)
}

fn starts_exemplar(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(EXEMPLAR))
}

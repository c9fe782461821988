//! Parser that converts the classic histograms of another parser to custom buckets.
//!
//! The series of one classic histogram follow each other: they have the name of the latest family
//! with the type histogram, and equal labels except for the bound. The native histogram is an entry
//! of its own after the last one of them. Histograms whose series are scattered come apart, as in
//! Prometheus.
//!
//! # Differences from Prometheus
//! - The histogram has the timestamp of its own series, not that of the series after it.
//! - A comment does not end a histogram.
//!
//! Source: `model/textparse` of Prometheus.

use crate::exposition::classic_histogram::ClassicHistogram;
use crate::exposition::entry::{
    EntryKind, EntryValue, ExemplarEntry, MetadataEntry, MetadataItem, SeriesEntry,
};
use crate::exposition::histogram_buffer::HistogramBuffer;
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::parse_error::ParseError;
use crate::exposition::parser::Parser;
use crate::model::labels::METRIC_NAME;
use crate::model::metadata::MetricType;

const BOUND_LABEL: &str = "le";
/// Separator of the names and values in a key; no UTF-8 text has this byte.
const KEY_SEPARATOR: u8 = 0xff;

/// Parser that adds native histograms for classic ones.
///
/// A histogram that cannot be converted is left out. So are the classic series, converted or not,
/// unless they are to be kept.
pub(crate) struct CustomBucketsParser<P> {
    /// One entry ahead if a histogram is the latest entry.
    inner: P,
    keep_classic: bool,
    /// Name of the latest family with a type.
    family: String,
    is_histogram_family: bool,
    state: State,
    group: ClassicGroup,
    /// Labels of the latest series of the inner parser.
    labels: LabelBuffer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The latest entry is that of the inner parser.
    Idle,
    /// So it is, and the series before it belong to a classic histogram.
    Collecting,
    /// The latest entry is the native histogram. The next one is the latest of the inner parser.
    Converted { pending: Option<EntryKind> },
}

/// Series of one classic histogram, and its conversion.
#[derive(Default)]
struct ClassicGroup {
    classic: ClassicHistogram,
    histogram: HistogramBuffer,
    /// Labels of the native histogram, sorted by name.
    labels: LabelBuffer,
    key: Vec<u8>,
    timestamp: Option<i64>,
    start_timestamp: i64,
    /// Entries that are reused; only the first `num_exemplars` are valid.
    exemplars: Vec<ExemplarEntry>,
    num_exemplars: usize,
}

/// Part of a classic histogram.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket,
    Sum,
    Count,
}

impl<P: Parser> CustomBucketsParser<P> {
    pub(crate) fn new(inner: P, keep_classic: bool) -> Self {
        Self {
            inner,
            keep_classic,
            family: String::new(),
            is_histogram_family: false,
            state: State::Idle,
            group: ClassicGroup::default(),
            labels: LabelBuffer::new(),
        }
    }

    /// Handles an entry of the inner parser. Returns `false` if it is not to be seen.
    fn handle(&mut self, entry: Option<EntryKind>) -> bool {
        let is_series = entry == Some(EntryKind::Series);
        if is_series && self.is_histogram_family {
            self.inner.labels(&mut self.labels);
        }
        if self.state == State::Collecting && !(is_series && self.continues_group()) {
            self.state = State::Idle;
            if self.group.convert() {
                self.state = State::Converted { pending: entry };
                return true;
            }
        }
        match entry {
            Some(EntryKind::Metadata) => self.read_type(),
            Some(EntryKind::Series) => return !self.collect() || self.keep_classic,
            None => {}
        }
        true
    }

    fn read_type(&mut self) {
        let MetadataEntry { family, item } = self.inner.metadata();
        if let MetadataItem::Type(metric_type) = item {
            self.family.clear();
            self.family.push_str(family);
            self.is_histogram_family = metric_type == MetricType::Histogram;
        }
    }

    /// Returns `true` if the latest series has the name and the labels of the group.
    fn continues_group(&self) -> bool {
        if !self.is_histogram_family {
            return false;
        }
        let name = self.labels.get(METRIC_NAME).unwrap_or_default();
        let is_other = |name: &str| name != METRIC_NAME && name != BOUND_LABEL;
        let group = &self.group.labels;
        base_name(name).0 == group.get(METRIC_NAME).unwrap_or_default()
            && self
                .labels
                .iter()
                .filter(|(name, _)| is_other(name))
                .eq(group.iter().filter(|(name, _)| is_other(name)))
    }

    /// Adds the latest series to the group. Returns `false` if it is no part of a histogram.
    fn collect(&mut self) -> bool {
        if !self.is_histogram_family {
            return false;
        }
        let series = self.inner.series();
        let EntryValue::Float(value) = series.value else { return false };
        let (base, part) = base_name(self.labels.get(METRIC_NAME).unwrap_or_default());
        let Some(part) = part.filter(|_| base == self.family) else { return false };
        let bound = match part {
            Part::Bucket => match self.labels.get(BOUND_LABEL).and_then(parse_bound) {
                Some(bound) => bound,
                None => return false,
            },
            Part::Sum | Part::Count => 0.0,
        };
        let group = &mut self.group;
        if self.state != State::Collecting {
            self.state = State::Collecting;
            group.start(base, &self.labels, series.start_timestamp);
        }
        group.timestamp = series.timestamp;
        match part {
            Part::Bucket => group.classic.add_bucket(bound, value),
            Part::Sum => group.classic.set_sum(value),
            Part::Count => group.classic.set_count(value),
        }
        group.add_exemplars(&self.inner);
        true
    }
}

impl ClassicGroup {
    fn start(&mut self, name: &str, labels: &LabelBuffer, start_timestamp: i64) {
        self.classic.clear();
        self.start_timestamp = start_timestamp;
        self.num_exemplars = 0;
        self.labels.clear();
        self.key.clear();
        self.key.extend_from_slice(name.as_bytes());
        for (label, value) in labels.iter() {
            if label == METRIC_NAME {
                self.labels.push(label, name);
            } else if label != BOUND_LABEL {
                self.labels.push(label, value);
                for text in [label, value] {
                    self.key.push(KEY_SEPARATOR);
                    self.key.extend_from_slice(text.as_bytes());
                }
            }
        }
    }

    /// Copies the exemplars of the latest series that have a timestamp: without one, an exemplar of
    /// a native histogram could be read twice.
    fn add_exemplars(&mut self, inner: &impl Parser) {
        for index in 0.. {
            if self.exemplars.len() == self.num_exemplars {
                self.exemplars.push(ExemplarEntry::default());
            }
            let Some(slot) = self.exemplars.get_mut(self.num_exemplars) else { return };
            if !inner.exemplar(index, slot) {
                return;
            }
            self.num_exemplars += usize::from(slot.timestamp.is_some());
        }
    }

    /// Returns `true` if the group is converted.
    fn convert(&mut self) -> bool {
        self.classic.convert(&mut self.histogram).is_ok()
    }
}

impl<P: Parser> Parser for CustomBucketsParser<P> {
    fn next_entry(&mut self) -> Result<Option<EntryKind>, ParseError> {
        loop {
            let entry = match self.state {
                State::Converted { pending } => {
                    self.state = State::Idle;
                    pending
                }
                _ => self.inner.next_entry()?,
            };
            let is_shown = self.handle(entry);
            if matches!(self.state, State::Converted { .. }) {
                return Ok(Some(EntryKind::Series));
            }
            if is_shown {
                return Ok(entry);
            }
        }
    }

    fn metadata(&self) -> MetadataEntry<'_> {
        self.inner.metadata()
    }

    fn series(&self) -> SeriesEntry<'_> {
        match self.state {
            State::Converted { .. } => SeriesEntry {
                key: &self.group.key,
                value: self.group.histogram.value(),
                timestamp: self.group.timestamp,
                start_timestamp: self.group.start_timestamp,
            },
            _ => self.inner.series(),
        }
    }

    fn labels(&self, labels: &mut LabelBuffer) {
        match self.state {
            State::Converted { .. } => copy_labels(&self.group.labels, labels),
            _ => self.inner.labels(labels),
        }
    }

    fn exemplar(&self, index: usize, exemplar: &mut ExemplarEntry) -> bool {
        match self.state {
            State::Converted { .. } => {
                let group = &self.group;
                let valid = group.exemplars.get(..group.num_exemplars).unwrap_or_default();
                let Some(found) = valid.get(index) else { return false };
                copy_labels(&found.labels, &mut exemplar.labels);
                exemplar.value = found.value;
                exemplar.timestamp = found.timestamp;
                true
            }
            _ => self.inner.exemplar(index, exemplar),
        }
    }
}

/// Replaces the content of `target`, whose memory is reused.
fn copy_labels(source: &LabelBuffer, target: &mut LabelBuffer) {
    target.clear();
    source.iter().for_each(|(name, value)| target.push(name, value));
}

/// Splits the name of a series of a classic histogram. Other names are returned whole.
fn base_name(name: &str) -> (&str, Option<Part>) {
    let parts = [("_bucket", Part::Bucket), ("_sum", Part::Sum), ("_count", Part::Count)];
    parts
        .into_iter()
        .find_map(|(suffix, part)| Some((name.strip_suffix(suffix)?, Some(part))))
        .unwrap_or((name, None))
}

/// Parses the bound of a bucket. Returns `None` for text that is no number, and for NaN.
fn parse_bound(text: &str) -> Option<f64> {
    let bound: f64 = text.parse().ok()?;
    // Rust parses numbers out of range as infinity.
    let is_word = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    (!bound.is_nan() && bound.is_infinite() == is_word).then_some(bound)
}

#[cfg(test)]
mod tests;

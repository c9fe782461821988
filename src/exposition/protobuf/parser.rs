//! Parser of the protobuf format: families and metrics as entries.

use crate::exposition::canonical_number::push_canonical_number;
use crate::exposition::classic_histogram::ClassicHistogram;
use crate::exposition::entry::{
    EntryKind, EntryValue, ExemplarEntry, MetadataEntry, MetadataItem, SeriesEntry,
};
use crate::exposition::histogram_buffer::HistogramBuffer;
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::parse_error::ParseError;
use crate::exposition::parser::{Parser, ParserOptions};
use crate::exposition::protobuf::exemplar::{Exemplar, ExemplarLabels};
use crate::exposition::protobuf::family::{Family, FamilyType};
use crate::exposition::protobuf::metric::Metric;
use crate::exposition::protobuf::wire::{DecodeError, Message};
use crate::exposition::protobuf_problem::ProtobufProblem;
use crate::model::histogram::CounterResetHint;
use crate::model::labels::METRIC_NAME;
use crate::model::metadata::MetricType;

/// Separator of the names and values in a key; no UTF-8 text has this byte.
const KEY_SEPARATOR: u8 = 0xff;

/// Parser of the protobuf format.
///
/// The key of a series consists of its name and its labels sorted by name, with the bound or
/// quantile at the end. It is built in a reused buffer.
pub(crate) struct ProtobufParser<'a> {
    body: Message<'a>,
    options: ParserOptions,
    /// `None` before the first family and after the last one.
    family: Option<Family<'a>>,
    metric: Metric<'a>,
    position: Position,
    /// Native histogram or converted classic histogram at the position.
    histogram: HistogramBuffer,
    classic: ClassicHistogram,
    /// Exemplars of the native histogram at the position, as indices among those of the metric.
    exemplars: Vec<u32>,
    /// Canonical bound or quantile at the position.
    bound: String,
    key: Vec<u8>,
}

/// Latest entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The next entry is that of a new family.
    FamilyStart,
    Help,
    Unit,
    Type,
    /// Sample of a metric that has only one.
    Value,
    Count,
    Sum,
    Quantile(usize),
    /// Classic bucket. The index after the last bucket stands for an absent bucket for +Inf.
    Bucket(usize),
    Native,
    /// Classic histogram converted to custom buckets.
    Converted,
}

impl<'a> ProtobufParser<'a> {
    /// Creates a parser of a decompressed body.
    pub(crate) fn new(body: &'a [u8], options: ParserOptions) -> Self {
        Self {
            body: Message::new(body, 0),
            options,
            family: None,
            metric: Metric::default(),
            position: Position::FamilyStart,
            histogram: HistogramBuffer::default(),
            classic: ClassicHistogram::default(),
            exemplars: Vec::new(),
            bound: String::new(),
            key: Vec::new(),
        }
    }

    fn advance(&mut self) -> Result<Option<EntryKind>, DecodeError> {
        let position = match (self.position, &self.family) {
            (Position::Help, Some(family)) if !family.unit.is_empty() => Position::Unit,
            (Position::Help | Position::Unit, Some(_)) => Position::Type,
            (Position::Type, Some(family)) => {
                let family_type = family.family_type;
                return self.start_metric(family_type);
            }
            (Position::FamilyStart, _) | (_, None) => return self.start_family(),
            (position, Some(family)) => {
                let family_type = family.family_type;
                return match self.following(position, family_type) {
                    Some(next) => self.enter(next, family_type).map(Some),
                    None => self.start_metric(family_type),
                };
            }
        };
        self.position = position;
        Ok(Some(EntryKind::Metadata))
    }

    fn start_family(&mut self) -> Result<Option<EntryKind>, DecodeError> {
        // The family of an error is the one that cannot be read.
        self.family = None;
        self.family = Family::read(&mut self.body)?;
        if self.family.is_none() {
            self.position = Position::FamilyStart;
            return Ok(None);
        }
        self.position = Position::Help;
        Ok(Some(EntryKind::Metadata))
    }

    fn start_metric(&mut self, family_type: FamilyType) -> Result<Option<EntryKind>, DecodeError> {
        let Some(family) = &mut self.family else { return Ok(None) };
        let Some(message) = family.next_metric()? else { return self.start_family() };
        self.metric.read(message)?;
        self.enter(self.first_position(family_type), family_type).map(Some)
    }

    /// Returns the position of the first series of the metric.
    fn first_position(&self, family_type: FamilyType) -> Position {
        match family_type {
            FamilyType::Counter | FamilyType::Gauge | FamilyType::Untyped => Position::Value,
            FamilyType::Summary => Position::Count,
            FamilyType::Histogram | FamilyType::GaugeHistogram => {
                if self.is_native() {
                    Position::Native
                } else if self.converts() && !self.options.keep_classic_histograms {
                    Position::Converted
                } else {
                    Position::Count
                }
            }
        }
    }

    /// Returns the position of the series after `position` in the same metric.
    fn following(&self, position: Position, family_type: FamilyType) -> Option<Position> {
        let quantiles = &self.metric.summary.quantiles;
        let buckets = &self.metric.histogram.buckets;
        match position {
            Position::Count => Some(Position::Sum),
            Position::Sum if family_type == FamilyType::Summary => {
                (!quantiles.is_empty()).then_some(Position::Quantile(0))
            }
            Position::Sum => Some(Position::Bucket(0)),
            Position::Quantile(i) => (i + 1 < quantiles.len()).then_some(Position::Quantile(i + 1)),
            Position::Bucket(i) => match buckets.get(i) {
                Some(bucket) if bucket.upper_bound != f64::INFINITY => {
                    Some(Position::Bucket(i + 1))
                }
                _ => (self.converts() && !self.is_native()).then_some(Position::Converted),
            },
            Position::Native => (self.options.keep_classic_histograms && !buckets.is_empty())
                .then_some(Position::Count),
            _ => None,
        }
    }

    fn is_native(&self) -> bool {
        !self.options.ignore_native_histograms && self.metric.histogram.is_native()
    }

    fn converts(&self) -> bool {
        self.options.convert_classic_histograms
    }

    /// Moves to a series: writes its histogram, bound and key.
    fn enter(
        &mut self,
        position: Position,
        family_type: FamilyType,
    ) -> Result<EntryKind, DecodeError> {
        self.position = position;
        self.bound.clear();
        self.exemplars.clear();
        let fields = &mut self.metric.histogram;
        let at = self.family.as_ref().map_or(0, Family::offset);
        let in_metric = |problem| DecodeError { problem, offset: at };
        match position {
            Position::Quantile(i) => {
                let quantile = self.metric.summary.quantiles.get(i).map_or(0.0, |q| q.quantile);
                push_canonical_number(&mut self.bound, quantile);
            }
            Position::Bucket(i) => {
                let bound = fields.buckets.get(i).map_or(f64::INFINITY, |b| b.upper_bound);
                push_canonical_number(&mut self.bound, bound);
            }
            Position::Native => {
                fields
                    .write_native(&mut self.histogram)
                    .map_err(|error| in_metric(ProtobufProblem::Histogram(error)))?;
                self.enter_histogram(family_type);
            }
            Position::Converted => {
                fields
                    .write_converted(&mut self.classic, &mut self.histogram)
                    .map_err(|error| in_metric(ProtobufProblem::Conversion(error)))?;
                self.enter_histogram(family_type);
            }
            _ => {}
        }
        self.write_key();
        Ok(EntryKind::Series)
    }

    fn enter_histogram(&mut self, family_type: FamilyType) {
        if family_type == FamilyType::GaugeHistogram {
            self.histogram.set_reset_hint(CounterResetHint::Gauge);
        }
        let fields = &self.metric.histogram;
        // Without a timestamp, an exemplar of a native histogram could be read twice.
        let is_wanted =
            |exemplar: &Exemplar| exemplar.timestamp.is_some() && !exemplar.has_invalid_label;
        let indices = 0u32..;
        if fields.exemplars.is_empty() {
            let of_buckets = fields.buckets.iter().map(|bucket| bucket.exemplar.as_ref());
            let wanted = of_buckets.zip(indices).filter(|(e, _)| e.is_some_and(is_wanted));
            self.exemplars.extend(wanted.map(|(_, i)| i));
        } else {
            let wanted = fields.exemplars.iter().zip(indices).filter(|(e, _)| is_wanted(e));
            self.exemplars.extend(wanted.map(|(_, i)| i));
        }
    }

    fn write_key(&mut self) {
        let Some(family) = &self.family else { return };
        self.key.clear();
        self.key.extend_from_slice(family.name.as_bytes());
        self.key.extend_from_slice(suffix(self.position).as_bytes());
        let bound = bound_label(self.position).map(|name| (name, self.bound.as_str()));
        for (name, value) in self.metric.labels.iter().copied().chain(bound) {
            self.key.push(KEY_SEPARATOR);
            self.key.extend_from_slice(name.as_bytes());
            self.key.push(KEY_SEPARATOR);
            self.key.extend_from_slice(value.as_bytes());
        }
    }

    fn value(&self, family: &Family<'a>) -> EntryValue<'_> {
        let fields = &self.metric.histogram;
        let summary = &self.metric.summary;
        let is_summary = family.family_type == FamilyType::Summary;
        EntryValue::Float(match self.position {
            Position::Native | Position::Converted => return self.histogram.value(),
            Position::Count if is_summary => summary.count(),
            Position::Count => fields.count(),
            Position::Sum if is_summary => summary.sum,
            Position::Sum => fields.sum,
            Position::Quantile(i) => summary.quantiles.get(i).map_or(0.0, |q| q.value),
            Position::Bucket(i) => {
                fields.buckets.get(i).map_or_else(|| fields.count(), |b| b.cumulative_count())
            }
            _ => self.metric.value(family.family_type),
        })
    }

    fn find_exemplar(&self, index: usize) -> Option<(&Exemplar, &ExemplarLabels<'a>)> {
        let family_type = self.family.as_ref()?.family_type;
        let fields = &self.metric.histogram;
        let (exemplar, labels) = match self.position {
            Position::Value if family_type == FamilyType::Counter && index == 0 => {
                let counter = &self.metric.counter;
                (counter.exemplar.as_ref()?, &counter.exemplar_labels)
            }
            Position::Bucket(i) if index == 0 => {
                (fields.buckets.get(i)?.exemplar.as_ref()?, &self.metric.exemplar_labels)
            }
            Position::Native | Position::Converted => {
                let i = *self.exemplars.get(index)? as usize;
                let exemplar = match fields.exemplars.get(i) {
                    Some(exemplar) => exemplar,
                    None => fields.buckets.get(i)?.exemplar.as_ref()?,
                };
                (exemplar, &self.metric.exemplar_labels)
            }
            _ => return None,
        };
        (!exemplar.has_invalid_label).then_some((exemplar, labels))
    }
}

impl Parser for ProtobufParser<'_> {
    fn next_entry(&mut self) -> Result<Option<EntryKind>, ParseError> {
        self.advance().map_err(|error| {
            let family = self.family.as_ref().map_or("", |family| family.name);
            ParseError::in_protobuf(error.problem, error.offset, family)
        })
    }

    fn metadata(&self) -> MetadataEntry<'_> {
        let (family, item) = match (&self.family, self.position) {
            (Some(family), Position::Help) => (family.name, MetadataItem::Help(family.help)),
            (Some(family), Position::Unit) => (family.name, MetadataItem::Unit(family.unit)),
            (Some(family), Position::Type) => {
                (family.name, MetadataItem::Type(family.family_type.metric_type()))
            }
            _ => ("", MetadataItem::Type(MetricType::Unknown)),
        };
        MetadataEntry { family, item }
    }

    fn series(&self) -> SeriesEntry<'_> {
        match &self.family {
            Some(family) if self.position.is_series() => SeriesEntry {
                key: &self.key,
                value: self.value(family),
                timestamp: (self.metric.timestamp != 0).then_some(self.metric.timestamp),
                start_timestamp: if self.options.start_timestamps {
                    self.metric.start_timestamp(family.family_type)
                } else {
                    0
                },
            },
            _ => SeriesEntry {
                key: b"",
                value: EntryValue::Float(0.0),
                timestamp: None,
                start_timestamp: 0,
            },
        }
    }

    fn labels(&self, labels: &mut LabelBuffer) {
        labels.clear();
        let Some(family) = self.family.as_ref().filter(|_| self.position.is_series()) else {
            return;
        };
        labels.push_with(
            |text| text.push_str(METRIC_NAME),
            |text| {
                text.push_str(family.name);
                text.push_str(suffix(self.position));
            },
        );
        let bound = bound_label(self.position).map(|name| (name, self.bound.as_str()));
        for (name, value) in self.metric.labels.iter().copied().chain(bound) {
            labels.push(name, value);
        }
        labels.sort();
    }

    fn exemplar(&self, index: usize, exemplar: &mut ExemplarEntry) -> bool {
        let Some((found, labels)) = self.find_exemplar(index) else { return false };
        exemplar.labels.clear();
        for (name, value) in labels.get(found.labels.clone()).unwrap_or_default() {
            exemplar.labels.push(name, value);
        }
        exemplar.labels.sort();
        exemplar.value = found.value;
        exemplar.timestamp = found.timestamp.map(|timestamp| timestamp.millis());
        true
    }
}

impl Position {
    fn is_series(self) -> bool {
        !matches!(self, Self::FamilyStart | Self::Help | Self::Unit | Self::Type)
    }
}

/// Returns the end of the name of the series at a position.
fn suffix(position: Position) -> &'static str {
    match position {
        Position::Count => "_count",
        Position::Sum => "_sum",
        Position::Bucket(_) => "_bucket",
        _ => "",
    }
}

/// Returns the name of the label for the bound or quantile at a position.
fn bound_label(position: Position) -> Option<&'static str> {
    match position {
        Position::Quantile(_) => Some("quantile"),
        Position::Bucket(_) => Some("le"),
        _ => None,
    }
}

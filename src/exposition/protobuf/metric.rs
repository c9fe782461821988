//! Decoder of `io.prometheus.client.Metric`.

use crate::exposition::parse_error::shorten;
use crate::exposition::protobuf::exemplar::{Exemplar, ExemplarLabels, Timestamp};
use crate::exposition::protobuf::family::FamilyType;
use crate::exposition::protobuf::histogram::{HistogramFields, push};
use crate::exposition::protobuf::wire::{DecodeError, Field, Message};
use crate::exposition::protobuf_problem::ProtobufProblem;

/// Metric of any type. All members are read, whatever the type of the family is; absent ones are 0.
/// The lists are reused for the next metric.
#[derive(Debug, Default)]
pub(crate) struct Metric<'a> {
    /// Sorted by name; names can repeat.
    pub(crate) labels: Vec<(&'a str, &'a str)>,
    /// ms since the Unix epoch; 0 = none.
    pub(crate) timestamp: i64,
    pub(crate) counter: Counter<'a>,
    gauge: f64,
    untyped: f64,
    pub(crate) summary: Summary,
    pub(crate) histogram: HistogramFields,
    /// Labels of the exemplars of the histogram.
    pub(crate) exemplar_labels: ExemplarLabels<'a>,
}

#[derive(Debug, Default)]
pub(crate) struct Counter<'a> {
    value: f64,
    pub(crate) exemplar: Option<Exemplar>,
    pub(crate) exemplar_labels: ExemplarLabels<'a>,
    start: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Summary {
    sample_count: u64,
    pub(crate) sum: f64,
    pub(crate) quantiles: Vec<Quantile>,
    start: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quantile {
    pub(crate) quantile: f64,
    pub(crate) value: f64,
}

impl<'a> Metric<'a> {
    /// Replaces the metric with that of `message`.
    pub(crate) fn read(&mut self, mut message: Message<'a>) -> Result<(), DecodeError> {
        self.clear();
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => self.read_label(&field)?,
                2 => read_value(field.message()?, &mut self.gauge)?,
                3 => self.counter.read(field.message()?)?,
                4 => self.summary.read(field.message()?)?,
                5 => read_value(field.message()?, &mut self.untyped)?,
                6 => self.timestamp = field.varint()? as i64,
                7 => self.histogram.read(field.message()?, &mut self.exemplar_labels)?,
                _ => {}
            }
        }
        if !self.labels.is_sorted_by_key(|(name, _)| *name) {
            // Clients sort labels, so this is rare.
            self.labels.sort_by_key(|(name, _)| *name);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.labels.clear();
        self.timestamp = 0;
        self.counter.clear();
        self.gauge = 0.0;
        self.untyped = 0.0;
        self.summary.clear();
        self.histogram.clear();
        self.exemplar_labels.clear();
    }

    fn read_label(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        let mut message = field.message()?;
        let (mut name, mut value) = ("", "");
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => {
                    let bytes = field.bytes()?;
                    name = std::str::from_utf8(bytes).map_err(|_| {
                        field.error(ProtobufProblem::LabelName { name: shorten(bytes) })
                    })?;
                }
                2 => {
                    let bytes = field.bytes()?;
                    value = std::str::from_utf8(bytes).map_err(|_| {
                        field.error(ProtobufProblem::LabelValue { value: shorten(bytes) })
                    })?;
                }
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(field.error(ProtobufProblem::LabelName { name: String::new() }));
        }
        push(&mut self.labels, (name, value), "labels", field)
    }

    /// Returns the value of a metric that is one sample.
    pub(crate) fn value(&self, family_type: FamilyType) -> f64 {
        match family_type {
            FamilyType::Counter => self.counter.value,
            FamilyType::Gauge => self.gauge,
            _ => self.untyped,
        }
    }

    /// Returns the start timestamp, ms since the Unix epoch; 0 = unknown.
    pub(crate) fn start_timestamp(&self, family_type: FamilyType) -> i64 {
        let start = match family_type {
            FamilyType::Counter => self.counter.start,
            FamilyType::Summary => self.summary.start,
            FamilyType::Histogram | FamilyType::GaugeHistogram => self.histogram.start,
            FamilyType::Gauge | FamilyType::Untyped => None,
        };
        start.map_or(0, Timestamp::millis)
    }
}

impl<'a> Counter<'a> {
    fn clear(&mut self) {
        self.value = 0.0;
        self.exemplar = None;
        self.exemplar_labels.clear();
        self.start = None;
    }

    fn read(&mut self, mut message: Message<'a>) -> Result<(), DecodeError> {
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => self.value = field.double()?,
                2 => {
                    let labels = &mut self.exemplar_labels;
                    Exemplar::read(&mut self.exemplar, field.message()?, labels)?;
                }
                3 => self.start.get_or_insert_default().read(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Summary {
    fn clear(&mut self) {
        self.sample_count = 0;
        self.sum = 0.0;
        self.quantiles.clear();
        self.start = None;
    }

    fn read(&mut self, mut message: Message<'_>) -> Result<(), DecodeError> {
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => self.sample_count = field.varint()?,
                2 => self.sum = field.double()?,
                3 => {
                    let quantile = Quantile::read(field.message()?)?;
                    push(&mut self.quantiles, quantile, "quantiles", &field)?;
                }
                4 => self.start.get_or_insert_default().read(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the count of all observations.
    pub(crate) fn count(&self) -> f64 {
        self.sample_count as f64
    }
}

impl Quantile {
    fn read(mut message: Message<'_>) -> Result<Self, DecodeError> {
        let mut quantile = Self::default();
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => quantile.quantile = field.double()?,
                2 => quantile.value = field.double()?,
                _ => {}
            }
        }
        Ok(quantile)
    }
}

/// Reads a message with one double: a gauge or an untyped value.
fn read_value(mut message: Message<'_>, value: &mut f64) -> Result<(), DecodeError> {
    while let Some(field) = message.next_field()? {
        if field.number == 1 {
            *value = field.double()?;
        }
    }
    Ok(())
}

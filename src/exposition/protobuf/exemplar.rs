//! Decoders of `io.prometheus.client.Exemplar` and `google.protobuf.Timestamp`.

use crate::exposition::protobuf::wire::{DecodeError, Message};
use crate::exposition::protobuf_problem::ProtobufProblem;
use std::ops::Range;

/// Maximum number of labels of all exemplars of a metric.
const MAX_EXEMPLAR_LABELS: usize = 1 << 17;

/// Labels of the exemplars of a metric, in one reused list.
pub(crate) type ExemplarLabels<'a> = Vec<(&'a str, &'a str)>;

/// Exemplar of a metric. Its labels are in the list of the metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) labels: Range<usize>,
    pub(crate) value: f64,
    pub(crate) timestamp: Option<Timestamp>,
    /// Whether a label is not UTF-8. Such an exemplar is skipped: exemplars never fail a scrape.
    pub(crate) has_invalid_label: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timestamp {
    seconds: i64,
    nanos: i32,
}

impl Timestamp {
    /// Reads the fields of `message` over those that are known.
    pub(crate) fn read(&mut self, mut message: Message<'_>) -> Result<(), DecodeError> {
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => self.seconds = field.varint()? as i64,
                2 => self.nanos = field.varint()? as i32,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns milliseconds without a fraction. Sums outside of the range wrap as in Prometheus.
    pub(crate) fn millis(self) -> i64 {
        self.seconds.wrapping_mul(1000).wrapping_add(i64::from(self.nanos / 1_000_000))
    }
}

impl Exemplar {
    /// Reads an exemplar into `slot`, over its fields that are known from an earlier part of the
    /// message.
    ///
    /// The labels of a slot must be the last ones of `labels`.
    pub(crate) fn read<'a>(
        slot: &mut Option<Self>,
        mut message: Message<'a>,
        labels: &mut ExemplarLabels<'a>,
    ) -> Result<(), DecodeError> {
        let start = labels.len();
        let exemplar = slot.get_or_insert(Self {
            labels: start..start,
            value: 0.0,
            timestamp: None,
            has_invalid_label: false,
        });
        while let Some(field) = message.next_field()? {
            match field.number {
                1 => {
                    if labels.len() == MAX_EXEMPLAR_LABELS {
                        return Err(field.error(ProtobufProblem::TooMany {
                            items: "labels of exemplars",
                            limit: MAX_EXEMPLAR_LABELS,
                        }));
                    }
                    match read_label(field.message()?)? {
                        Some(label) => labels.push(label),
                        None => exemplar.has_invalid_label = true,
                    }
                }
                2 => exemplar.value = field.double()?,
                3 => exemplar.timestamp.get_or_insert_default().read(field.message()?)?,
                _ => {}
            }
        }
        exemplar.labels.end = labels.len();
        Ok(())
    }
}

/// Reads a label of an exemplar. Returns `None` if it is not UTF-8.
fn read_label(mut message: Message<'_>) -> Result<Option<(&str, &str)>, DecodeError> {
    let (mut name, mut value) = (Some(""), Some(""));
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => name = std::str::from_utf8(field.bytes()?).ok(),
            2 => value = std::str::from_utf8(field.bytes()?).ok(),
            _ => {}
        }
    }
    Ok(name.zip(value))
}

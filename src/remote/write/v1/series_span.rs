//! Position of a series in the body, and the check of its bytes.

use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::wire::schema;
use crate::remote::write::v1::sample::{decode_sample, decode_sample_fast};

/// Field numbers of `prometheus.TimeSeries`.
pub(crate) const LABELS: u32 = 1;
pub(crate) const SAMPLES: u32 = 2;
pub(crate) const EXEMPLARS: u32 = 3;
pub(crate) const HISTOGRAMS: u32 = 4;

/// Keys of some of these fields, as bytes.
pub(crate) const LABELS_KEY: u8 = (LABELS << 3) as u8 | 2;
pub(crate) const SAMPLES_KEY: u8 = (SAMPLES << 3) as u8 | 2;

/// Keys of `name` and `value` of `prometheus.Label`, as bytes.
const NAME_KEY: u8 = 0x0a;
const VALUE_KEY: u8 = 0x12;

/// Position and contents of a series in the body. A body is shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesSpanV1 {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Start of the first run of label fields.
    pub(crate) labels_start: u32,
    pub(crate) labels_end: u32,
    pub(crate) samples: u32,
    pub(crate) exemplars: u32,
    pub(crate) histograms: u32,
    /// `true` if there are labels outside of that run.
    pub(crate) has_scattered_labels: bool,
}

impl SeriesSpanV1 {
    /// Checks a series at nesting depth `level` and records its contents.
    #[inline]
    pub(crate) fn read(
        body: &[u8],
        mut series: MessageCursor<'_>,
        level: u32,
    ) -> Result<Self, DecodeMessageError> {
        let start = series.offset() as u32;
        let mut span = Self {
            start,
            end: start + series.rest().len() as u32,
            labels_start: start,
            labels_end: start,
            samples: 0,
            exemplars: 0,
            histograms: 0,
            has_scattered_labels: false,
        };
        while !series.is_at_end() {
            let field_start = series.offset();
            match series.rest() {
                [LABELS_KEY, ..] => {
                    check_labels(body, &mut series, level + 1)?;
                    span.extend_label_run(field_start, series.offset());
                }
                rest @ [SAMPLES_KEY, ..] => {
                    span.samples += 1;
                    match decode_sample_fast(rest) {
                        Some(sample) => series.skip(sample.len),
                        None => {
                            series.skip(1);
                            decode_sample(series.message()?, level + 1)?;
                        }
                    }
                }
                _ => span.check_uncommon_field(&mut series, level)?,
            }
        }
        Ok(span)
    }

    /// Checks a field that is neither a label nor a sample in the common encoding.
    fn check_uncommon_field(
        &mut self,
        series: &mut MessageCursor<'_>,
        level: u32,
    ) -> Result<(), DecodeMessageError> {
        let field_start = series.offset();
        let key = series.key()?;
        match key.field {
            LABELS..=HISTOGRAMS => series.expect_wire_type(key, WireType::Length)?,
            _ => return series.skip_value(key, MAX_DEPTH - level),
        }
        let message = series.message()?;
        match key.field {
            LABELS => {
                schema::LABEL.check(message, level + 1)?;
                self.extend_label_run(field_start, series.offset());
            }
            SAMPLES => {
                decode_sample(message, level + 1)?;
                self.samples += 1;
            }
            EXEMPLARS => {
                schema::EXEMPLAR.check(message, level + 1)?;
                self.exemplars += 1;
            }
            _ => {
                schema::HISTOGRAM.check(message, level + 1)?;
                self.histograms += 1;
            }
        }
        Ok(())
    }

    /// Extends the label run by `start..end` if they are adjacent.
    #[inline]
    fn extend_label_run(&mut self, start: usize, end: usize) {
        if self.labels_start == self.labels_end {
            self.labels_start = start as u32;
        } else if self.labels_end != start as u32 {
            self.has_scattered_labels = true;
            return;
        }
        self.labels_end = end as u32;
    }
}

/// Checks consecutive label fields at nesting depth `level`.
#[inline]
fn check_labels(
    body: &[u8],
    series: &mut MessageCursor<'_>,
    level: u32,
) -> Result<(), DecodeMessageError> {
    let start = series.offset();
    while let [LABELS_KEY, rest @ ..] = series.rest() {
        match fast_label_len(rest) {
            Some(len) => series.skip(1 + len),
            None => {
                series.skip(1);
                schema::LABEL.check(series.message()?, level)?;
            }
        }
    }
    // Short lengths and keys are ASCII bytes. If the whole run is ASCII, so are its strings, and
    // ASCII is valid UTF-8.
    if body[start..series.offset()].is_ascii() {
        return Ok(());
    }
    let mut again = MessageCursor::within(body, start, series.offset());
    while !again.is_at_end() {
        again.skip(1);
        schema::LABEL.check(again.message()?, level)?;
    }
    Ok(())
}

/// Returns the length of a label (without its key) in the common encoding: name, value, each
/// shorter than 128 bytes. Its strings are not checked.
#[inline]
fn fast_label_len(bytes: &[u8]) -> Option<usize> {
    let (&len, label) = bytes.split_first()?;
    let label = label.get(..usize::from(len))?;
    let [NAME_KEY, name_len, rest @ ..] = label else { return None };
    let [VALUE_KEY, value_len, value @ ..] = rest.get(usize::from(*name_len)..)? else {
        return None;
    };
    let is_common = len < 0x80 && *value_len < 0x80 && value.len() == usize::from(*value_len);
    is_common.then_some(1 + usize::from(len))
}

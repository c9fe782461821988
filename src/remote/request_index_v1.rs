//! The borrowed reader of a remote write 1.0 request: finds series, labels and samples where they stand in the body.
//!
//! It is two walks. [`RequestIndexV1::read`] checks the whole request, as strictly as prost does, and notes where each series
//! lies; nothing may be stored before it has said yes, so that a cut-off request never leaves a part behind. Then
//! [`RequestIndexV1::series`] gives out views that decode in place, see [`crate::remote::series_v1`]. The index is reused from request to request: for a
//! request like the one before nothing is allocated.
//!
//! What a sender may do and prost allows: fields in any order, repeated (the last scalar wins), unknown, labels in several
//! places of a series, lengths with more bytes than needed. All of it is read; but the labels of a series are offered as
//! one run of bytes only where they stand together, which is how every known sender writes them.

use crate::remote::metadata;
use crate::remote::metadata::FamilyMetadata;
use crate::remote::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::schema::{self, SERIES_LEVEL};
use crate::remote::series_v1::{
    EXEMPLARS, HISTOGRAMS, LABELS, LABELS_KEY, SAMPLES, SAMPLES_KEY, SeriesSpanV1, SeriesV1,
    decode_sample, decode_sample_fast,
};

/// Field numbers of `prometheus.WriteRequest`.
const TIMESERIES: u32 = 1;
const METADATA: u32 = 3;

/// The keys of `name` and `value` of `prometheus.Label`, as bytes.
const NAME_KEY: u8 = 0x0a;
const VALUE_KEY: u8 = 0x12;

/// How much one request may hold.
#[derive(Debug, Clone, Copy)]
pub struct CountLimits {
    /// Entries in `timeseries`.
    pub series: u64,
    /// Samples, exemplars and histograms together.
    pub samples: u64,
}

/// Why a body is not a request that can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeWriteRequestError {
    /// It is not the message, or not all of it.
    #[error("the body is not a prometheus.WriteRequest: {0}")]
    Malformed(#[from] DecodeMessageError),
    /// The same of the message of 2.0.
    #[error("the body is not an io.prometheus.write.v2.Request: {0}")]
    MalformedV2(DecodeMessageError),
    /// Too many texts (2.0).
    #[error("the request has more than {0} symbols")]
    TooManySymbols(u64),
    /// Labels and metadata that are too long when they are written out (2.0).
    #[error("the labels and metadata of all series of the request have more than {0} bytes")]
    TooMuchText(usize),
    /// Too many series.
    #[error("the request has more than {0} series")]
    TooManySeries(u64),
    /// Too many samples.
    #[error("the request has more than {0} samples")]
    TooManySamples(u64),
}

impl DecodeWriteRequestError {
    /// Whether the body is no such message; otherwise it is one that has too much of something.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::MalformedV2(_))
    }
}

/// Where the parts of a request lie.
#[derive(Debug, Default)]
pub struct RequestIndexV1 {
    series: Vec<SeriesSpanV1>,
    samples: u64,
    has_exemplars: bool,
    has_metadata: bool,
}

impl RequestIndexV1 {
    /// An index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and notes where its series lie.
    ///
    /// # Errors
    /// [`DecodeWriteRequestError`]; the index is then of no use.
    pub fn read(
        &mut self,
        body: &[u8],
        limits: CountLimits,
    ) -> Result<(), DecodeWriteRequestError> {
        self.series.clear();
        self.samples = 0;
        self.has_exemplars = false;
        self.has_metadata = false;
        if u32::try_from(body.len()).is_err() {
            return Err(DecodeMessageError { what: "more than 4 GiB", offset: 0 }.into());
        }
        let mut request = MessageCursor::new(body);
        while !request.is_at_end() {
            let key = request.key()?;
            match key.field {
                TIMESERIES => {
                    request.expect_wire_type(key, WireType::Length)?;
                    let span = SeriesSpanV1::read(body, request.message()?, SERIES_LEVEL)?;
                    self.samples += u64::from(span.samples)
                        + u64::from(span.exemplars)
                        + u64::from(span.histograms);
                    self.has_exemplars |= span.exemplars > 0;
                    self.series.push(span);
                    if self.series.len() as u64 > limits.series {
                        return Err(DecodeWriteRequestError::TooManySeries(limits.series));
                    }
                    if self.samples > limits.samples {
                        return Err(DecodeWriteRequestError::TooManySamples(limits.samples));
                    }
                }
                METADATA => {
                    request.expect_wire_type(key, WireType::Length)?;
                    schema::METADATA.check(request.message()?, 1)?;
                    self.has_metadata = true;
                }
                _ => request.skip_value(key, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    /// The series of the request that was read; `body` must be the same bytes.
    pub fn series<'a>(&'a self, body: &'a [u8]) -> impl ExactSizeIterator<Item = SeriesV1<'a>> {
        self.series.iter().map(move |span| SeriesV1::new(body, *span))
    }

    /// Whether any series of the request has an exemplar.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.has_exemplars
    }

    /// What the request says of metric families; `body` must be the bytes that were read.
    pub fn metadata<'a>(
        &self,
        body: &'a [u8],
    ) -> impl Iterator<Item = FamilyMetadata<'a>> + use<'a> {
        // Where there is none, it is known without a walk.
        metadata::iter_families(if self.has_metadata { body } else { &[] }, METADATA)
    }

    /// Bytes that the index keeps for the next request.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpanV1>()
    }
}

impl SeriesSpanV1 {
    /// Checks one series that stands `level` messages deep.
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

    /// Checks a field that is not a label or sample as every sender writes them.
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

    /// Takes labels at `start..end` to the run, if they follow it.
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

/// Checks label fields, which stand `level` messages deep, as long as they follow each other.
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
    // The lengths and keys of usual labels are ASCII, so if the run is, its texts are, and ASCII is UTF-8.
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

/// The length of a label (without its key) that is written as usual: name, value, both shorter than 128 bytes and nothing
/// else. Its texts are not checked.
#[inline]
fn fast_label_len(bytes: &[u8]) -> Option<usize> {
    let (&len, label) = bytes.split_first()?;
    let label = label.get(..usize::from(len))?;
    let [NAME_KEY, name_len, rest @ ..] = label else { return None };
    let [VALUE_KEY, value_len, value @ ..] = rest.get(usize::from(*name_len)..)? else {
        return None;
    };
    let usual = len < 0x80 && *value_len < 0x80 && value.len() == usize::from(*value_len);
    usual.then_some(1 + usize::from(len))
}

#[cfg(test)]
#[path = "request_index_v1_tests.rs"]
pub(crate) mod tests;

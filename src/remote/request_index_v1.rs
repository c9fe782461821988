//! Index of a remote write 1.0 request: positions of series, labels and samples in the body.
//!
//! # Passes
//! [`RequestIndexV1::validate`] checks the whole request as strictly as prost and indexes its
//! series. Only it creates a [`ValidatedWriteV1`], and only that can be stored, so a truncated
//! request stores nothing. [`ValidatedWriteV1::series`] returns views that decode in place
//! ([`crate::remote::series_v1`]). The index is reused: a similar request allocates nothing.
//!
//! # Encodings
//! Everything that prost accepts is read: fields in any order, repeated (the last scalar wins) or
//! unknown, scattered labels, overlong lengths. The labels of a series are available as bytes only
//! if they are contiguous, as all known senders write them.

use crate::ingest::metadata::FamilyMetadata;
use crate::ingest::write_request::{SeriesVisitor, WriteRequest};
use crate::remote::metadata;
use crate::remote::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::schema::{self, SERIES_LEVEL};
use crate::remote::series_v1::{
    EXEMPLARS, HISTOGRAMS, LABELS, LABELS_KEY, SAMPLES, SAMPLES_KEY, SeriesSpanV1, SeriesV1,
    decode_sample, decode_sample_fast,
};

/// Field numbers of `prometheus.WriteRequest`.
const TIMESERIES: u32 = 1;
const METADATA: u32 = 3;

/// Keys of `name` and `value` of `prometheus.Label`, as bytes.
const NAME_KEY: u8 = 0x0a;
const VALUE_KEY: u8 = 0x12;

/// Maximum numbers of items in one request.
#[derive(Debug, Clone, Copy)]
pub struct CountLimits {
    /// Maximum number of entries in `timeseries`.
    pub series: u64,
    /// Maximum number of samples, exemplars and histograms together.
    pub samples: u64,
}

/// Error of decoding a write request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeWriteRequestError {
    /// The 1.0 message is malformed or truncated.
    #[error("the body is not a prometheus.WriteRequest: {0}")]
    Malformed(#[from] DecodeMessageError),
    /// The 2.0 message is malformed or truncated.
    #[error("the body is not an io.prometheus.write.v2.Request: {0}")]
    MalformedV2(DecodeMessageError),
    /// Too many symbols (2.0; limit).
    #[error("the request has more than {0} symbols")]
    TooManySymbols(u64),
    /// Labels and metadata with resolved symbols are too large (2.0; limit in bytes).
    #[error("labels and metadata of the request exceed {0} bytes with resolved symbols")]
    TooMuchText(usize),
    /// Too many entries in `timeseries` (limit).
    #[error("the request has more than {0} series")]
    TooManySeries(u64),
    /// Too many samples, exemplars and histograms (limit).
    #[error("the request has more than {0} samples")]
    TooManySamples(u64),
}

impl DecodeWriteRequestError {
    /// Returns `true` if the body is malformed, and `false` if it exceeds a limit.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::MalformedV2(_))
    }
}

/// Positions of the parts of a request in its body.
#[derive(Debug, Default)]
pub struct RequestIndexV1 {
    series: Vec<SeriesSpanV1>,
    samples: u64,
    has_exemplars: bool,
    has_metadata: bool,
}

impl RequestIndexV1 {
    /// Creates an index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and indexes its series.
    ///
    /// # Errors
    /// [`DecodeWriteRequestError`] if the body is malformed or exceeds a limit.
    pub fn validate<'a>(
        &'a mut self,
        body: &'a [u8],
        limits: CountLimits,
    ) -> Result<ValidatedWriteV1<'a>, DecodeWriteRequestError> {
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
        Ok(ValidatedWriteV1 { body, index: self })
    }

    /// Returns the memory kept for the next request, bytes.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpanV1>()
    }
}

/// A checked request with the body from which it was indexed.
#[derive(Debug, Clone, Copy)]
pub struct ValidatedWriteV1<'a> {
    body: &'a [u8],
    index: &'a RequestIndexV1,
}

impl<'a> ValidatedWriteV1<'a> {
    /// Returns the series of the request.
    pub fn series(&self) -> impl ExactSizeIterator<Item = SeriesV1<'a>> + use<'a> {
        let body = self.body;
        self.index.series.iter().map(move |span| SeriesV1::new(body, *span))
    }

    /// Returns the metadata of metric families.
    pub fn metadata(&self) -> impl Iterator<Item = FamilyMetadata<'a>> + use<'a> {
        // Without metadata, no pass over the body is needed.
        metadata::iter_families(if self.index.has_metadata { self.body } else { &[] }, METADATA)
    }
}

impl WriteRequest for ValidatedWriteV1<'_> {
    fn visit_series(&mut self, visitor: &mut impl SeriesVisitor) {
        for (position, series) in self.series().enumerate() {
            visitor.visit(position, &series);
        }
    }

    fn visit_exemplar_series(&mut self, visitor: &mut impl SeriesVisitor) {
        if !self.index.has_exemplars {
            return;
        }
        for (position, series) in self.series().enumerate() {
            if series.exemplars().len() > 0 {
                visitor.visit(position, &series);
            }
        }
    }

    fn families(&self) -> impl Iterator<Item = FamilyMetadata<'_>> {
        self.metadata()
    }
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

#[cfg(test)]
#[path = "request_index_v1_tests.rs"]
pub(crate) mod tests;

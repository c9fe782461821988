//! Index of a remote write 2.0 request: positions of symbols, series and samples in the body.
//!
//! # Passes
//! [`RequestIndexV2::validate`] checks the whole request as strictly as prost. Only it creates a
//! [`ValidatedWriteV2`], whose series are views that decode in place. Symbols may follow the series
//! that refer to them, so only the second pass resolves references.
//!
//! # Limits
//! A symbol may be referenced many times, so a request may mean far more than its bytes. The labels
//! and metadata of all series together are limited like the bytes of a request.

use crate::ingest::write_request::{SeriesVisitor, WriteRequest};
use crate::remote::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::request_index_v1::{CountLimits, DecodeWriteRequestError};
use crate::remote::schema::{self, FIELD_LEVEL, SERIES_LEVEL};
use crate::remote::v2::refs::{LABELS_REFS, LABELS_REFS_KEY, check_refs, check_run};
use crate::remote::v2::sample::{decode_sample, decode_sample_fast};
use crate::remote::v2::series::{
    EXEMPLARS, HISTOGRAMS, METADATA, SAMPLES, SAMPLES_KEY, SeriesSpanV2, SeriesV2,
};
use crate::remote::v2::symbols::{ReadSymbolsError, SYMBOLS_KEY, SymbolIndex};

/// Field numbers of `Request`.
const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;

/// Maximum number of symbols: a fixed part, and a part per series that a request may have.
const SYMBOLS_OF_REQUEST: u64 = 4096;
const SYMBOLS_OF_SERIES: u64 = 16;

/// Limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimitsV2 {
    /// Maximum number of series and samples.
    pub counts: CountLimits,
    /// Maximum size of labels and metadata of all series with resolved symbols, bytes.
    pub text_bytes: usize,
}

/// Positions of the parts of a request in its body.
#[derive(Debug, Default)]
pub struct RequestIndexV2 {
    symbols: SymbolIndex,
    series: Vec<SeriesSpanV2>,
    samples: u64,
    /// Number of references to labels and metadata.
    refs: u64,
    has_exemplars: bool,
}

impl RequestIndexV2 {
    /// Creates an index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and indexes its symbols and series.
    ///
    /// # Errors
    /// [`DecodeWriteRequestError`] if the body is malformed or exceeds a limit.
    pub fn validate<'a>(
        &'a mut self,
        body: &'a [u8],
        limits: RequestLimitsV2,
    ) -> Result<ValidatedWriteV2<'a>, DecodeWriteRequestError> {
        self.symbols.clear();
        self.series.clear();
        (self.samples, self.refs, self.has_exemplars) = (0, 0, false);
        if u32::try_from(body.len()).is_err() {
            return Err(DecodeWriteRequestError::MalformedV2(DecodeMessageError {
                what: "more than 4 GiB",
                offset: 0,
            }));
        }
        self.walk(body, limits.counts).map_err(|error| match error {
            DecodeWriteRequestError::Malformed(error) => {
                DecodeWriteRequestError::MalformedV2(error)
            }
            other => other,
        })?;
        let validated = ValidatedWriteV2 { body, index: self };
        validated.check_string_bytes(limits.text_bytes)?;
        Ok(validated)
    }

    fn walk(&mut self, body: &[u8], limits: CountLimits) -> Result<(), DecodeWriteRequestError> {
        let max_symbols =
            limits.series.saturating_mul(SYMBOLS_OF_SERIES).saturating_add(SYMBOLS_OF_REQUEST);
        let convert = |result: Result<(), ReadSymbolsError>| match result {
            Ok(()) => Ok(()),
            Err(ReadSymbolsError::Malformed(error)) => {
                Err(DecodeWriteRequestError::Malformed(error))
            }
            Err(ReadSymbolsError::TooMany) => {
                Err(DecodeWriteRequestError::TooManySymbols(max_symbols))
            }
        };
        let mut request = MessageCursor::new(body);
        while !request.is_at_end() {
            if let [SYMBOLS_KEY, ..] = request.rest() {
                convert(self.symbols.read_run(body, &mut request, max_symbols))?;
                continue;
            }
            let key = request.key()?;
            match key.field {
                SYMBOLS => {
                    request.expect_wire_type(key, WireType::Length)?;
                    convert(self.symbols.read_uncommon(body, &mut request, max_symbols))?;
                }
                TIMESERIES => {
                    request.expect_wire_type(key, WireType::Length)?;
                    self.add(SeriesSpanV2::read(request.message()?)?, limits)?;
                }
                _ => request.skip_value(key, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn add(
        &mut self,
        span: SeriesSpanV2,
        limits: CountLimits,
    ) -> Result<(), DecodeWriteRequestError> {
        self.samples +=
            u64::from(span.samples) + u64::from(span.exemplars) + u64::from(span.histograms);
        self.refs += u64::from(span.refs) + 2 * u64::from(span.has_metadata);
        self.has_exemplars |= span.exemplars > 0;
        self.series.push(span);
        if self.series.len() as u64 > limits.series {
            return Err(DecodeWriteRequestError::TooManySeries(limits.series));
        }
        if self.samples > limits.samples {
            return Err(DecodeWriteRequestError::TooManySamples(limits.samples));
        }
        Ok(())
    }

    /// Returns the memory kept for the next request, bytes.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpanV2>() + self.symbols.retained_bytes()
    }
}

/// A checked request with the body from which it was indexed.
#[derive(Debug, Clone, Copy)]
pub struct ValidatedWriteV2<'a> {
    body: &'a [u8],
    index: &'a RequestIndexV2,
}

impl<'a> ValidatedWriteV2<'a> {
    /// Returns the series of the request.
    pub fn series(&self) -> impl ExactSizeIterator<Item = SeriesV2<'a>> + use<'a> {
        let Self { body, index } = *self;
        index.series.iter().map(move |span| SeriesV2::new(body, &index.symbols, *span))
    }

    /// Returns the symbol table of the request.
    #[must_use]
    pub fn symbols(&self) -> &'a SymbolIndex {
        &self.index.symbols
    }

    /// Returns `true` if any series of the request has an exemplar.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.index.has_exemplars
    }

    /// Adds a buffer for the labels of one series at a time; reused for later requests.
    pub(crate) fn with_label_buffer(self, labels: &'a mut Vec<u8>) -> LabeledWriteV2<'a> {
        LabeledWriteV2 { request: self, labels }
    }

    fn check_string_bytes(&self, limit: usize) -> Result<(), DecodeWriteRequestError> {
        let index = self.index;
        // Common requests pass without a look at each reference.
        if index.refs.saturating_mul(index.symbols.longest() as u64) <= limit as u64 {
            return Ok(());
        }
        let mut remaining = limit;
        for series in self.series() {
            remaining = remaining
                .checked_sub(series.string_bytes())
                .ok_or(DecodeWriteRequestError::TooMuchText(limit))?;
        }
        Ok(())
    }
}

/// A checked request whose labels are assembled as bytes.
#[derive(Debug)]
pub(crate) struct LabeledWriteV2<'a> {
    request: ValidatedWriteV2<'a>,
    labels: &'a mut Vec<u8>,
}

impl WriteRequest for LabeledWriteV2<'_> {
    const REJECTS_EMPTY_SERIES: bool = true;

    fn visit_series(&mut self, visitor: &mut impl SeriesVisitor) {
        for (position, series) in self.request.series().enumerate() {
            visitor.visit(position, &series.with_label_bytes(self.labels));
        }
    }

    fn visit_exemplar_series(&mut self, visitor: &mut impl SeriesVisitor) {
        if !self.request.has_exemplars() {
            return;
        }
        for (position, series) in self.request.series().enumerate() {
            if series.has_exemplars() {
                visitor.visit(position, &series);
            }
        }
    }
}

impl SeriesSpanV2 {
    /// Checks a series and records its contents.
    #[inline]
    fn read(mut series: MessageCursor<'_>) -> Result<Self, DecodeMessageError> {
        let start = series.offset() as u32;
        let end = start + series.rest().len() as u32;
        let mut span = Self { start, end, refs_start: start, refs_end: start, ..Self::default() };
        while !series.is_at_end() {
            match series.rest() {
                [LABELS_REFS_KEY, ..] => {
                    series.skip(1);
                    let run = series.message()?;
                    span.record_run(run.offset(), series.offset());
                    span.refs += check_run(run)? as u32;
                }
                rest @ [SAMPLES_KEY, ..] => {
                    span.samples += 1;
                    match decode_sample_fast(rest) {
                        Some(sample) => series.skip(sample.len),
                        None => {
                            series.skip(1);
                            decode_sample(series.message()?)?;
                        }
                    }
                }
                _ => span.check_uncommon_field(&mut series)?,
            }
        }
        Ok(span)
    }

    /// Checks a field that is neither references nor a sample in the common encoding.
    fn check_uncommon_field(
        &mut self,
        series: &mut MessageCursor<'_>,
    ) -> Result<(), DecodeMessageError> {
        let key = series.key()?;
        match key.field {
            LABELS_REFS => {
                self.refs += check_refs(series, key)? as u32;
                self.has_scattered_refs = true;
                return Ok(());
            }
            SAMPLES..=METADATA => series.expect_wire_type(key, WireType::Length)?,
            _ => return series.skip_value(key, MAX_DEPTH - SERIES_LEVEL),
        }
        let message = series.message()?;
        match key.field {
            SAMPLES => {
                decode_sample(message)?;
                self.samples += 1;
            }
            HISTOGRAMS => {
                schema::HISTOGRAM_V2.check(message, FIELD_LEVEL)?;
                self.histograms += 1;
            }
            EXEMPLARS => {
                schema::EXEMPLAR_V2.check(message, FIELD_LEVEL)?;
                self.exemplars += 1;
            }
            _ => {
                schema::METADATA_V2.check(message, FIELD_LEVEL)?;
                self.has_metadata = true;
            }
        }
        Ok(())
    }

    /// Records a run of references, or that there is more than one.
    #[inline]
    fn record_run(&mut self, start: usize, end: usize) {
        if self.refs_start == self.start {
            (self.refs_start, self.refs_end) = (start as u32, end as u32);
        } else {
            self.has_scattered_refs = true;
        }
    }
}

#[cfg(test)]
#[path = "request_index_tests.rs"]
mod tests;

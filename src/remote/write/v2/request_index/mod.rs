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

use crate::ingest::write_request::{RequestSize, SeriesVisitor, WriteRequest};
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::v2::series::SeriesV2;
use crate::remote::write::v2::series_span::SeriesSpanV2;
use crate::remote::write::v2::symbols::{ReadSymbolsError, SYMBOL_BYTES, SYMBOLS_KEY, SymbolIndex};

/// Field numbers of `Request`.
const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;

/// Maximum number of symbols: a fixed part, and a part per series that a request may have.
const SYMBOLS_OF_REQUEST: u64 = 4096;
const SYMBOLS_OF_SERIES: u64 = 16;

/// Memory of the index for each series that a request may have, bytes: the series and its symbols.
pub const INDEX_BYTES_OF_SERIES: usize =
    size_of::<SeriesSpanV2>() + SYMBOLS_OF_SERIES as usize * SYMBOL_BYTES;

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
    #[cfg(any(test, feature = "testing"))]
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

    /// A request is rejected for its number of symbols, too, which the limit of series bounds.
    fn size(&self) -> RequestSize {
        let index = self.request.index;
        let symbols = (index.symbols.len() as u64).saturating_sub(SYMBOLS_OF_REQUEST);
        let series = (index.series.len() as u64).max(symbols.div_ceil(SYMBOLS_OF_SERIES));
        RequestSize { series, samples: index.samples }
    }

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

#[cfg(test)]
mod tests;

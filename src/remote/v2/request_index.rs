//! The borrowed reader of a remote write 2.0 request: finds texts, series and samples where they stand in the body.
//!
//! It is two walks, as that of 1.0 ([`crate::remote::request_index_v1`]): [`RequestIndexV2::read`] checks the whole request as strictly as prost does,
//! then [`RequestIndexV2::series`] gives out views that decode in place. The texts may stand behind the series that refer to them, so
//! references are looked up in the second walk only.
//!
//! What a request means may be far larger than its bytes, as each text may be referred to often. Together the labels and
//! metadata of its series have no more bytes than a request may have: so nobody can make more of 2.0 than of 1.0.

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

/// A request may have so many texts, and beside them so many for each series that it may have.
const SYMBOLS_OF_REQUEST: u64 = 4096;
const SYMBOLS_OF_SERIES: u64 = 16;

/// How much one request may hold.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimitsV2 {
    /// Series and samples.
    pub counts: CountLimits,
    /// Bytes of the labels and metadata of all series, written out.
    pub text_bytes: usize,
}

/// Where the parts of a request lie.
#[derive(Debug, Default)]
pub struct RequestIndexV2 {
    symbols: SymbolIndex,
    series: Vec<SeriesSpanV2>,
    samples: u64,
    /// References that lead to labels and metadata.
    refs: u64,
    has_exemplars: bool,
}

impl RequestIndexV2 {
    /// An index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and notes where its texts and series lie.
    ///
    /// # Errors
    /// [`DecodeWriteRequestError`]; the index is then of no use.
    pub fn read(
        &mut self,
        body: &[u8],
        bounds: RequestLimitsV2,
    ) -> Result<(), DecodeWriteRequestError> {
        self.symbols.clear();
        self.series.clear();
        (self.samples, self.refs, self.has_exemplars) = (0, 0, false);
        if u32::try_from(body.len()).is_err() {
            return Err(DecodeWriteRequestError::MalformedV2(DecodeMessageError {
                what: "more than 4 GiB",
                offset: 0,
            }));
        }
        self.walk(body, bounds.counts).map_err(|error| match error {
            DecodeWriteRequestError::Malformed(error) => {
                DecodeWriteRequestError::MalformedV2(error)
            }
            other => other,
        })?;
        self.check_string_bytes(body, bounds.text_bytes)
    }

    fn walk(&mut self, body: &[u8], limits: CountLimits) -> Result<(), DecodeWriteRequestError> {
        let max_symbols =
            limits.series.saturating_mul(SYMBOLS_OF_SERIES).saturating_add(SYMBOLS_OF_REQUEST);
        let judged = |result: Result<(), ReadSymbolsError>| match result {
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
                judged(self.symbols.read_run(body, &mut request, max_symbols))?;
                continue;
            }
            let key = request.key()?;
            match key.field {
                SYMBOLS => {
                    request.expect_wire_type(key, WireType::Length)?;
                    judged(self.symbols.read_uncommon(body, &mut request, max_symbols))?;
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

    fn check_string_bytes(&self, body: &[u8], limit: usize) -> Result<(), DecodeWriteRequestError> {
        // Of all usual requests this is known without a look at each reference.
        if self.refs.saturating_mul(self.symbols.longest() as u64) <= limit as u64 {
            return Ok(());
        }
        let mut left = limit;
        for series in self.series(body) {
            left = left
                .checked_sub(series.string_bytes())
                .ok_or(DecodeWriteRequestError::TooMuchText(limit))?;
        }
        Ok(())
    }

    /// The series of the request that was read; `body` must be the same bytes.
    pub fn series<'a>(&'a self, body: &'a [u8]) -> impl ExactSizeIterator<Item = SeriesV2<'a>> {
        self.series.iter().map(move |span| SeriesV2::new(body, &self.symbols, *span))
    }

    /// The texts of the request.
    #[must_use]
    pub fn symbols(&self) -> &SymbolIndex {
        &self.symbols
    }

    /// Whether any series of the request has an exemplar.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.has_exemplars
    }

    /// Bytes that the index keeps for the next request.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpanV2>() + self.symbols.retained_bytes()
    }
}

impl SeriesSpanV2 {
    /// Checks one series.
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

    /// Checks a field that is not one of references or samples as every sender writes them.
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

    /// Notes a run of references, or that there was one before.
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

//! The borrowed reader of a remote write 2.0 request: finds texts, series and samples where they stand in the body.
//!
//! It is two walks, as that of 1.0 ([`crate::remote::reader`]): [`RequestIndex::read`] checks the whole request as strictly as prost does,
//! then [`RequestIndex::series`] gives out views that decode in place. The texts may stand behind the series that refer to them, so
//! references are looked up in the second walk only.
//!
//! What a request means may be far larger than its bytes, as each text may be referred to often. Together the labels and
//! metadata of its series have no more bytes than a request may have: so nobody can make more of 2.0 than of 1.0.

use crate::remote::protobuf::{Cursor, DecodeError, MAX_DEPTH, WireType};
use crate::remote::reader::{CountLimits, ReadError};
use crate::remote::schema::{self, FIELD_LEVEL, SERIES_LEVEL};
use crate::remote::v2::refs::{LABELS_REFS, LABELS_REFS_KEY, check_refs, check_run};
use crate::remote::v2::sample::{decode_sample, usual_sample};
use crate::remote::v2::series::{EXEMPLARS, HISTOGRAMS, METADATA, SAMPLES, SAMPLES_KEY, Series, SeriesSpan};
use crate::remote::v2::symbols::{SYMBOLS_KEY, Symbols, SymbolsError};

/// Field numbers of `Request`.
const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;

/// A request may have so many texts, and beside them so many for each series that it may have.
const SYMBOLS_OF_REQUEST: u64 = 4096;
const SYMBOLS_OF_SERIES: u64 = 16;

/// How much one request may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Series and samples.
    pub counts: CountLimits,
    /// Bytes of the labels and metadata of all series, written out.
    pub text_bytes: usize,
}

/// Where the parts of a request lie.
#[derive(Debug, Default)]
pub struct RequestIndex {
    symbols: Symbols,
    series: Vec<SeriesSpan>,
    samples: u64,
    /// References that lead to labels and metadata.
    refs: u64,
    has_exemplars: bool,
}

impl RequestIndex {
    /// An index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and notes where its texts and series lie.
    ///
    /// # Errors
    /// [`ReadError`]; the index is then of no use.
    pub fn read(&mut self, body: &[u8], bounds: Bounds) -> Result<(), ReadError> {
        self.symbols.clear();
        self.series.clear();
        (self.samples, self.refs, self.has_exemplars) = (0, 0, false);
        if u32::try_from(body.len()).is_err() {
            return Err(ReadError::MalformedV2(DecodeError { what: "more than 4 GiB", offset: 0 }));
        }
        self.walk(body, bounds.counts).map_err(|error| match error {
            ReadError::Malformed(error) => ReadError::MalformedV2(error),
            other => other,
        })?;
        self.check_text_bytes(body, bounds.text_bytes)
    }

    fn walk(&mut self, body: &[u8], limits: CountLimits) -> Result<(), ReadError> {
        let max_symbols = limits.series.saturating_mul(SYMBOLS_OF_SERIES).saturating_add(SYMBOLS_OF_REQUEST);
        let judged = |result: Result<(), SymbolsError>| match result {
            Ok(()) => Ok(()),
            Err(SymbolsError::Malformed(error)) => Err(ReadError::Malformed(error)),
            Err(SymbolsError::TooMany) => Err(ReadError::TooManySymbols(max_symbols)),
        };
        let mut request = Cursor::new(body);
        while !request.is_at_end() {
            if let [SYMBOLS_KEY, ..] = request.rest() {
                judged(self.symbols.read_run(body, &mut request, max_symbols))?;
                continue;
            }
            let key = request.key()?;
            match key.field {
                SYMBOLS => {
                    request.expect(key, WireType::Length)?;
                    judged(self.symbols.read_one(body, &mut request, max_symbols))?;
                }
                TIMESERIES => {
                    request.expect(key, WireType::Length)?;
                    self.add(SeriesSpan::read(request.message()?)?, limits)?;
                }
                _ => request.skip_value(key, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, span: SeriesSpan, limits: CountLimits) -> Result<(), ReadError> {
        self.samples += u64::from(span.samples) + u64::from(span.exemplars) + u64::from(span.histograms);
        self.refs += u64::from(span.refs) + 2 * u64::from(span.has_metadata);
        self.has_exemplars |= span.exemplars > 0;
        self.series.push(span);
        if self.series.len() as u64 > limits.series {
            return Err(ReadError::TooManySeries(limits.series));
        }
        if self.samples > limits.samples {
            return Err(ReadError::TooManySamples(limits.samples));
        }
        Ok(())
    }

    fn check_text_bytes(&self, body: &[u8], limit: usize) -> Result<(), ReadError> {
        // Of all usual requests this is known without a look at each reference.
        if self.refs.saturating_mul(self.symbols.longest() as u64) <= limit as u64 {
            return Ok(());
        }
        let mut left = limit;
        for series in self.series(body) {
            left = left.checked_sub(series.text_bytes()).ok_or(ReadError::TooMuchText(limit))?;
        }
        Ok(())
    }

    /// The series of the request that was read; `body` must be the same bytes.
    pub fn series<'a>(&'a self, body: &'a [u8]) -> impl ExactSizeIterator<Item = Series<'a>> {
        self.series.iter().map(move |span| Series::new(body, &self.symbols, *span))
    }

    /// The texts of the request.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Whether any series of the request has an exemplar.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.has_exemplars
    }

    /// Bytes that the index keeps for the next request.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpan>() + self.symbols.kept_bytes()
    }
}

impl SeriesSpan {
    /// Checks one series.
    #[inline]
    fn read(mut series: Cursor<'_>) -> Result<Self, DecodeError> {
        let start = series.offset() as u32;
        let end = start + series.rest().len() as u32;
        let mut span = Self { start, end, refs_start: start, refs_end: start, ..Self::default() };
        while !series.is_at_end() {
            match series.rest() {
                [LABELS_REFS_KEY, ..] => {
                    series.skip(1);
                    let run = series.message()?;
                    span.note_run(run.offset(), series.offset());
                    span.refs += check_run(run)? as u32;
                }
                rest @ [SAMPLES_KEY, ..] => {
                    span.samples += 1;
                    match usual_sample(rest) {
                        Some(sample) => series.skip(sample.len),
                        None => {
                            series.skip(1);
                            decode_sample(series.message()?)?;
                        }
                    }
                }
                _ => span.read_other(&mut series)?,
            }
        }
        Ok(span)
    }

    /// Checks a field that is not one of references or samples as every sender writes them.
    fn read_other(&mut self, series: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let key = series.key()?;
        match key.field {
            LABELS_REFS => {
                self.refs += check_refs(series, key)? as u32;
                self.refs_split = true;
                return Ok(());
            }
            SAMPLES..=METADATA => series.expect(key, WireType::Length)?,
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
    fn note_run(&mut self, start: usize, end: usize) {
        if self.refs_start == self.start {
            (self.refs_start, self.refs_end) = (start as u32, end as u32);
        } else {
            self.refs_split = true;
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;

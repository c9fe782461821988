//! The borrowed reader of a router's request: finds series and tenants where they stand in the body.
//!
//! As in [`crate::remote::reader`], the whole request is checked, as strictly as prost does, before anything of it is stored, and a
//! series is the same there and here. Routers up to 0.37 fill the fields `timeseries` and `tenant`, later ones only
//! `timeseriesTenantData`; a request with both is not expected, but what is in either is read.

use crate::remote::protobuf::{Cursor, DecodeError, MAX_DEPTH, WireType};
use crate::remote::reader::CountLimits;
use crate::remote::schema::SERIES_LEVEL;
use crate::remote::series::{Series, SeriesSpan};

/// Field numbers of `thanos.WriteRequest`; the first two are those of `thanos.TimeSeriesTenantTuple` too.
const TIMESERIES: u32 = 1;
const TENANT: u32 = 2;
const REPLICA: u32 = 3;
const TENANT_DATA: u32 = 4;

/// How deep a tuple stands in the request, and a series in a tuple.
const TUPLE_LEVEL: u32 = 1;
const SERIES_IN_TUPLE_LEVEL: u32 = TUPLE_LEVEL + 1;

/// Why a body is not a request that can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is not the message, or not all of it.
    #[error("the message is not a thanos.WriteRequest: {0}")]
    Malformed(#[from] DecodeError),
    /// Too many series of all tenants together.
    #[error("the request has more than {0} series")]
    TooManySeries(u64),
    /// Too many samples of all tenants together.
    #[error("the request has more than {0} samples")]
    TooManySamples(u64),
    /// The names of the tenants, once for each series, are too much.
    #[error("the tenants of all series have more than {0} bytes together")]
    TooMuchTenant(usize),
}

impl ReadError {
    /// Whether it is no request at all, not one that is too large.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}

/// How much one request may hold, over all tenants.
#[derive(Debug, Clone, Copy)]
pub struct TenantLimits {
    /// Series and samples.
    pub counts: CountLimits,
    /// Bytes of the tenants' names, counted once for each series.
    pub tenant_bytes: usize,
}

/// Where the parts of a request lie.
#[derive(Debug, Default)]
pub struct TenantIndex {
    series: Vec<SeriesSpan>,
    /// In the order of the series; a tuple without a series has none.
    runs: Vec<Run>,
    /// The tenant of the series that stand in no tuple.
    tenant: Text,
    samples: u64,
    has_exemplars: bool,
}

/// Series that follow each other and are of one tenant.
#[derive(Debug, Clone, Copy)]
struct Run {
    series: u32,
    /// `None`: that of the request, which may come behind them.
    tenant: Option<Text>,
}

/// Where a text lies in the body, which is shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Text {
    start: u32,
    end: u32,
}

/// A series and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct OwnedSeries<'a> {
    /// The tenant, or empty where none was named.
    pub tenant: &'a str,
    /// The series as it was sent.
    pub series: Series<'a>,
}

impl TenantIndex {
    /// An index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and notes where its series lie.
    ///
    /// # Errors
    /// [`ReadError`]; the index is then of no use.
    pub fn read(&mut self, body: &[u8], limits: TenantLimits) -> Result<(), ReadError> {
        self.series.clear();
        self.runs.clear();
        self.tenant = Text::default();
        self.samples = 0;
        self.has_exemplars = false;
        if u32::try_from(body.len()).is_err() {
            return Err(DecodeError { what: "more than 4 GiB", offset: 0 }.into());
        }
        let mut request = Cursor::new(body);
        while !request.is_at_end() {
            let key = request.key()?;
            match key.field {
                TIMESERIES => {
                    request.expect(key, WireType::Length)?;
                    let span = SeriesSpan::read(body, request.message()?, SERIES_LEVEL)?;
                    self.add(span, limits.counts)?;
                    self.add_to_own_run();
                }
                TENANT => {
                    request.expect(key, WireType::Length)?;
                    self.tenant = Text::read(&mut request)?;
                }
                REPLICA => {
                    request.expect(key, WireType::Varint)?;
                    request.varint()?;
                }
                TENANT_DATA => {
                    request.expect(key, WireType::Length)?;
                    self.read_tuple(body, request.message()?, limits.counts)?;
                }
                _ => request.skip_value(key, MAX_DEPTH)?,
            }
        }
        self.check_tenants(limits.tenant_bytes)
    }

    /// Checks the series of one tenant.
    fn read_tuple(&mut self, body: &[u8], mut tuple: Cursor<'_>, limits: CountLimits) -> Result<(), ReadError> {
        let before = self.series.len();
        let mut tenant = Text::default();
        while !tuple.is_at_end() {
            let key = tuple.key()?;
            match key.field {
                TIMESERIES => {
                    tuple.expect(key, WireType::Length)?;
                    let span = SeriesSpan::read(body, tuple.message()?, SERIES_IN_TUPLE_LEVEL)?;
                    self.add(span, limits)?;
                }
                TENANT => {
                    tuple.expect(key, WireType::Length)?;
                    tenant = Text::read(&mut tuple)?;
                }
                _ => tuple.skip_value(key, MAX_DEPTH - TUPLE_LEVEL)?,
            }
        }
        let series = (self.series.len() - before) as u32;
        if series > 0 {
            self.runs.push(Run { series, tenant: Some(tenant) });
        }
        Ok(())
    }

    fn add(&mut self, span: SeriesSpan, limits: CountLimits) -> Result<(), ReadError> {
        self.samples += u64::from(span.samples) + u64::from(span.exemplars) + u64::from(span.histograms);
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

    /// Says that the newest series is the request's own tenant's.
    fn add_to_own_run(&mut self) {
        match self.runs.last_mut() {
            Some(Run { series, tenant: None }) => *series += 1,
            _ => self.runs.push(Run { series: 1, tenant: None }),
        }
    }

    /// A long name is written once and stored many times: it must not make much of little.
    fn check_tenants(&self, limit: usize) -> Result<(), ReadError> {
        let bytes = |run: &Run| u64::from(run.series) * run.tenant.unwrap_or(self.tenant).len();
        let all = self.runs.iter().map(bytes).fold(0, u64::saturating_add);
        if all > limit as u64 { Err(ReadError::TooMuchTenant(limit)) } else { Ok(()) }
    }

    /// The series of the request that was read; `body` must be the same bytes.
    pub fn series<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = OwnedSeries<'a>> {
        let mut rest = self.series.as_slice();
        self.runs.iter().flat_map(move |run| {
            let (spans, others) = rest.split_at(rest.len().min(run.series as usize));
            rest = others;
            let tenant = run.tenant.unwrap_or(self.tenant).of(body);
            spans.iter().map(move |span| OwnedSeries { tenant, series: Series::new(body, *span) })
        })
    }

    /// Whether any series of the request has an exemplar.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.has_exemplars
    }

    /// Bytes that the index keeps for the next request.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpan>() + self.runs.capacity() * size_of::<Run>()
    }
}

impl Text {
    /// Reads a text, which must be UTF-8.
    fn read(message: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let len = message.string()?.len();
        let end = message.offset();
        Ok(Self { start: (end - len) as u32, end: end as u32 })
    }

    fn len(self) -> u64 {
        u64::from(self.end - self.start)
    }

    /// The text, in the body in which it was found.
    fn of(self, body: &[u8]) -> &str {
        let bytes = body.get(self.start as usize..self.end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;

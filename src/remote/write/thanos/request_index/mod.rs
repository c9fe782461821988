//! Index of a router's request: positions of series and tenants in the body.
//!
//! As in [`crate::remote::write::v1::request_index`], the whole request is checked as strictly as
//! by prost, and only a [`ValidatedThanosWrite`] can be stored. Old routers fill the fields
//! `timeseries` and `tenant`, current ones `timeseriesTenantData`. A request with both is not
//! expected, but both are read.

use crate::ingest::write_request::RequestSize;
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::wire::schema::SERIES_LEVEL;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::v1::series::SeriesV1;
use crate::remote::write::v1::series_span::SeriesSpanV1;

/// Field numbers of `thanos.WriteRequest`; the first two are also those of
/// `thanos.TimeSeriesTenantTuple`.
const TIMESERIES: u32 = 1;
const TENANT: u32 = 2;
const REPLICA: u32 = 3;
const TENANT_DATA: u32 = 4;

/// Nesting depth of a tuple in the request, and of a series in a tuple.
const TUPLE_LEVEL: u32 = 1;
const SERIES_IN_TUPLE_LEVEL: u32 = TUPLE_LEVEL + 1;

/// Error of decoding a router's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeThanosRequestError {
    /// The message is malformed or truncated.
    #[error("the message is not a thanos.WriteRequest: {0}")]
    Malformed(#[from] DecodeMessageError),
    /// Too many series of all tenants together (limit).
    #[error("the request has more than {0} series")]
    TooManySeries(u64),
    /// Too many samples of all tenants together (limit).
    #[error("the request has more than {0} samples")]
    TooManySamples(u64),
    /// The tenant names, counted once per series, are too large (limit in bytes).
    #[error("tenant names exceed {0} bytes in total")]
    TenantNamesTooLarge(usize),
}

impl DecodeThanosRequestError {
    /// Returns `true` if the message is malformed, and `false` if it exceeds a limit.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}

/// Limits of one request, over all tenants.
#[derive(Debug, Clone, Copy)]
pub struct TenantLimits {
    /// Maximum number of series and samples.
    pub counts: CountLimits,
    /// Maximum size of tenant names, counted once per series, bytes.
    pub tenant_bytes: usize,
}

/// Positions of the parts of a request in its body.
#[derive(Debug, Default)]
pub struct ThanosRequestIndex {
    series: Vec<SeriesSpanV1>,
    /// Runs in the order of the series; a tuple without series has none.
    runs: Vec<TenantRun>,
    /// Tenant of the series outside of tuples.
    tenant: ByteSpan,
    samples: u64,
    has_exemplars: bool,
}

/// Consecutive series of one tenant.
#[derive(Debug, Clone, Copy)]
struct TenantRun {
    series: u32,
    /// `None`: the tenant of the request, which may follow the series.
    tenant: Option<ByteSpan>,
}

/// Position of a string in the body, which is shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct ByteSpan {
    start: u32,
    end: u32,
}

/// A series and its tenant.
#[derive(Debug, Clone, Copy)]
pub struct TenantSeriesV1<'a> {
    /// Tenant; empty if none was named.
    pub tenant: &'a str,
    /// Series as it was sent.
    pub series: SeriesV1<'a>,
}

impl ThanosRequestIndex {
    /// Checks a whole request and indexes its series.
    ///
    /// # Errors
    /// [`DecodeThanosRequestError`] if the body is malformed or exceeds a limit.
    pub fn validate<'a>(
        &'a mut self,
        body: &'a [u8],
        limits: TenantLimits,
    ) -> Result<ValidatedThanosWrite<'a>, DecodeThanosRequestError> {
        self.series.clear();
        self.runs.clear();
        self.tenant = ByteSpan::default();
        self.samples = 0;
        self.has_exemplars = false;
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
                    self.add(span, limits.counts)?;
                    self.add_to_own_run();
                }
                TENANT => {
                    request.expect_wire_type(key, WireType::Length)?;
                    self.tenant = ByteSpan::read(&mut request)?;
                }
                REPLICA => {
                    request.expect_wire_type(key, WireType::Varint)?;
                    request.varint()?;
                }
                TENANT_DATA => {
                    request.expect_wire_type(key, WireType::Length)?;
                    self.read_tuple(body, request.message()?, limits.counts)?;
                }
                _ => request.skip_value(key, MAX_DEPTH)?,
            }
        }
        self.check_tenants(limits.tenant_bytes)?;
        Ok(ValidatedThanosWrite { body, index: self })
    }

    /// Checks the series of one tuple.
    fn read_tuple(
        &mut self,
        body: &[u8],
        mut tuple: MessageCursor<'_>,
        limits: CountLimits,
    ) -> Result<(), DecodeThanosRequestError> {
        let before = self.series.len();
        let mut tenant = ByteSpan::default();
        while !tuple.is_at_end() {
            let key = tuple.key()?;
            match key.field {
                TIMESERIES => {
                    tuple.expect_wire_type(key, WireType::Length)?;
                    let span = SeriesSpanV1::read(body, tuple.message()?, SERIES_IN_TUPLE_LEVEL)?;
                    self.add(span, limits)?;
                }
                TENANT => {
                    tuple.expect_wire_type(key, WireType::Length)?;
                    tenant = ByteSpan::read(&mut tuple)?;
                }
                _ => tuple.skip_value(key, MAX_DEPTH - TUPLE_LEVEL)?,
            }
        }
        let series = (self.series.len() - before) as u32;
        if series > 0 {
            self.runs.push(TenantRun { series, tenant: Some(tenant) });
        }
        Ok(())
    }

    fn add(
        &mut self,
        span: SeriesSpanV1,
        limits: CountLimits,
    ) -> Result<(), DecodeThanosRequestError> {
        self.samples +=
            u64::from(span.samples) + u64::from(span.exemplars) + u64::from(span.histograms);
        self.has_exemplars |= span.exemplars > 0;
        self.series.push(span);
        if self.series.len() as u64 > limits.series {
            return Err(DecodeThanosRequestError::TooManySeries(limits.series));
        }
        if self.samples > limits.samples {
            return Err(DecodeThanosRequestError::TooManySamples(limits.samples));
        }
        Ok(())
    }

    /// Assigns the newest series to the tenant of the request.
    fn add_to_own_run(&mut self) {
        match self.runs.last_mut() {
            Some(TenantRun { series, tenant: None }) => *series += 1,
            _ => self.runs.push(TenantRun { series: 1, tenant: None }),
        }
    }

    /// Checks the size of tenant names. A name is sent once and stored per series, so a small
    /// request could become large.
    fn check_tenants(&self, limit: usize) -> Result<(), DecodeThanosRequestError> {
        let bytes =
            |run: &TenantRun| u64::from(run.series) * run.tenant.unwrap_or(self.tenant).len();
        let all = self.runs.iter().map(bytes).fold(0, u64::saturating_add);
        if all > limit as u64 {
            Err(DecodeThanosRequestError::TenantNamesTooLarge(limit))
        } else {
            Ok(())
        }
    }

    /// Returns the memory kept for the next request, bytes.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpanV1>()
            + self.runs.capacity() * size_of::<TenantRun>()
    }
}

/// A checked request with the body from which it was indexed.
#[derive(Debug, Clone, Copy)]
pub struct ValidatedThanosWrite<'a> {
    body: &'a [u8],
    index: &'a ThanosRequestIndex,
}

impl<'a> ValidatedThanosWrite<'a> {
    /// Returns the series of the request.
    pub fn series(&self) -> impl Iterator<Item = TenantSeriesV1<'a>> + use<'a> {
        let Self { body, index } = *self;
        let mut rest = index.series.as_slice();
        index.runs.iter().flat_map(move |run| {
            let (spans, others) = rest.split_at(rest.len().min(run.series as usize));
            rest = others;
            let tenant = run.tenant.unwrap_or(index.tenant).resolve(body);
            spans
                .iter()
                .map(move |span| TenantSeriesV1 { tenant, series: SeriesV1::new(body, *span) })
        })
    }

    /// Returns the size of the request, all tenants together.
    pub(crate) fn size(&self) -> RequestSize {
        RequestSize { series: self.index.series.len() as u64, samples: self.index.samples }
    }

    /// Returns `true` if any series of the request has an exemplar.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.index.has_exemplars
    }
}

impl ByteSpan {
    /// Reads a string, which must be UTF-8.
    fn read(message: &mut MessageCursor<'_>) -> Result<Self, DecodeMessageError> {
        let len = message.string()?.len();
        let end = message.offset();
        Ok(Self { start: (end - len) as u32, end: end as u32 })
    }

    fn len(self) -> u64 {
        u64::from(self.end - self.start)
    }

    /// Returns the string in the body in which it was found.
    fn resolve(self, body: &[u8]) -> &str {
        let bytes = body.get(self.start as usize..self.end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

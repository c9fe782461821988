//! Index of a remote write 1.0 request: positions of series, labels and samples in the body.
//!
//! # Passes
//! [`RequestIndexV1::validate`] checks the whole request as strictly as prost and indexes its
//! series. Only it creates a [`ValidatedWriteV1`], and only that can be stored, so a truncated
//! request stores nothing. [`ValidatedWriteV1::series`] returns views that decode in place
//! ([`crate::remote::write::v1::series`]). The index is reused: a similar request allocates
//! nothing.
//!
//! # Encodings
//! Everything that prost accepts is read: fields in any order, repeated (the last scalar wins) or
//! unknown, scattered labels, overlong lengths. The labels of a series are available as bytes only
//! if they are contiguous, as all known senders write them.

use crate::ingest::metadata::FamilyMetadata;
use crate::ingest::write_request::{RequestSize, SeriesVisitor, WriteRequest};
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor, WireType};
use crate::remote::wire::schema::{self, SERIES_LEVEL};
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::v1::metadata;
use crate::remote::write::v1::series::SeriesV1;
use crate::remote::write::v1::series_span::SeriesSpanV1;

/// Field numbers of `prometheus.WriteRequest`.
const TIMESERIES: u32 = 1;
const METADATA: u32 = 3;

/// Positions of the parts of a request in its body.
#[derive(Debug, Default)]
pub struct RequestIndexV1 {
    series: Vec<SeriesSpanV1>,
    samples: u64,
    has_exemplars: bool,
    has_metadata: bool,
}

impl RequestIndexV1 {
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
    fn size(&self) -> RequestSize {
        RequestSize { series: self.index.series.len() as u64, samples: self.index.samples }
    }

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

#[cfg(test)]
pub(crate) mod tests;

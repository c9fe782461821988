//! Series of a remote write 2.0 request, decoded in place; its labels are symbol references.
//!
//! A view exists only for a request that [`crate::remote::write::v2::request_index`] has checked,
//! so only references can be invalid.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::request_series::RequestSeries;
use crate::model::exemplar::Exemplar;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use crate::remote::wire::exemplar::ExemplarError;
use crate::remote::wire::histogram::storable_histogram_v2;
use crate::remote::wire::protobuf::{MAX_DEPTH, MessageCursor};
use crate::remote::wire::schema::SERIES_LEVEL;
use crate::remote::wire::symbol_ref_error::SymbolRefError;
use crate::remote::write::v2::exemplar::decode_exemplar;
use crate::remote::write::v2::label_bytes::encode_labels;
use crate::remote::write::v2::metadata;
use crate::remote::write::v2::refs::SymbolRefs;
use crate::remote::write::v2::sample::{decode_sample, decode_sample_fast};
use crate::remote::write::v2::series_span::{
    EXEMPLARS, HISTOGRAMS, METADATA, SAMPLES, SAMPLES_KEY, SeriesSpanV2,
};
use crate::remote::write::v2::symbols::SymbolIndex;

/// View of a series of a checked request.
#[derive(Debug, Clone, Copy)]
pub struct SeriesV2<'a> {
    body: &'a [u8],
    symbols: &'a SymbolIndex,
    span: SeriesSpanV2,
    label_bytes: Option<&'a [u8]>,
}

impl<'a> SeriesV2<'a> {
    /// Creates a view of the series at `span` of a checked request.
    pub(crate) fn new(body: &'a [u8], symbols: &'a SymbolIndex, span: SeriesSpanV2) -> Self {
        Self { body, symbols, span, label_bytes: None }
    }

    /// Encodes the labels into `buffer` if they are valid, for [`RequestSeries::label_bytes`].
    #[must_use]
    pub fn with_label_bytes<'b>(self, buffer: &'b mut Vec<u8>) -> SeriesV2<'b>
    where
        'a: 'b,
    {
        let label_bytes =
            encode_labels(buffer, self.body, self.symbols, self.refs()).then_some(&**buffer);
        SeriesV2 { label_bytes, ..self }
    }

    /// Returns `true` if the series has exemplars.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.span.exemplars > 0
    }

    /// Returns the size of labels and metadata with resolved symbols, bytes.
    pub(crate) fn string_bytes(&self) -> usize {
        let labels: usize = self.refs().map(|reference| self.symbols.len_of(reference)).sum();
        labels + self.metadata_fields().map_or(0, |fields| fields.string_bytes(self.symbols))
    }

    #[inline]
    fn refs(&self) -> SymbolRefs<'a> {
        if self.span.has_scattered_refs {
            SymbolRefs::from_message(self.cursor(self.span.start), SERIES_LEVEL)
        } else {
            SymbolRefs::from_run(MessageCursor::within(
                self.body,
                self.span.refs_start as usize,
                self.span.refs_end as usize,
            ))
        }
    }

    #[inline]
    fn cursor(&self, start: u32) -> MessageCursor<'a> {
        MessageCursor::within(self.body, start as usize, self.span.end as usize)
    }

    /// Returns the messages in `field`, which are `remaining` in number.
    #[inline]
    fn messages(&self, field: u32, remaining: u32) -> FieldMessages<'a> {
        // Everything else usually follows the references.
        let is_usual = !self.span.has_scattered_refs && self.span.refs_start <= self.span.start + 3;
        let start =
            if is_usual { self.span.refs_end.max(self.span.start) } else { self.span.start };
        FieldMessages { fields: self.cursor(start), field, remaining }
    }

    fn metadata_fields(&self) -> Option<metadata::MetadataFields> {
        if !self.span.has_metadata {
            return None;
        }
        let mut metadata = metadata::MetadataFields::default();
        let mut messages = self.messages(METADATA, u32::MAX);
        while let Some(message) = messages.find() {
            metadata.merge(message);
        }
        Some(metadata)
    }
}

impl RequestSeries for SeriesV2<'_> {
    type StringError = SymbolRefError;
    type ExemplarError = ExemplarError;

    #[inline]
    fn label_bytes(&self) -> Option<&[u8]> {
        self.label_bytes
    }

    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut refs = self.refs();
        std::iter::from_fn(move || {
            let (name, value) = (refs.next()?, refs.next()?);
            Some((
                self.symbols.get(self.body, name).ok()?,
                self.symbols.get(self.body, value).ok()?,
            ))
        })
    }

    fn label_error(&self) -> Option<SymbolRefError> {
        if self.span.refs % 2 == 1 {
            return Some(SymbolRefError::Odd(self.span.refs as usize));
        }
        let symbols = self.symbols.len();
        let invalid = self.refs().find(|reference| *reference as usize >= symbols);
        invalid.map(|reference| SymbolRefError::Outside { reference, symbols })
    }

    #[inline]
    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone {
        Samples { messages: self.messages(SAMPLES, self.span.samples) }
    }

    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, InvalidItem<HistogramError>>> + Clone {
        Histograms { messages: self.messages(HISTOGRAMS, self.span.histograms) }
    }

    fn exemplars(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Exemplar, InvalidItem<ExemplarError>>> {
        let (body, symbols) = (self.body, self.symbols);
        Exemplars { body, symbols, messages: self.messages(EXEMPLARS, self.span.exemplars) }
    }

    fn metadata(&self) -> Result<Option<MetadataRef<'_>>, SymbolRefError> {
        let Some(fields) = self.metadata_fields() else { return Ok(None) };
        let metadata = fields.resolve(self.body, self.symbols)?;
        Ok(if metadata.is_empty() { None } else { Some(metadata) })
    }
}

/// Iterator over the messages in one field of a checked series.
#[derive(Debug, Clone)]
struct FieldMessages<'a> {
    fields: MessageCursor<'a>,
    field: u32,
    remaining: u32,
}

impl<'a> FieldMessages<'a> {
    /// Counts a message down. Returns `None` if none remains.
    #[inline]
    fn count_down(&mut self) -> Option<()> {
        self.remaining = self.remaining.checked_sub(1)?;
        Some(())
    }

    /// Returns the next message. The series was checked, so an error means its end.
    fn find(&mut self) -> Option<MessageCursor<'a>> {
        while !self.fields.is_at_end() {
            let key = self.fields.key().ok()?;
            if key.field == self.field {
                return self.fields.message().ok();
            }
            self.fields.skip_value(key, MAX_DEPTH - SERIES_LEVEL).ok()?;
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining as usize, Some(self.remaining as usize))
    }
}

/// Iterator over the samples of a series.
#[derive(Debug, Clone)]
struct Samples<'a> {
    messages: FieldMessages<'a>,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    #[inline]
    fn next(&mut self) -> Option<Sample> {
        self.messages.count_down()?;
        if let rest @ [SAMPLES_KEY, ..] = self.messages.fields.rest()
            && let Some(sample) = decode_sample_fast(rest)
        {
            self.messages.fields.skip(sample.len);
            return Some(sample.sample.into());
        }
        self.messages.find().and_then(|message| decode_sample(message).ok()).map(Sample::from)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.messages.size_hint()
    }
}

impl ExactSizeIterator for Samples<'_> {}

/// Iterator over the native histograms of a series.
#[derive(Debug, Clone)]
struct Histograms<'a> {
    messages: FieldMessages<'a>,
}

impl Iterator for Histograms<'_> {
    type Item = Result<Sample, InvalidItem<HistogramError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.messages.count_down()?;
        self.messages.find().and_then(storable_histogram_v2)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.messages.size_hint()
    }
}

impl ExactSizeIterator for Histograms<'_> {}

/// Iterator over the exemplars of a series.
struct Exemplars<'a> {
    body: &'a [u8],
    symbols: &'a SymbolIndex,
    messages: FieldMessages<'a>,
}

impl Iterator for Exemplars<'_> {
    type Item = Result<Exemplar, InvalidItem<ExemplarError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.messages.count_down()?;
        self.messages.find().and_then(|message| decode_exemplar(self.body, self.symbols, message))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.messages.size_hint()
    }
}

impl ExactSizeIterator for Exemplars<'_> {}

//! Series of a remote write 1.0 request, decoded in place.
//!
//! A view exists only for a request that [`crate::remote::write::v1::request_index`] has checked,
//! so decoding cannot fail. An iterator that meets malformed bytes ends.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::request_series::RequestSeries;
use crate::model::exemplar::Exemplar;
use crate::model::float_sample::FloatSample;
use crate::model::sample::Sample;
use crate::remote::wire::exemplar::{ExemplarError, decode_exemplar};
use crate::remote::wire::histogram::storable_histogram;
use crate::remote::wire::label::decode_label;
use crate::remote::wire::protobuf::{FieldKey, MAX_DEPTH, MessageCursor};
use crate::remote::wire::schema::{FIELD_LEVEL, SERIES_LEVEL};
use crate::remote::write::v1::sample::{decode_sample, decode_sample_fast};
use crate::remote::write::v1::series_span::{
    EXEMPLARS, HISTOGRAMS, LABELS, SAMPLES, SAMPLES_KEY, SeriesSpanV1,
};
use std::convert::Infallible;

/// A view of one series of a checked request.
#[derive(Debug, Clone, Copy)]
pub struct SeriesV1<'a> {
    body: &'a [u8],
    span: SeriesSpanV1,
}

impl<'a> SeriesV1<'a> {
    /// Creates a view of the series at `span` of a checked request.
    pub(crate) fn new(body: &'a [u8], span: SeriesSpanV1) -> Self {
        Self { body, span }
    }

    /// Returns the bytes of all label fields, or `None` if they are not contiguous.
    #[must_use]
    pub fn packed_labels(&self) -> Option<&'a [u8]> {
        let SeriesSpanV1 { labels_start, labels_end, has_scattered_labels, .. } = self.span;
        if has_scattered_labels {
            None
        } else {
            self.body.get(labels_start as usize..labels_end as usize)
        }
    }

    /// Returns the labels in the order of the body, including empty and repeated ones.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut fields = self.fields(self.span.start);
        std::iter::from_fn(move || fields.find(LABELS).map(decode_label))
    }

    /// Returns the samples in the order of the body.
    #[must_use]
    pub fn samples(&self) -> Samples<'a> {
        // Samples usually follow the labels. Otherwise the search begins at the start of the
        // series.
        let start = if self.span.labels_start == self.span.start {
            self.span.labels_end
        } else {
            self.span.start
        };
        Samples { fields: self.fields(start), remaining: self.span.samples }
    }

    /// Returns the native histograms in the order of the body, each made storable or rejected.
    #[must_use]
    pub fn histograms(&self) -> Histograms<'a> {
        Histograms { fields: self.fields(self.span.start), remaining: self.span.histograms }
    }

    /// Returns the exemplars in the order of the body.
    #[must_use]
    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars { fields: self.fields(self.span.start), remaining: self.span.exemplars }
    }

    fn fields(&self, start: u32) -> FieldCursor<'a> {
        FieldCursor {
            cursor: MessageCursor::within(self.body, start as usize, self.span.end as usize),
        }
    }
}

impl RequestSeries for SeriesV1<'_> {
    type StringError = Infallible;
    type ExemplarError = ExemplarError;

    #[inline]
    fn label_bytes(&self) -> Option<&[u8]> {
        SeriesV1::packed_labels(self)
    }

    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        SeriesV1::labels(self)
    }

    #[inline]
    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone {
        SeriesV1::samples(self).map(Sample::from)
    }

    #[inline]
    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, InvalidItem<HistogramError>>> + Clone {
        SeriesV1::histograms(self)
    }

    #[inline]
    fn exemplars(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Exemplar, InvalidItem<ExemplarError>>> {
        SeriesV1::exemplars(self)
    }
}

/// The fields of a checked series.
#[derive(Debug, Clone)]
struct FieldCursor<'a> {
    cursor: MessageCursor<'a>,
}

impl<'a> FieldCursor<'a> {
    /// Returns the next message in `field`. The series was checked, so an error means its end.
    fn find(&mut self, field: u32) -> Option<MessageCursor<'a>> {
        while !self.cursor.is_at_end() {
            let key: FieldKey = self.cursor.key().ok()?;
            if key.field == field {
                return self.cursor.message().ok();
            }
            self.cursor.skip_value(key, MAX_DEPTH - SERIES_LEVEL).ok()?;
        }
        None
    }
}

/// Iterator over the samples of a series.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    fields: FieldCursor<'a>,
    remaining: u32,
}

impl Iterator for Samples<'_> {
    type Item = FloatSample;

    #[inline]
    fn next(&mut self) -> Option<FloatSample> {
        self.remaining = self.remaining.checked_sub(1)?;
        if let rest @ [SAMPLES_KEY, ..] = self.fields.cursor.rest()
            && let Some(sample) = decode_sample_fast(rest)
        {
            self.fields.cursor.skip(sample.len);
            return Some(sample.sample);
        }
        self.fields.find(SAMPLES).and_then(|message| decode_sample(message, FIELD_LEVEL).ok())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining as usize, Some(self.remaining as usize))
    }
}

impl ExactSizeIterator for Samples<'_> {}

/// Iterator over the native histograms of a series.
#[derive(Debug, Clone)]
pub struct Histograms<'a> {
    fields: FieldCursor<'a>,
    remaining: u32,
}

impl Iterator for Histograms<'_> {
    type Item = Result<Sample, InvalidItem<HistogramError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.fields.find(HISTOGRAMS).and_then(storable_histogram)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining as usize, Some(self.remaining as usize))
    }
}

impl ExactSizeIterator for Histograms<'_> {}

/// Iterator over the exemplars of a series.
#[derive(Debug, Clone)]
pub struct Exemplars<'a> {
    fields: FieldCursor<'a>,
    remaining: u32,
}

impl Iterator for Exemplars<'_> {
    type Item = Result<Exemplar, InvalidItem<ExemplarError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.fields.find(EXEMPLARS).and_then(decode_exemplar)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining as usize, Some(self.remaining as usize))
    }
}

impl ExactSizeIterator for Exemplars<'_> {}

//! Series of a request in any protocol: the interface between decoders and the ingester.
//!
//! A decoder checks a whole request before anything of it is stored, so decoding cannot fail.
//! Errors inside a well-formed message are returned with the item.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::model::exemplar::Exemplar;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use std::fmt;

/// A series of a checked request.
pub trait RequestSeries {
    /// Error of labels or metadata whose strings cannot be resolved;
    /// [`std::convert::Infallible`] if messages contain their strings.
    type StringError: fmt::Display;
    /// Error of the labels of an exemplar.
    type ExemplarError;

    /// Returns the labels in the format of [`crate::model::labels::Labels`] if that costs no work.
    ///
    /// They need not be canonical: a known series is found by equal bytes, any other by its labels.
    fn label_bytes(&self) -> Option<&[u8]>;

    /// Returns the labels as they were sent, including empty and repeated ones.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)>;

    /// Returns the error of the labels, if there is one. [`RequestSeries::labels`] then has only
    /// valid ones.
    fn label_error(&self) -> Option<Self::StringError> {
        None
    }

    /// Returns the float samples in the order of the request.
    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone;

    /// Returns the native histograms in the order of the request, each made storable or rejected.
    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, InvalidItem<HistogramError>>> + Clone;

    /// Returns the exemplars in the order of the request.
    fn exemplars(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Exemplar, InvalidItem<Self::ExemplarError>>>;

    /// Returns the metadata of the metric; `None` if the protocol or the sender has none per
    /// series.
    ///
    /// # Errors
    /// [`RequestSeries::StringError`] if its strings cannot be resolved.
    fn metadata(&self) -> Result<Option<MetadataRef<'_>>, Self::StringError> {
        Ok(None)
    }
}

//! Series of a write request in any protocol: the interface between request indexes and
//! `remote::ingester`.
//!
//! An index checks a whole request before anything of it is stored, so decoding cannot fail. Errors
//! inside a well-formed message are returned with the item.

use crate::model::exemplar::Exemplar;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use crate::remote::exemplar::RejectedExemplar;
use crate::remote::histogram::RejectedHistogram;
use crate::remote::symbol_ref_error::SymbolRefError;

/// A series of a checked request.
pub trait RequestSeries {
    /// Returns the labels in the format of [`crate::model::labels::Labels`] if that costs no work.
    ///
    /// They need not be canonical: a known series is found by equal bytes, any other by its labels.
    fn label_bytes(&self) -> Option<&[u8]>;

    /// Returns the labels as they were sent, including empty and repeated ones.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)>;

    /// Returns the error of the labels, if there is one. [`RequestSeries::labels`] then has only
    /// valid ones.
    fn label_error(&self) -> Option<SymbolRefError> {
        None
    }

    /// Returns the float samples in the order of the request.
    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone;

    /// Returns the native histograms in the order of the request, each made storable or rejected.
    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, RejectedHistogram>> + Clone;

    /// Returns the exemplars in the order of the request.
    fn exemplars(&self) -> impl ExactSizeIterator<Item = Result<Exemplar, RejectedExemplar>>;

    /// Returns the metadata of the metric; `None` if the protocol or the sender has none per
    /// series.
    ///
    /// # Errors
    /// [`SymbolRefError`] if its strings cannot be resolved.
    fn metadata(&self) -> Result<Option<MetadataRef<'_>>, SymbolRefError> {
        Ok(None)
    }
}

//! What a write request says of one series, in whatever protocol it came: the seam between the readers of requests and
//! `remote::storing`.
//!
//! A reader checks a whole request before anything of it is stored, so nothing here can fail; what a sender got wrong within a sound
//! message is said where it is asked for.

use crate::model::exemplar::Exemplar;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;
use crate::remote::exemplar::RejectedExemplar;
use crate::remote::histogram::RejectedHistogram;
use crate::remote::symbol_ref_error::SymbolRefError;

/// One series of a checked request.
pub trait RequestSeries {
    /// All labels in the form in which [`crate::model::labels::Labels`] keeps them, if they can be had without work; they
    /// need not be canonical: a series that is known is found by equal bytes, any other by its labels one by one.
    fn label_bytes(&self) -> Option<&[u8]>;

    /// The labels one by one as they were sent, also empty and repeated ones.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)>;

    /// Why the labels can't be read, where they can't; then [`RequestSeries::labels`] has what can be.
    fn label_error(&self) -> Option<SymbolRefError> {
        None
    }

    /// The floats, in the order of the request.
    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone;

    /// The native histograms in the order of the request, each one made storable or refused.
    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, RejectedHistogram>> + Clone;

    /// The exemplars, in the order of the request.
    fn exemplars(&self) -> impl ExactSizeIterator<Item = Result<Exemplar, RejectedExemplar>>;

    /// What is said of the metric; `None` where the protocol, or the sender, says it elsewhere or nowhere.
    ///
    /// # Errors
    /// [`SymbolRefError`] where its texts can't be read.
    fn metadata(&self) -> Result<Option<MetadataRef<'_>>, SymbolRefError> {
        Ok(None)
    }
}

//! Request of several series in any protocol: the interface of [`crate::ingest::ingester`].

use crate::ingest::metadata::FamilyMetadata;
use crate::ingest::request_series::RequestSeries;

/// A checked request. It is visited twice, because an exemplar may precede the samples of its
/// series.
pub trait WriteRequest {
    /// Whether a series without samples, histograms and exemplars is rejected.
    const REJECTS_EMPTY_SERIES: bool = false;

    /// Returns the size of the request, for limits in a dry run.
    fn size(&self) -> RequestSize;

    /// Visits every series in the order of the request.
    fn visit_series(&mut self, visitor: &mut impl SeriesVisitor);

    /// Visits every series that has exemplars, in the order of the request.
    ///
    /// The positions are those of [`WriteRequest::visit_series`].
    fn visit_exemplar_series(&mut self, visitor: &mut impl SeriesVisitor);

    /// Returns the metadata of metric families; empty if the protocol has none.
    fn families(&self) -> impl Iterator<Item = FamilyMetadata<'_>> {
        std::iter::empty()
    }
}

/// Numbers of items in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSize {
    /// Smallest limit of series that admits the request.
    pub series: u64,
    /// Number of samples, histograms and exemplars.
    pub samples: u64,
}

/// Visitor of the series of a request. Series borrow buffers of the request, so they cannot be
/// items of an iterator.
pub trait SeriesVisitor {
    /// Visits the series at `position` of the request.
    fn visit(&mut self, position: usize, series: &impl RequestSeries);
}

//! Series and requests in memory, for tests of the ingester without a wire format.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::metadata::FamilyMetadata;
use crate::ingest::request_series::RequestSeries;
use crate::ingest::write_request::{RequestSize, SeriesVisitor, WriteRequest};
use crate::model::exemplar::Exemplar;
use crate::model::metadata::MetadataRef;
use crate::model::sample::Sample;

/// A series with everything that a protocol can return.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestSeries {
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    /// Bytes of the labels, if the protocol has them.
    pub(crate) label_bytes: Option<Vec<u8>>,
    pub(crate) label_error: Option<&'static str>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) histograms: Vec<Result<Sample, InvalidItem<HistogramError>>>,
    pub(crate) exemplars: Vec<Result<Exemplar, InvalidItem<&'static str>>>,
    pub(crate) metadata: Option<Result<MetadataRef<'static>, &'static str>>,
}

impl TestSeries {
    pub(crate) fn new(labels: &[(&'static str, &'static str)]) -> Self {
        Self { labels: labels.to_vec(), ..Self::default() }
    }
}

impl RequestSeries for TestSeries {
    type StringError = &'static str;
    type ExemplarError = &'static str;

    fn label_bytes(&self) -> Option<&[u8]> {
        self.label_bytes.as_deref()
    }

    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().copied()
    }

    fn label_error(&self) -> Option<&'static str> {
        self.label_error
    }

    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone {
        self.samples.iter().cloned()
    }

    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, InvalidItem<HistogramError>>> + Clone {
        self.histograms.iter().cloned()
    }

    fn exemplars(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Exemplar, InvalidItem<&'static str>>> {
        self.exemplars.iter().cloned()
    }

    fn metadata(&self) -> Result<Option<MetadataRef<'_>>, &'static str> {
        self.metadata.transpose()
    }
}

/// A request that rejects empty series.
#[derive(Debug)]
pub(crate) struct TestRequest {
    pub(crate) series: Vec<TestSeries>,
    pub(crate) families: Vec<FamilyMetadata<'static>>,
}

impl WriteRequest for TestRequest {
    const REJECTS_EMPTY_SERIES: bool = true;

    fn size(&self) -> RequestSize {
        let samples = self.series.iter().map(|series| series.samples.len() as u64).sum();
        RequestSize { series: self.series.len() as u64, samples }
    }

    fn visit_series(&mut self, visitor: &mut impl SeriesVisitor) {
        self.series
            .iter()
            .enumerate()
            .for_each(|(position, series)| visitor.visit(position, series));
    }

    fn visit_exemplar_series(&mut self, visitor: &mut impl SeriesVisitor) {
        self.series
            .iter()
            .enumerate()
            .filter(|(_, series)| !series.exemplars.is_empty())
            .for_each(|(position, series)| visitor.visit(position, series));
    }

    fn families(&self) -> impl Iterator<Item = FamilyMetadata<'_>> {
        self.families.iter().copied()
    }
}

//! Series of a router's request with the tenant label, as it is stored.

use crate::ingest::item_error::{HistogramError, InvalidItem};
use crate::ingest::request_series::RequestSeries;
use crate::model::exemplar::Exemplar;
use crate::model::sample::Sample;
use crate::remote::wire::exemplar::ExemplarError;
use crate::remote::write::thanos::request_index::TenantSeriesV1;
use crate::remote::write::thanos::tenant::{TenantLabel, TenantLabelPair};
use crate::remote::write::v1::series::SeriesV1;
use std::convert::Infallible;

/// A series with the label of its tenant.
#[derive(Debug)]
pub(crate) struct LabeledTenantSeries<'a> {
    series: SeriesV1<'a>,
    tenant: Option<TenantLabelPair<'a>>,
    /// All labels as bytes, if the sender's labels are contiguous.
    label_bytes: Option<&'a [u8]>,
}

impl<'a> LabeledTenantSeries<'a> {
    /// Adds the tenant label to a series. `buffer` receives the labels.
    pub(crate) fn new(
        tenant_series: TenantSeriesV1<'a>,
        tenants: &'a TenantLabel,
        buffer: &'a mut Vec<u8>,
    ) -> Self {
        let TenantSeriesV1 { tenant, series } = tenant_series;
        let tenant = tenants.for_tenant(tenant);
        let sent = series.packed_labels();
        let label_bytes = match tenant {
            Some(label) => sent
                .filter(|label_bytes| label.insert_sorted(label_bytes, buffer))
                .map(|_| buffer.as_slice()),
            None => sent,
        };
        Self { series, tenant, label_bytes }
    }
}

impl RequestSeries for LabeledTenantSeries<'_> {
    type StringError = Infallible;
    type ExemplarError = ExemplarError;

    #[inline]
    fn label_bytes(&self) -> Option<&[u8]> {
        self.label_bytes
    }

    /// The tenant label replaces the first label of its name, or follows the others.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut sent = self.series.labels();
        let mut tenant = self.tenant;
        std::iter::from_fn(move || match sent.next() {
            Some((name, _)) if tenant.is_some_and(|label| label.name == name) => {
                tenant.take().map(pair)
            }
            None => tenant.take().map(pair),
            other => other,
        })
    }

    #[inline]
    fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone {
        RequestSeries::samples(&self.series)
    }

    #[inline]
    fn histograms(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Sample, InvalidItem<HistogramError>>> + Clone {
        RequestSeries::histograms(&self.series)
    }

    #[inline]
    fn exemplars(
        &self,
    ) -> impl ExactSizeIterator<Item = Result<Exemplar, InvalidItem<ExemplarError>>> {
        RequestSeries::exemplars(&self.series)
    }
}

fn pair(label: TenantLabelPair<'_>) -> (&str, &str) {
    (label.name, label.value)
}

//! One series of a router's request with its tenant's label, as it is stored.

use crate::model::exemplar::Exemplar;
use crate::model::sample::Sample;
use crate::remote::exemplar::RejectedExemplar;
use crate::remote::histogram::RejectedHistogram;
use crate::remote::request_series::RequestSeries;
use crate::remote::series_v1::SeriesV1;
use crate::remote::thanos::request_index::TenantSeriesV1;
use crate::remote::thanos::tenant::{TenantLabel, TenantLabelPair};

/// A series and the label that its tenant gives it.
#[derive(Debug)]
pub(crate) struct LabeledTenantSeries<'a> {
    series: SeriesV1<'a>,
    tenant: Option<TenantLabelPair<'a>>,
    /// All labels in one run of bytes, where the sender's are.
    packed: Option<&'a [u8]>,
}

impl<'a> LabeledTenantSeries<'a> {
    /// Gives a series its tenant's label; the labels are put together in the buffer.
    pub(crate) fn new(
        owned: TenantSeriesV1<'a>,
        tenants: &'a TenantLabel,
        buffer: &'a mut Vec<u8>,
    ) -> Self {
        let TenantSeriesV1 { tenant, series } = owned;
        let tenant = tenants.for_tenant(tenant);
        let sent = series.packed_labels();
        let packed = match tenant {
            Some(label) => {
                sent.filter(|packed| label.insert_sorted(packed, buffer)).map(|_| buffer.as_slice())
            }
            None => sent,
        };
        Self { series, tenant, packed }
    }
}

impl RequestSeries for LabeledTenantSeries<'_> {
    #[inline]
    fn label_bytes(&self) -> Option<&[u8]> {
        self.packed
    }

    /// The tenant's label stands in the place of the first one of its name, else behind the others.
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
    ) -> impl ExactSizeIterator<Item = Result<Sample, RejectedHistogram>> + Clone {
        RequestSeries::histograms(&self.series)
    }

    #[inline]
    fn exemplars(&self) -> impl ExactSizeIterator<Item = Result<Exemplar, RejectedExemplar>> {
        RequestSeries::exemplars(&self.series)
    }
}

fn pair(label: TenantLabelPair<'_>) -> (&str, &str) {
    (label.name, label.value)
}

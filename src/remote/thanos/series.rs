//! One series of a router's request with its tenant's label, as it is stored.

use crate::model::exemplar::Exemplar;
use crate::model::value::Point;
use crate::remote::exemplar::RefusedExemplar;
use crate::remote::histogram::RefusedHistogram;
use crate::remote::request_series::RequestSeries;
use crate::remote::series::Series;
use crate::remote::thanos::reader::OwnedSeries;
use crate::remote::thanos::tenant::{Label, TenantLabel};

/// A series and the label that its tenant gives it.
#[derive(Debug)]
pub(crate) struct TenantSeries<'a> {
    series: Series<'a>,
    tenant: Option<Label<'a>>,
    /// All labels in one run of bytes, where the sender's are.
    packed: Option<&'a [u8]>,
}

impl<'a> TenantSeries<'a> {
    /// Gives a series its tenant's label; the labels are put together in the buffer.
    pub(crate) fn new(owned: OwnedSeries<'a>, tenants: &'a TenantLabel, buffer: &'a mut Vec<u8>) -> Self {
        let OwnedSeries { tenant, series } = owned;
        let tenant = tenants.of(tenant);
        let sent = series.packed_labels();
        let packed = match tenant {
            Some(label) => sent.filter(|packed| label.splice(packed, buffer)).map(|_| buffer.as_slice()),
            None => sent,
        };
        Self { series, tenant, packed }
    }
}

impl RequestSeries for TenantSeries<'_> {
    #[inline]
    fn packed_labels(&self) -> Option<&[u8]> {
        self.packed
    }

    /// The tenant's label stands in the place of the first one of its name, else behind the others.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut sent = self.series.labels();
        let mut tenant = self.tenant;
        std::iter::from_fn(move || match sent.next() {
            Some((name, _)) if tenant.is_some_and(|label| label.name == name) => tenant.take().map(pair),
            None => tenant.take().map(pair),
            other => other,
        })
    }

    #[inline]
    fn samples(&self) -> impl ExactSizeIterator<Item = Point> + Clone {
        RequestSeries::samples(&self.series)
    }

    #[inline]
    fn histograms(&self) -> impl ExactSizeIterator<Item = Result<Point, RefusedHistogram>> + Clone {
        RequestSeries::histograms(&self.series)
    }

    #[inline]
    fn exemplars(&self) -> impl ExactSizeIterator<Item = Result<Exemplar, RefusedExemplar>> {
        RequestSeries::exemplars(&self.series)
    }
}

fn pair(label: Label<'_>) -> (&str, &str) {
    (label.name, label.value)
}

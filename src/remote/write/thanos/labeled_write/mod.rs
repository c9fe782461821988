//! Router's request with tenant labels, as it is stored.

use crate::ingest::write_request::{RequestSize, SeriesVisitor, WriteRequest};
use crate::remote::write::thanos::request_index::ValidatedThanosWrite;
use crate::remote::write::thanos::series::LabeledTenantSeries;
use crate::remote::write::thanos::tenant::TenantLabel;

/// A checked request, the name of the tenant label, and a buffer for the labels of one series.
#[derive(Debug)]
pub(crate) struct LabeledThanosWrite<'a> {
    pub(crate) request: ValidatedThanosWrite<'a>,
    pub(crate) tenants: &'a TenantLabel,
    pub(crate) labels: &'a mut Vec<u8>,
}

impl WriteRequest for LabeledThanosWrite<'_> {
    fn size(&self) -> RequestSize {
        self.request.size()
    }

    fn visit_series(&mut self, visitor: &mut impl SeriesVisitor) {
        for (position, series) in self.request.series().enumerate() {
            let series = LabeledTenantSeries::new(series, self.tenants, self.labels);
            visitor.visit(position, &series);
        }
    }

    fn visit_exemplar_series(&mut self, visitor: &mut impl SeriesVisitor) {
        if !self.request.has_exemplars() {
            return;
        }
        for (position, series) in self.request.series().enumerate() {
            if series.series.exemplars().len() > 0 {
                let series = LabeledTenantSeries::new(series, self.tenants, self.labels);
                visitor.visit(position, &series);
            }
        }
    }
}

#[cfg(test)]
mod tests;

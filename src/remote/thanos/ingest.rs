//! Storage of a router's request: all series with their tenant labels.

use crate::ingest::ingester::RequestIngester;
use crate::remote::thanos::request_index::{
    DecodeThanosRequestError, TenantLimits, ThanosRequestIndex,
};
use crate::remote::thanos::series::LabeledTenantSeries;
use crate::remote::thanos::tenant::TenantLabel;

/// Buffers of a request; reused, so that a similar request allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct ThanosBuffers {
    index: ThanosRequestIndex,
    /// Labels of one series.
    labels: Vec<u8>,
}

impl ThanosBuffers {
    /// Checks a whole request.
    ///
    /// # Errors
    /// [`DecodeThanosRequestError`]; the request must not be stored then.
    pub(crate) fn read(
        &mut self,
        body: &[u8],
        limits: TenantLimits,
    ) -> Result<(), DecodeThanosRequestError> {
        self.index.read(body, limits)
    }

    /// Stores the request that was read. `body` must be the same bytes.
    pub(crate) fn store(
        &mut self,
        body: &[u8],
        tenants: &TenantLabel,
        ingester: &mut RequestIngester<'_>,
    ) {
        let Self { index, labels } = self;
        for tenant_series in index.series(body) {
            ingester.ingest_samples(&LabeledTenantSeries::new(tenant_series, tenants, labels));
        }
        // Exemplars follow all samples: an exemplar may precede its series in the request.
        if index.has_exemplars() {
            let with_exemplars = index
                .series(body)
                .filter(|tenant_series| tenant_series.series.exemplars().len() > 0);
            for tenant_series in with_exemplars {
                ingester.store_exemplars(&LabeledTenantSeries::new(tenant_series, tenants, labels));
            }
        }
    }

    /// Returns the memory kept for the next request, bytes.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.index.retained_bytes() + self.labels.capacity()
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;

//! All series of a router's request, each with its tenant's label, into the database.

use crate::remote::ingester::RequestIngester;
use crate::remote::thanos::request_index::{
    DecodeThanosRequestError, TenantLimits, ThanosRequestIndex,
};
use crate::remote::thanos::series::LabeledTenantSeries;
use crate::remote::thanos::tenant::TenantLabel;

/// What a request needs while it is stored; for the next one like it nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct ThanosBuffers {
    index: ThanosRequestIndex,
    /// The labels of one series.
    labels: Vec<u8>,
}

impl ThanosBuffers {
    /// Checks a whole request.
    ///
    /// # Errors
    /// [`DecodeThanosRequestError`]; then nothing may be stored.
    pub(crate) fn read(
        &mut self,
        body: &[u8],
        limits: TenantLimits,
    ) -> Result<(), DecodeThanosRequestError> {
        self.index.read(body, limits)
    }

    /// Stores the request that was read; `body` must be the same bytes.
    pub(crate) fn store(
        &mut self,
        body: &[u8],
        tenants: &TenantLabel,
        storing: &mut RequestIngester<'_>,
    ) {
        let Self { index, labels } = self;
        for owned in index.series(body) {
            storing.ingest_samples(&LabeledTenantSeries::new(owned, tenants, labels));
        }
        // Behind all points: an exemplar may stand in front of the series that it is of.
        if index.has_exemplars() {
            let with_exemplars =
                index.series(body).filter(|owned| owned.series.exemplars().len() > 0);
            for owned in with_exemplars {
                storing.store_exemplars(&LabeledTenantSeries::new(owned, tenants, labels));
            }
        }
    }

    /// Bytes that are kept for the next request.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.index.retained_bytes() + self.labels.capacity()
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;

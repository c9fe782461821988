//! Writer of remote write.

use crate::metrics::registry::Registry;
use crate::remote::write::RemoteWriter;
use crate::remote::write::limits::WriteLimits;
use crate::remote::write::metrics::WriteMetrics;
use crate::remote::write::thanos::tenant::TenantLabel;

/// Limits of a write request.
#[derive(Debug, Clone)]
pub(crate) struct WriteConfig {
    pub(crate) limits: WriteLimits,
    /// Label that stores the tenant of a Thanos Receive router; empty = none.
    pub(crate) tenant_label: String,
}

impl WriteConfig {
    pub(crate) fn writer(&self, registry: &mut Registry) -> RemoteWriter {
        RemoteWriter::new(self.limits, WriteMetrics::register(registry))
            .with_tenants(TenantLabel::new(&self.tenant_label))
    }
}

//! Flags of the Thanos services.

use crate::model::labels::METRIC_NAME;
use clap::Args;

/// Maximum length of the tenant label name, bytes.
const MAX_TENANT_LABEL_NAME: usize = 128;

/// Flags of the Thanos services.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Thanos")]
pub struct ThanosFlags {
    /// Label that stores the tenant sent by a Thanos Receive router. Empty = tenants are ignored.
    #[arg(
        long = "thanos.tenant-label-name", value_name = "NAME", default_value = "tenant_id",
        value_parser = tenant_label
    )]
    pub tenant_label: String,
}

/// Parses the tenant label name. `__name__` is reserved for the metric.
fn tenant_label(text: &str) -> Result<String, String> {
    if text == METRIC_NAME {
        return Err("it must not be __name__".to_owned());
    }
    if text.len() > MAX_TENANT_LABEL_NAME {
        return Err(format!("it must have at most {MAX_TENANT_LABEL_NAME} bytes"));
    }
    Ok(text.to_owned())
}

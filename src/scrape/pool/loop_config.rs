//! Configuration of the loop of a target.

use crate::scrape::pool::job::{JobSettings, TargetSpec};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::settings::UnitSettings;
use std::sync::Arc;

/// Configuration of a loop. A new one takes effect at the next scrape.
pub(super) struct LoopConfig {
    pub(super) target: Arc<TargetSpec>,
    pub(super) job: JobSettings,
    pub(super) unit: Arc<UnitSettings>,
    /// Error that fails every scrape.
    pub(super) forced_error: Option<ScrapeError>,
}

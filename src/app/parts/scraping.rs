//! Scraper and discovery.

use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::providers::Providers;
use crate::discovery::providers::updates::TargetUpdates;
use crate::ingest::limits::IngestLimits;
use crate::ingest::rejection_log::RejectionLog;
use crate::metrics::registry::Registry;
use crate::scrape::clock::ScrapeClock;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pool::shared::{ScrapeOptions, ScrapeShared};
use crate::scrape::scraper::Scraper;
use crate::scrape::unit::settings::StartTimestamps;
use crate::tsdb::db::DbHandle;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Settings of scraping, from flags.
#[derive(Debug, Clone)]
pub(crate) struct ScrapingConfig {
    pub(crate) options: ScrapeOptions,
    pub(crate) limits: IngestLimits,
    pub(crate) start_timestamps: StartTimestamps,
    /// Maximum delay of an update of the targets.
    pub(crate) discovery_interval: Duration,
}

/// Scraper without jobs, and discovery without providers.
pub(crate) struct ScrapingParts {
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) providers: Providers,
    pub(crate) updates: TargetUpdates,
    pub(crate) start_timestamps: StartTimestamps,
}

impl std::fmt::Debug for ScrapingParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapingParts").finish_non_exhaustive()
    }
}

impl ScrapingParts {
    /// Builds the parts and registers their metrics. Call it within a runtime.
    pub(super) fn build(
        config: &ScrapingConfig,
        db: Arc<DbHandle>,
        rejections: Arc<RejectionLog>,
        registry: &mut Registry,
    ) -> Self {
        let shared = Arc::new(ScrapeShared::new(
            db,
            config.limits,
            rejections,
            ScrapeClock::system(),
            ScrapeMetrics::register(registry),
            config.options,
        ));
        let measured = Arc::clone(&shared);
        registry.gauge_fn(
            "narthex_scrape_body_bytes_in_flight",
            "Memory of the response bodies of all scrapes, limited by \
             --scrape.max-bytes-in-flight.",
            move || measured.body_bytes_in_flight() as f64,
        );
        let (providers, updates) = Providers::new(
            config.discovery_interval,
            Environment::default(),
            DiscoveryMetrics::register(registry),
        );
        Self {
            scraper: Arc::new(Scraper::new(shared, Handle::current())),
            providers,
            updates,
            start_timestamps: config.start_timestamps,
        }
    }
}

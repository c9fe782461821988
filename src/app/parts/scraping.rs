//! Scraper and discovery.

use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::providers::Providers;
use crate::discovery::providers::updates::TargetUpdates;
use crate::ingest::limits::IngestLimits;
use crate::ingest::rejection_log::RejectionLog;
use crate::metrics::registry::Registry;
use crate::scrape::cache::metadata::MetadataSize;
use crate::scrape::clock::ScrapeClock;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pool::shared::{ScrapeOptions, ScrapeShared};
use crate::scrape::scraper::Scraper;
use crate::scrape::threads::ScrapeThreads;
use crate::scrape::unit::settings::StartTimestamps;
use crate::tsdb::db::DbHandle;
use std::io;
use std::sync::Arc;
use std::time::Duration;

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

/// Registers the sizes of the metadata of each job, under Prometheus's names.
fn register_metadata_sizes(scraper: &Arc<Scraper>, registry: &mut Registry) {
    let mut gauges = |name, help, value: fn(MetadataSize) -> usize| {
        let scraper = Arc::clone(scraper);
        registry.gauge_family_fn(name, help, move || {
            let sizes = scraper.metadata_sizes().into_iter();
            let of_job = |job: Arc<str>| vec![("scrape_job", job.to_string())];
            sizes.map(|(job, size)| (of_job(job), value(size) as f64)).collect()
        });
    };
    gauges(
        "prometheus_target_metadata_cache_entries",
        "Total number of metric metadata entries in the cache.",
        |size| size.entries,
    );
    gauges(
        "prometheus_target_metadata_cache_bytes",
        "The number of bytes that are currently used for storing metric metadata in the cache.",
        |size| size.bytes,
    );
}

impl ScrapingParts {
    /// Builds the parts and registers their metrics. Call it within a runtime.
    ///
    /// # Errors
    /// A thread of the scraper cannot be created.
    pub(super) fn build(
        config: &ScrapingConfig,
        db: Arc<DbHandle>,
        rejections: Arc<RejectionLog>,
        registry: &mut Registry,
    ) -> io::Result<Self> {
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
        let scraper = Arc::new(Scraper::new(shared, ScrapeThreads::start()?));
        register_metadata_sizes(&scraper, registry);
        Ok(Self { scraper, providers, updates, start_timestamps: config.start_timestamps })
    }
}

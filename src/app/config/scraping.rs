//! Settings of scraping, from flags.

use crate::app::config::writes;
use crate::app::parts::scraping::ScrapingConfig;
use crate::config::file::options::FeatureDefaults;
use crate::config::flags::ServeFlags;
use crate::config::flags::features::Feature;
use crate::remote::external_labels::ExternalLabels;
use crate::scrape::plan::offset::server_seed;
use crate::scrape::pool::shared::ScrapeOptions;
use crate::scrape::unit::settings::StartTimestamps;
use crate::server::management::host_name::host_name;

/// Returns the settings of scraping. Labels that distinguish this server from others also move its
/// scrapes within their interval.
pub(super) fn scraping_config(
    flags: &ServeFlags,
    external_labels: &ExternalLabels,
) -> ScrapingConfig {
    let scrape = &flags.scrape;
    // Without a name, servers with equal labels only scrape at the same time.
    let host_name = host_name();
    ScrapingConfig {
        options: ScrapeOptions {
            timestamp_tolerance: scrape.tolerance(),
            max_body_size: scrape.max_body_size.as_usize(),
            max_bytes_in_flight: scrape.max_bytes_in_flight.as_usize(),
            accept_zstd: scrape.accept_zstd,
            server_seed: server_seed(&host_name, external_labels.labels()),
        },
        limits: writes::write_limits(flags).items,
        start_timestamps: start_timestamps(flags),
        discovery_interval: scrape.discovery_reload_interval,
    }
}

/// Returns the defaults of the configuration file that features change.
pub(super) fn feature_defaults(flags: &ServeFlags) -> FeatureDefaults {
    FeatureDefaults {
        protobuf_first: start_timestamps(flags) != StartTimestamps::Ignore,
        extra_scrape_metrics: flags.storage.features.contains(&Feature::ExtraScrapeMetrics),
    }
}

fn start_timestamps(flags: &ServeFlags) -> StartTimestamps {
    let features = &flags.storage.features;
    if features.contains(&Feature::StStorage) {
        StartTimestamps::Store
    } else if features.contains(&Feature::CreatedTimestampZeroIngestion) {
        StartTimestamps::StoreZero
    } else {
        StartTimestamps::Ignore
    }
}

//! Jobs of a configuration, with everything that can fail created.

use crate::app::scraping::error::PrepareScrapingError;
use crate::app::scraping::self_scrape::SelfScrape;
use crate::config::file::contents::ConfigFile;
use crate::config::file::scrape::job::ScrapeJob;
use crate::discovery::providers::{JobConfigs, PreparedProviders, Providers};
use crate::http_client::USER_AGENT;
use crate::http_client::client::HttpClient;
use crate::scrape::pool::job::JobSettings;
use crate::scrape::request::client_exchange::ClientExchange;
use crate::scrape::request::fetch::Exchange;
use crate::scrape::unit::settings::StartTimestamps;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Jobs and providers of a configuration that is ready to be applied.
pub(crate) struct PreparedJobs {
    pub(super) jobs: Vec<JobSettings>,
    pub(super) providers: PreparedProviders,
}

/// Parts that the jobs of every configuration use.
pub(super) struct JobParts<'a> {
    pub(super) providers: &'a Providers,
    pub(super) start_timestamps: StartTimestamps,
    pub(super) self_scrape: Option<&'a SelfScrape>,
}

impl PreparedJobs {
    /// Prepares the jobs of `file`. A job of `old` whose client has equal settings lends it, with
    /// its connections.
    pub(super) fn new(
        file: &ConfigFile,
        old: &BTreeMap<String, JobSettings>,
        parts: &JobParts<'_>,
    ) -> Result<Self, PrepareScrapingError> {
        let settings =
            |job: Arc<ScrapeJob>, exchange| JobSettings::new(job, exchange, parts.start_timestamps);
        let mut jobs = Vec::new();
        for job in file.scrape.all_jobs() {
            let job = Arc::new(job.clone());
            let exchange = exchange(&job, old.get(&job.name))?;
            jobs.push(settings(job, exchange));
        }
        if let Some(own) = parts.self_scrape {
            let job = own.job(&file.global.scrape);
            if jobs.iter().any(|other: &JobSettings| other.config.name == job.name) {
                return Err(PrepareScrapingError::SelfScrapeName(job.name));
            }
            jobs.push(settings(Arc::new(job), own.exchange()));
        }
        let configs: JobConfigs = jobs
            .iter()
            .map(|job| (job.config.name.clone(), job.config.discoveries.clone()))
            .collect();
        Ok(Self { jobs, providers: parts.providers.prepare(&configs)? })
    }
}

fn exchange(
    job: &ScrapeJob,
    old: Option<&JobSettings>,
) -> Result<Arc<dyn Exchange>, PrepareScrapingError> {
    if let Some(old) = old.filter(|old| old.config.http_client == job.http_client) {
        return Ok(Arc::clone(&old.exchange));
    }
    let client = HttpClient::new(&job.http_client, USER_AGENT, &|name| std::env::var(name).ok())
        .map_err(|source| PrepareScrapingError::Client { job: job.name.clone(), source })?;
    Ok(Arc::new(ClientExchange::new(Arc::new(client))))
}

//! Scrapes a target once, and stores nothing.

use crate::scrape::pool::job::{JobSettings, TargetSpec};
use crate::scrape::request::budget::BodyBudget;
use crate::scrape::request::fetch::{FetchLimits, FetchedBody, fetch};
use crate::scrape::unit::error::ScrapeError;
use crate::tsdb::db::clock::now_ms;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Size of the first read, bytes.
const EXPECTED_BODY: usize = 64 << 10;

/// Limits of the check.
#[derive(Debug)]
pub(super) struct ScrapeLimits {
    /// Decompressed size that a body of a job without `body_size_limit` must not reach, bytes.
    pub(super) max_body_size: usize,
    budget: Arc<BodyBudget>,
}

/// Body of a target, or the error of the exchange.
#[derive(Debug)]
pub(super) struct Scraped {
    pub(super) body: Result<FetchedBody, ScrapeError>,
    /// Time at which the scrape began, ms since the Unix epoch.
    pub(super) timestamp_ms: i64,
    pub(super) duration: Duration,
}

impl ScrapeLimits {
    pub(super) fn new(max_body_size: usize) -> Self {
        // Bodies come one after the other, so the memory never makes one wait.
        Self { max_body_size, budget: BodyBudget::new(usize::MAX) }
    }
}

/// Scrapes a target once.
pub(super) async fn scrape(
    job: &JobSettings,
    target: &TargetSpec,
    limits: &ScrapeLimits,
) -> Scraped {
    let (timestamp_ms, started) = (now_ms(), Instant::now());
    let fetch_limits = FetchLimits {
        body_size: job.body_size(limits.max_body_size),
        accepts_zstd: false,
        budget: Arc::clone(&limits.budget),
    };
    let request = job.request(target, false);
    let fetched = fetch(&*job.exchange, request, &fetch_limits, &mut { EXPECTED_BODY }).await;
    let body = fetched.map_err(|error| ScrapeError::Fetch(Arc::new(error)));
    Scraped { body, timestamp_ms, duration: started.elapsed() }
}

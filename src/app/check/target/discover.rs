//! Targets of a job, found once by discovery.
//!
//! Discovery never ends: it reports changes. The check takes what all providers of the job have
//! reported at first, or what there is when its time is over.

use crate::config::file::scrape::job::ScrapeJob;
use crate::discovery::error::CreateProviderError;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::providers::{JobConfigs, Providers};
use crate::discovery::target_group::TargetGroup;
use crate::metrics::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Time for further groups after all providers have reported some.
const GRACE: Duration = Duration::from_millis(300);

/// Returns the groups of targets of a job that are found within `time`. A provider that reports
/// nothing causes a warning.
pub(super) async fn groups(
    job: &ScrapeJob,
    time: Duration,
) -> Result<Vec<Arc<TargetGroup>>, CreateProviderError> {
    let metrics = DiscoveryMetrics::register(&mut Registry::new());
    let reports = metrics.received_updates.clone();
    let (providers, mut updates) = Providers::new(Duration::ZERO, Environment::default(), metrics);
    let configs = JobConfigs::from([(job.name.clone(), job.discoveries.clone())]);
    providers.apply(providers.prepare(&configs)?);
    let expected = job.discoveries.len() as u64;
    let deadline = Instant::now() + time;
    let mut groups = Vec::new();
    loop {
        let is_complete = reports.get() >= expected;
        let end = if is_complete { deadline.min(Instant::now() + GRACE) } else { deadline };
        match timeout_at(end, updates.next()).await {
            Ok(Some(mut targets)) => groups = targets.remove(&job.name).unwrap_or_default(),
            // The providers may have reported nothing but empty lists.
            Err(_) if !is_complete && reports.get() >= expected => return Ok(groups),
            Ok(None) | Err(_) => {
                if !is_complete {
                    tracing::warn!(job = job.name, ?time, "a discovery has not found targets yet");
                }
                return Ok(groups);
            }
        }
    }
}

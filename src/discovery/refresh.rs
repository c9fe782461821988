//! Providers that ask for all their targets at an interval.

use crate::discovery::groups::sink::GroupSink;
use crate::discovery::metrics::RefreshMetrics;
use crate::discovery::target_group::TargetGroup;
use crate::log_limit::LogLimit;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Source of groups that is asked for them.
pub(crate) trait RefreshSource: Send {
    /// Error that leaves all groups as they are.
    type Error: fmt::Display;

    /// Returns groups to replace, those without targets to remove.
    fn refresh(&mut self) -> impl Future<Output = Result<Vec<TargetGroup>, Self::Error>> + Send;
}

/// Asks the source now and then at every interval. After a slow refresh, the missed ticks are one.
pub(crate) async fn refresh_every(
    interval: Duration,
    mut source: impl RefreshSource,
    names: ProviderNames,
    metrics: RefreshMetrics,
    sink: GroupSink,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let errors = LogLimit::new("cannot refresh targets");
    loop {
        ticks.tick().await;
        let start = Instant::now();
        let refreshed = source.refresh().await;
        metrics.observe(start.elapsed());
        match refreshed {
            Ok(groups) => sink.send(groups),
            Err(error) => {
                metrics.failures.inc();
                if let Some(suppressed) = errors.admit(std::time::Instant::now()) {
                    let ProviderNames { mechanism, job } = &names;
                    tracing::error!(%error, mechanism, job, suppressed, "cannot refresh targets");
                }
            }
        }
    }
}

/// Mechanism of a provider and the first job that uses it, for logs.
#[derive(Debug, Clone)]
pub(crate) struct ProviderNames {
    pub(crate) mechanism: &'static str,
    pub(crate) job: String,
}

#[cfg(test)]
mod tests {
    use super::{ProviderNames, RefreshSource, refresh_every};
    use crate::discovery::groups::sink::GroupSink;
    use crate::discovery::metrics::DiscoveryMetrics;
    use crate::discovery::target_group::TargetGroup;
    use crate::metrics::registry::Registry;
    use crate::metrics::text::ExpositionFormat;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep};

    const INTERVAL: Duration = Duration::from_secs(60);

    /// Source that sends the time of every refresh; each takes some time, and the second fails.
    struct Timed {
        times: mpsc::UnboundedSender<Duration>,
        start: Instant,
        duration: Duration,
        count: u32,
    }

    impl RefreshSource for Timed {
        type Error = &'static str;

        async fn refresh(&mut self) -> Result<Vec<TargetGroup>, &'static str> {
            self.count += 1;
            self.times.send(self.start.elapsed()).expect("a receiver");
            sleep(self.duration).await;
            if self.count == 2 { Err("no answer") } else { Ok(Vec::new()) }
        }
    }

    async fn times(duration: Duration, count: usize) -> (Vec<u64>, String) {
        let mut registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&mut registry).of_refresh("http", "job");
        let (times, mut received) = mpsc::unbounded_channel();
        let source = Timed { times, start: Instant::now(), duration, count: 0 };
        let names = ProviderNames { mechanism: "http", job: "job".to_owned() };
        let task =
            tokio::spawn(refresh_every(INTERVAL, source, names, metrics, GroupSink::collecting()));
        let mut seconds = Vec::new();
        while seconds.len() < count {
            seconds.push(received.recv().await.expect("a refresh").as_secs());
        }
        task.abort();
        (seconds, registry.encode(ExpositionFormat::Classic))
    }

    #[tokio::test(start_paused = true)]
    async fn source_is_asked_at_once_and_at_every_interval() {
        let (seconds, text) = times(Duration::from_secs(1), 4).await;
        assert_eq!(seconds, [0, 60, 120, 180]);
        for line in [
            r#"prometheus_sd_refresh_failures_total{mechanism="http",config="job"} 1"#,
            r#"prometheus_sd_refresh_duration_seconds_count{mechanism="http",config="job"} 3"#,
            r#"prometheus_sd_refresh_duration_seconds_sum{mechanism="http",config="job"} 3"#,
            r#"prometheus_sd_refresh_duration_histogram_seconds_bucket{le="0.1",mechanism="http"} 0"#,
            r#"prometheus_sd_refresh_duration_histogram_seconds_bucket{le="1.0",mechanism="http"} 3"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_refresh_delays_the_next_one() {
        assert_eq!(times(Duration::from_secs(70), 3).await.0, [0, 70, 140]);
        assert_eq!(times(Duration::from_secs(150), 3).await.0, [0, 150, 300]);
    }
}

//! A scraper on a paused clock, with targets in this process and a real database.

use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::job::ScrapeJob;
use crate::ingest::limits::{DryRunLimits, IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::ingest::rejection_log::RejectionLog;
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use crate::model::matcher::{MatchType, Matcher};
use crate::model::sample::SampleValue;
use crate::model::time::TimeRange;
use crate::scrape::clock::ScrapeClock;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pool::job::{JobSettings, TargetSet, TargetSpec};
use crate::scrape::pool::shared::{ScrapeOptions, ScrapeShared};
use crate::scrape::request::fetch::{
    Exchange, ExchangeError, ExchangeFuture, NextPiece, ScrapeRequest, TargetBody, TargetResponse,
};
use crate::scrape::scraper::Scraper;
use crate::scrape::threads::ScrapeThreads;
use crate::scrape::unit::settings::StartTimestamps;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::{DbHandle, LockedDir};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Wall clock at the start of each test: a multiple of the interval.
pub(super) const START_MS: i64 = 1_762_300_800_000;
/// Interval of the targets of [`Bench::job`].
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// Response of a target.
#[derive(Clone, Copy)]
pub(super) enum ScriptedResponse {
    Body(&'static str),
    Delayed(&'static str, Duration),
    Hang,
    ConnectionRefused,
}

/// Targets by URL. All requests are noted.
#[derive(Default)]
pub(super) struct Targets {
    responses: Mutex<BTreeMap<String, ScriptedResponse>>,
    pub(super) requests: Mutex<Vec<ScrapeRequest>>,
}

impl Targets {
    pub(super) fn set(&self, url: &str, scripted: ScriptedResponse) {
        self.responses.lock().insert(url.to_owned(), scripted);
    }
}

struct OnePiece(Option<Bytes>);

impl TargetBody for OnePiece {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(std::future::ready(Ok(self.0.take())))
    }
}

fn response(body: &'static str) -> TargetResponse {
    let content_type = http::HeaderValue::from_static("text/plain");
    TargetResponse {
        status: 200,
        reason: "OK".to_owned(),
        headers: http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type)]),
        body: Box::new(OnePiece(Some(Bytes::from_static(body.as_bytes())))),
    }
}

impl Exchange for Targets {
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture {
        let scripted = self.responses.lock().get(&*request.url).copied();
        self.requests.lock().push(request);
        Box::pin(async move {
            match scripted {
                Some(ScriptedResponse::Body(body)) => Ok(response(body)),
                Some(ScriptedResponse::Delayed(body, delay)) => {
                    tokio::time::sleep(delay).await;
                    Ok(response(body))
                }
                Some(ScriptedResponse::Hang) => std::future::pending().await,
                Some(ScriptedResponse::ConnectionRefused) | None => {
                    Err(ExchangeError::from("connection refused".to_owned()))
                }
            }
        })
    }
}

/// Scraper over a database.
pub(super) struct Bench {
    pub(super) scraper: Scraper,
    pub(super) targets: Arc<Targets>,
    registry: Registry,
    pub(super) db: Arc<DbHandle>,
    started: Instant,
    _dir: TempDir,
}

impl Bench {
    pub(super) fn new(out_of_order_window_ms: i64) -> Self {
        Self::with(|options| options.settings.out_of_order_window_ms = out_of_order_window_ms)
    }

    /// Creates a bench whose database has changed options.
    pub(super) fn with(change: impl FnOnce(&mut DbOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = DbOptions::new(dir.path().to_owned());
        change(&mut options);
        let db = LockedDir::open(options).unwrap().into_recovery().run().unwrap().db;
        let handle = Arc::new(DbHandle::new(Arc::clone(db.shared())));
        handle.publish(db);
        let (scraper, registry) = scraper(&handle, START_MS * 1_000_000);
        let started = Instant::now();
        Self { scraper, targets: Arc::default(), registry, db: handle, started, _dir: dir }
    }

    /// Stops the scraper and creates one without jobs, as a restart does.
    pub(super) async fn restart(&mut self) {
        self.scraper.stop().await;
        let wall_ns = START_MS * 1_000_000 + self.started.elapsed().as_nanos() as i64;
        (self.scraper, self.registry) = scraper(&self.db, wall_ns);
    }

    /// Settings of the job `j`; `changed` stands for keys that make caches useless.
    pub(super) fn job(&self, changed: &str) -> JobSettings {
        let global = GlobalScrape::default();
        let config = ScrapeJob { metrics_path: changed.to_owned(), ..ScrapeJob::new("j", &global) };
        let exchange = Arc::clone(&self.targets) as Arc<dyn Exchange>;
        JobSettings::new(Arc::new(config), exchange, StartTimestamps::Ignore)
    }

    pub(super) fn sync(&self, targets: &[TargetSpec]) {
        let active = targets.to_vec();
        self.scraper.update(|_| Some(TargetSet { active: active.clone(), ..TargetSet::default() }));
    }

    /// Starts the job with these targets.
    pub(super) fn start(&self, targets: &[TargetSpec]) {
        self.scraper.apply(vec![self.job("")]);
        self.sync(targets);
    }

    /// Samples of a series of a target: time since the start in ms, value.
    pub(super) fn samples(&self, name: &str, instance: &str) -> Vec<(i64, f64)> {
        let matchers = [
            Matcher::new(MatchType::Equal, "__name__", name).unwrap(),
            Matcher::new(MatchType::Equal, "instance", instance).unwrap(),
        ];
        let querier = self.db.ready().unwrap().querier();
        let mut found = Vec::new();
        for series in querier.select(&matchers, TimeRange::ALL).unwrap() {
            for sample in series.unwrap().samples(TimeRange::ALL) {
                let sample = sample.unwrap();
                let SampleValue::Float(v) = sample.value else { panic!("a histogram") };
                found.push((sample.t - START_MS, v));
            }
        }
        found
    }

    /// Times of samples, and of stale markers, since the start in ms.
    pub(super) fn times(&self, name: &str, instance: &str) -> (Vec<i64>, Vec<i64>) {
        let (stale, live): (Vec<_>, Vec<_>) =
            self.samples(name, instance).into_iter().partition(|(_, v)| v.is_nan());
        let times = |samples: Vec<(i64, f64)>| samples.into_iter().map(|(t, _)| t).collect();
        (times(live), times(stale))
    }

    /// Returns the error of the last scrape of the only target.
    pub(super) fn last_error(&self) -> String {
        self.scraper.snapshot()[0].active[0].state.status().last_error
    }

    pub(super) fn metric(&self, line: &str) -> bool {
        self.registry.encode(ExpositionFormat::Classic).lines().any(|found| found == line)
    }
}

/// Creates a scraper without jobs, and its metrics. `wall_ns` is the time of the wall clock.
fn scraper(db: &Arc<DbHandle>, wall_ns: i64) -> (Scraper, Registry) {
    let limits = IngestLimits {
        labels: LabelLimits { count: 100, name_bytes: 1000, value_bytes: 1000 },
        metadata: MetadataLimits { name_bytes: 1000, text_bytes: 1000 },
        max_future_ms: 600_000,
        dry_run: DryRunLimits::NONE,
    };
    let options = ScrapeOptions {
        timestamp_tolerance: Duration::from_millis(2),
        max_body_size: 1 << 20,
        max_bytes_in_flight: 16 << 20,
        accept_zstd: false,
        server_seed: 0,
    };
    let mut registry = Registry::new();
    let shared = ScrapeShared::new(
        Arc::clone(db),
        limits,
        Arc::new(RejectionLog::default()),
        ScrapeClock::paused(wall_ns),
        ScrapeMetrics::register(&mut registry),
        options,
    );
    (Scraper::new(Arc::new(shared), ScrapeThreads::on(Handle::current())), registry)
}

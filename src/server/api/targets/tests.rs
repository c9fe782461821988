//! Endpoints over a scraper with scripted targets, compared with recordings of Prometheus 3.14
//! (`tests/golden/api`, group `targets`).

use super::global_url::ServerAddress;
use super::{TargetsState, list, metadata, pools, relabel_steps};
use crate::config::file;
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::static_groups::StaticGroup;
use crate::config::file::scrape::job::ScrapeJob;
use crate::discovery::target_group::{ADDRESS_LABEL, LabelSet, TargetGroup};
use crate::ingest::limits::{DryRunLimits, IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::metrics::registry::Registry;
use crate::scrape::clock::ScrapeClock;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pool::job::{JobSettings, TargetSet};
use crate::scrape::pool::shared::{ScrapeOptions, ScrapeShared};
use crate::scrape::request::fetch::{
    Exchange, ExchangeError, ExchangeFuture, NextPiece, ScrapeRequest, TargetBody, TargetResponse,
};
use crate::scrape::scraper::Scraper;
use crate::scrape::threads::ScrapeThreads;
use crate::scrape::unit::settings::StartTimestamps;
use crate::server::management::configuration::{Configuration, LoadedConfig};
use crate::server::management::lifecycle::{Lifecycle, Phase};
use crate::server::requests::list_state::ListState;
use crate::server::transport::admission::{ByteBudget, ConcurrencyLimiter, QueueLimits};
use crate::server::transport::body::{BodyLimits, ResponseLimits, SizeLimit};
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::{DbHandle, LockedDir};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRef, Request};
use axum::routing::get;
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tower::ServiceExt;

/// Wall clock at the start of each test: a multiple of all intervals.
const START_MS: i64 = 1_762_300_800_000;

/// Configuration of the recording.
const RECORDED: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: good
  params: {a: ['1', '2']}
  metrics_path: /good
  static_configs: [{targets: ['127.0.0.1:18182'], labels: {__meta_x: 'y', zone: z}}]
- job_name: om
  scrape_timeout: 500ms
  metrics_path: /om
  static_configs: [{targets: ['127.0.0.1:18182']}]
- job_name: bad
  metrics_path: /bad
  static_configs: [{targets: ['127.0.0.1:18182', '127.0.0.1:1']}]
- job_name: dropped
  relabel_configs:
  - {source_labels: [__address__], regex: 'd1.*', action: drop}
  - {source_labels: [__address__], action: drop}
  static_configs: [{targets: ['d1:1', 'd2:1']}]
- job_name: unknown
  scrape_interval: 1h
  static_configs: [{targets: ['127.0.0.1:2']}]
- job_name: empty
- job_name: secret
  scrape_interval: 1h
  basic_auth: {username: u, password: p}
  static_configs: [{targets: ['127.0.0.1:3']}]
";

/// Cases whose order Prometheus leaves to chance.
const COMPARED_ELSEWHERE: [&str; 3] = ["metadata", "metadata-match", "metadata-limit"];

/// Targets of the recording.
struct Targets;

struct OnePiece(Option<Bytes>);

impl TargetBody for OnePiece {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(std::future::ready(Ok(self.0.take())))
    }
}

const TEXT: &str = "# HELP c a counter\n# TYPE c counter\nc 1\n# HELP g a gauge\n# TYPE g gauge\n\
                    g 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
const OPENMETRICS: &str = "# HELP c another help\n# TYPE c counter\nc_total 1\n\
                           # TYPE t_seconds gauge\n# UNIT t_seconds seconds\n\
                           # HELP t_seconds in OpenMetrics\nt_seconds 1\n# EOF\n";

impl Exchange for Targets {
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture {
        let response = |status, reason: &str, content_type, body: &'static str| {
            let content_type = http::HeaderValue::from_static(content_type);
            let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type)]);
            let body = Box::new(OnePiece(Some(Bytes::from_static(body.as_bytes()))));
            Ok(TargetResponse { status, reason: reason.to_owned(), headers, body })
        };
        let response = match &*request.url {
            "http://127.0.0.1:1/bad" => Err(ExchangeError::from(
                "Get \"http://127.0.0.1:1/bad\": dial tcp 127.0.0.1:1: connect: connection refused",
            )),
            url if url.ends_with("/bad") => response(500, "x", "text/plain", ""),
            url if url.ends_with("/om") => {
                response(200, "OK", "application/openmetrics-text;version=1.0.0", OPENMETRICS)
            }
            url if url.ends_with("/old") => response(200, "OK", "text/plain", "a 1\na 1\n"),
            _ => response(200, "OK", "text/plain; version=0.0.4", TEXT),
        };
        Box::pin(std::future::ready(response))
    }
}

/// Endpoints over a scraper and a database.
struct Bench {
    router: Router,
    lists: Arc<ListState>,
    scraper: Arc<Scraper>,
    _dir: TempDir,
}

#[derive(Clone)]
struct BenchState {
    targets: Arc<TargetsState>,
    lists: Arc<ListState>,
}

impl FromRef<BenchState> for Arc<TargetsState> {
    fn from_ref(state: &BenchState) -> Self {
        Arc::clone(&state.targets)
    }
}

impl FromRef<BenchState> for Arc<ListState> {
    fn from_ref(state: &BenchState) -> Self {
        Arc::clone(&state.lists)
    }
}

impl Bench {
    /// Scrapes the static targets of a configuration.
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locked = LockedDir::open(DbOptions::new(dir.path().join("data"))).unwrap();
        let db = Arc::new(DbHandle::new(Arc::clone(locked.shared())));
        db.publish(locked.into_recovery().run().unwrap().db);
        let scraper = Arc::new(scraper(&db));
        let file = file::parse_for_tests(config);
        let jobs: Vec<&ScrapeJob> = file.scrape.all_jobs().collect();
        scraper.apply(jobs.iter().map(|job| job_settings(job)).collect());
        scraper.update(|settings| {
            let job = jobs.iter().find(|job| *job.name == *settings.name).unwrap();
            Some(TargetSet::resolve(&settings.targets, &groups(job), settings.kept_dropped()))
        });
        let address = ServerAddress::new(None, "HOSTNAME", 9201);
        let targets = TargetsState { scraper: Arc::clone(&scraper), address };
        let lists = Arc::new(list_state(db));
        let router = router(targets, Arc::clone(&lists));
        Self { router, lists, scraper, _dir: dir }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn data(&self, path: &str) -> Value {
        let (status, mut json) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {json}");
        json["data"].take()
    }

    async fn stop(self) {
        self.scraper.stop().await;
    }
}

fn router(targets: TargetsState, lists: Arc<ListState>) -> Router {
    Router::new()
        .route("/api/v1/targets", get(list::targets))
        .route("/api/v1/targets/metadata", get(metadata::target_metadata))
        .route("/api/v1/targets/relabel_steps", get(relabel_steps::relabel_steps))
        .route("/api/v1/scrape_pools", get(pools::scrape_pools))
        .route("/api/v1/scrape_pools/config", get(pools::scrape_pool_config))
        .with_state(BenchState { targets: Arc::new(targets), lists })
}

fn list_state(db: Arc<DbHandle>) -> ListState {
    let lifecycle = Arc::new(Lifecycle::starting());
    lifecycle.advance(Phase::Ready);
    let time = Duration::from_secs(60);
    let queue = QueueLimits { max_waiting: 0, max_wait: Duration::ZERO };
    let size = SizeLimit::fixed(1000);
    ListState {
        db,
        lifecycle,
        configuration: Arc::new(Configuration::new(LoadedConfig::default())),
        gate: ConcurrencyLimiter::new(1, queue),
        max_bytes: 1 << 20,
        bodies: BodyLimits { size, time, budget: ByteBudget::new(1 << 20) },
        responses: ResponseLimits { time, budget: ByteBudget::new(1 << 20) },
    }
}

fn scraper(db: &Arc<DbHandle>) -> Scraper {
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
    let shared = ScrapeShared::new(
        Arc::clone(db),
        limits,
        Arc::default(),
        ScrapeClock::paused(START_MS * 1_000_000),
        ScrapeMetrics::register(&mut Registry::new()),
        options,
    );
    Scraper::new(Arc::new(shared), ScrapeThreads::on(Handle::current()))
}

fn job_settings(job: &ScrapeJob) -> JobSettings {
    JobSettings::new(Arc::new(job.clone()), Arc::new(Targets), StartTimestamps::Ignore)
}

fn groups(job: &ScrapeJob) -> Vec<TargetGroup> {
    let of_source = |discovery: &DiscoveryConfig| match discovery {
        DiscoveryConfig::Static(groups) => groups.clone(),
        other => panic!("{other:?}"),
    };
    let group = |group: &StaticGroup| TargetGroup {
        source: String::new(),
        labels: group.labels.clone(),
        targets: group
            .targets
            .iter()
            .map(|address| LabelSet::from([(ADDRESS_LABEL.to_owned(), address.clone())]))
            .collect(),
    };
    job.discoveries.iter().flat_map(of_source).map(|found| group(&found)).collect()
}

/// Recorded answers of the group `targets` to these endpoints.
fn recorded() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api/answers.json.gz");
    let file = GzDecoder::new(File::open(path).unwrap());
    let mut file: Value = serde_json::from_reader(file).unwrap();
    let Value::Array(mut answers) = file["answers"].take() else { panic!("no answers") };
    answers.retain(|answer| {
        let path = answer["path"].as_str().unwrap();
        answer["group"] == "targets"
            && answer["method"] == "GET"
            && ["/api/v1/targets", "/api/v1/scrape_pools"].iter().any(|own| path.starts_with(own))
    });
    answers
}

/// Returns `true` if the values are equal. `*` in the recording equals any value.
fn equals(recorded: &Value, got: &Value) -> bool {
    match (recorded, got) {
        (Value::String(any), _) if any == "*" => true,
        (Value::String(recorded), Value::String(got)) => {
            normalize_yaml(recorded) == normalize_yaml(got)
        }
        (Value::Array(recorded), Value::Array(got)) => {
            recorded.len() == got.len()
                && recorded.iter().zip(got).all(|(recorded, got)| equals(recorded, got))
        }
        (Value::Object(recorded), Value::Object(got)) => {
            recorded.len() == got.len()
                && recorded
                    .iter()
                    .all(|(key, value)| got.get(key).is_some_and(|got| equals(value, got)))
        }
        _ => recorded == got,
    }
}

/// Go's YAML indents lists less and quotes strings differently.
fn normalize_yaml(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().replace('"', "'")).collect()
}

#[tokio::test(start_paused = true)]
async fn responses_equal_the_recording() {
    let bench = Bench::new(RECORDED);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let recorded = recorded();
    assert!(recorded.len() > 25, "{}", recorded.len());
    for answer in recorded {
        let case = answer["case"].as_str().unwrap();
        if COMPARED_ELSEWHERE.contains(&case) {
            continue;
        }
        let (status, got) = bench.get(answer["path"].as_str().unwrap()).await;
        assert_eq!(u64::from(status), answer["status"], "{case}: {got}");
        assert!(equals(&answer["json"], &got), "{case}\n{}\n{got}", answer["json"]);
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn metadata_equals_the_recording_but_is_sorted() {
    let bench = Bench::new(RECORDED);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let mut sorted = 0;
    for answer in recorded() {
        let case = answer["case"].as_str().unwrap();
        if !matches!(case, "metadata" | "metadata-match") {
            continue;
        }
        let mut expected = answer["json"]["data"].clone();
        let key = |entry: &Value| format!("{} {}", entry["target"]["job"], entry["metric"]);
        expected.as_array_mut().unwrap().sort_by_key(key);
        assert_eq!(bench.data(answer["path"].as_str().unwrap()).await, expected, "{case}");
        sorted += 1;
    }
    assert_eq!(sorted, 2);
    // The limit is checked between targets, and the first one has three entries.
    for (limit, entries) in [("-1", 5), ("1", 3), ("3", 3), ("4", 5)] {
        let path = format!("/api/v1/targets/metadata?limit={limit}");
        assert_eq!(bench.data(&path).await.as_array().unwrap().len(), entries, "{limit}");
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn target_shows_time_duration_and_rejections_of_its_scrape() {
    let bench = Bench::new(
        "scrape_configs: [{job_name: j, scrape_interval: 90s, metrics_path: /old, \
         static_configs: [{targets: ['localhost:9201']}]}]",
    );
    let path = "/api/v1/targets?state=active";
    let unscraped = bench.data(path).await["activeTargets"][0].take();
    assert_eq!(
        (&unscraped["lastScrape"], &unscraped["lastScrapeDuration"], &unscraped["health"]),
        (&json!("0001-01-01T00:00:00Z"), &json!(0.0), &json!("unknown"))
    );
    assert_eq!(unscraped.get("lastRejections"), None);
    assert_eq!(
        (&unscraped["scrapeInterval"], &unscraped["scrapeTimeout"]),
        (&json!("1m30s"), &json!("10s"))
    );
    tokio::time::sleep(Duration::from_secs(90)).await;
    let scraped = bench.data(path).await["activeTargets"][0].take();
    assert_eq!((&scraped["health"], &scraped["lastError"]), (&json!("up"), &json!("")));
    let time = scraped["lastScrape"].as_str().unwrap();
    assert!(time.starts_with("2025-11-05T00:0"), "{time}");
    assert_eq!(scraped["globalUrl"], "http://HOSTNAME:9201/old");
    let rejections = scraped["lastRejections"].as_str().unwrap();
    assert!(rejections.starts_with("1 "), "{rejections}");
    let series = "{__name__=\"a\", instance=\"localhost:9201\", job=\"j\"}";
    assert!(rejections.contains(series), "{rejections}");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn invalid_host_of_a_target_is_part_of_its_last_error() {
    let bench = Bench::new(
        "scrape_configs: [{job_name: j, relabel_configs: [{target_label: __address__, \
         replacement: 'a:1:2'}], static_configs: [{targets: ['a:1']}]}]",
    );
    let targets = bench.data("/api/v1/targets").await;
    let target = &targets["activeTargets"][0];
    assert_eq!(target["globalUrl"], "http://a:1:2/metrics");
    assert_eq!(target["lastError"], ": address a:1:2: too many colons in address");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_targets_beyond_the_kept_ones_are_counted() {
    let bench = Bench::new(
        "scrape_configs: [{job_name: j, keep_dropped_targets: 1, relabel_configs: \
         [{source_labels: [__address__], regex: 'd.*', action: drop}], \
         static_configs: [{targets: ['d1:1', 'd2:1', 'd3:1']}]}]",
    );
    let targets = bench.data("/api/v1/targets?state=dropped").await;
    assert_eq!(targets["droppedTargets"].as_array().unwrap().len(), 1);
    assert_eq!(targets["droppedTargetCounts"], json!({"j": 3}));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn relabel_steps_show_all_keys_of_a_rule() {
    let bench = Bench::new(
        "scrape_configs: [{job_name: j, relabel_configs: [\
         {source_labels: [a, b], separator: '-', target_label: c, modulus: 7, action: hashmod}, \
         {regex: 'a|<', action: labeldrop}]}]",
    );
    let labels = "%7B%22a%22%3A%221%22%2C%22b%22%3A%222%22%7D";
    let path = format!("/api/v1/targets/relabel_steps?scrapePool=j&labels={labels}");
    let steps = bench.data(&path).await["steps"].take();
    assert_eq!(
        steps[0]["rule"],
        json!({
            "source_labels": ["a", "b"], "separator": "-", "regex": "(.*)", "modulus": 7,
            "target_label": "c", "replacement": "$1", "action": "hashmod",
        })
    );
    let hash = steps[0]["output"]["c"].as_str().unwrap();
    assert!(hash.parse::<u64>().unwrap() < 7, "{hash}");
    assert_eq!(steps[1]["output"], json!({"b": "2", "c": hash}));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn responses_need_memory_and_a_ready_server() {
    let bench = Bench::new(RECORDED);
    let paths = [
        "/api/v1/targets",
        "/api/v1/targets/metadata",
        "/api/v1/targets/relabel_steps?scrapePool=good&labels={}",
        "/api/v1/scrape_pools",
        "/api/v1/scrape_pools/config?scrapePool=good",
    ];
    for path in paths {
        assert_eq!(bench.get(path).await.0, 200, "{path}");
    }
    let mut all = bench.lists.responses.budget.reserve();
    all.extend(1 << 20).unwrap();
    let (status, got) = bench.get(paths[0]).await;
    assert_eq!((status, &got["error"]), (503, &json!("too many bytes in flight")));
    drop(all);
    bench.lists.lifecycle.advance(Phase::Draining);
    for path in paths {
        let (status, got) = bench.get(path).await;
        assert_eq!((status, &got["error"]), (503, &json!("Service Unavailable")), "{path}");
    }
    bench.stop().await;
}

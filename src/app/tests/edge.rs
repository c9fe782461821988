//! Test server: router and database in a temporary directory, without sockets.

use crate::app::config::AppConfig;
use crate::app::parts::scraping::ScrapingParts;
use crate::app::parts::server::ServerParts;
use crate::app::reload::Reloader;
use crate::app::scraping::Scraping;
use crate::app::web_config::setup::WebSetup;
use crate::config::file::contents::ConfigFile;
use crate::config::flag_values;
use crate::config::flags::Command;
use crate::config::web::contents::WebConfig;
use crate::remote::pb::prometheus as pb;
use crate::server::grpc::health;
use crate::server::management::lifecycle::Phase;
use crate::server::router;
use crate::server::state::SharedState;
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::LockedDir;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::{Disk, OsDisk};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use prost::Message;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt;

pub(crate) struct TestServer {
    pub(crate) router: Router,
    pub(crate) context: SharedState,
    /// Taken by the recovery.
    locked: Mutex<Option<LockedDir>>,
    _dir: TempDir,
}

/// Complete response to a client.
pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl TestResponse {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the gRPC status, from the trailers or, without a body, from the headers.
    pub(crate) fn grpc_status(&self) -> &str {
        let found = self.trailers.get("grpc-status").or_else(|| self.headers.get("grpc-status"));
        found.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn assert_retry_later(&self) {
        assert_eq!(self.status, StatusCode::SERVICE_UNAVAILABLE, "{}", self.text());
        let seconds: u64 = self.header("retry-after").parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");
    }
}

impl TestServer {
    /// Creates a server in phase starting.
    pub(crate) async fn starting(flags: &[&str]) -> Self {
        Self::starting_on(Arc::new(OsDisk), WebConfig::default(), flags).await
    }

    async fn starting_on(disk: Arc<dyn Disk>, web: WebConfig, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("--storage.tsdb.path={}", dir.path().display());
        let line = ["narthex", "serve", path.as_str()].into_iter().chain(flags.iter().copied());
        let Command::Serve(flags) = flag_values::parse(line.map(Into::into)).unwrap().command
        else {
            unreachable!()
        };
        let config = AppConfig::new(&flags, &ConfigFile::default()).unwrap();
        let web = WebSetup { config: web, ..WebSetup::default() };
        let locked = LockedDir::open(DbOptions { disk, ..config.db }).unwrap();
        let db = Arc::new(DbHandle::new(locked.shared().clone()));
        let is_grpc_enabled = config.server.access.is_grpc_enabled;
        let ServerParts { context, reloads, reload, scraping, .. } =
            ServerParts::build(config.server, &config.scraping, config.labels, web, db.clone())
                .unwrap();
        let ScrapingParts { scraper, providers, start_timestamps, .. } = scraping;
        let reloader = Reloader {
            config: config.reload,
            db,
            scraping: Arc::new(Scraping::new(scraper, providers, start_timestamps, None)),
            metrics: reload,
            configuration: context.status.configuration.clone(),
            notifications: context.process.notifications.clone(),
        };
        let (_, no_events) = mpsc::channel(1);
        tokio::spawn(reloader.run(reloads, no_events));
        let (keeper, service) = health::service().await;
        tokio::spawn(keeper.run(context.process.clone()));
        let router = router::routes(context.clone(), is_grpc_enabled.then_some(service));
        Self { router, context, locked: Mutex::new(Some(locked)), _dir: dir }
    }

    /// Creates a server in phase ready.
    pub(crate) async fn ready(flags: &[&str]) -> Self {
        Self::ready_on(Arc::new(OsDisk), flags).await
    }

    /// Creates a server in phase ready whose database writes through `disk`.
    pub(crate) async fn ready_on(disk: Arc<dyn Disk>, flags: &[&str]) -> Self {
        Self::starting_on(disk, WebConfig::default(), flags).await.into_ready()
    }

    /// Creates a server in phase ready with this web configuration.
    pub(crate) async fn with_web(web: WebConfig, flags: &[&str]) -> Self {
        Self::starting_on(Arc::new(OsDisk), web, flags).await.into_ready()
    }

    fn into_ready(self) -> Self {
        self.recover();
        self.context.process.lifecycle.advance(Phase::Ready);
        self
    }

    /// Recovers the database and publishes it, without a change of the phase.
    pub(crate) fn recover(&self) {
        let locked = self.locked.lock().take().unwrap();
        self.context.process.db.publish(locked.into_recovery().run().unwrap().db);
    }

    /// Sends a request and returns the response before its body.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> TestResponse {
        let (head, body) = self.respond(request).await.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        TestResponse {
            status: head.status,
            headers: head.headers,
            body: collected.to_bytes(),
            trailers,
        }
    }

    pub(crate) async fn post(&self, path: &str) -> TestResponse {
        self.send(Request::post(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn write(&self, body: impl Into<Body>) -> TestResponse {
        self.write_as("application/x-protobuf", "snappy", body).await
    }

    pub(crate) async fn write_as(
        &self,
        content_type: &str,
        encoding: &str,
        body: impl Into<Body>,
    ) -> TestResponse {
        let request = Request::post("/api/v1/write")
            .header("content-type", content_type)
            .header("content-encoding", encoding)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn read(&self, request: &pb::ReadRequest) -> TestResponse {
        self.send(
            Request::post("/api/v1/read")
                .body(snappy_block(&request.encode_to_vec()).into())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn grpc(&self, path: &str, message: &[u8]) -> TestResponse {
        let response = self.send(grpc_request(path, message)).await;
        assert_eq!(response.status, StatusCode::OK);
        response
    }

    pub(crate) async fn write_v1(&self, message: &[u8]) -> TestResponse {
        self.grpc("/narthex.v1.Write/WriteV1", message).await
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub(crate) fn snappy_block(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

pub(crate) fn series(name: &str, samples: &[(i64, f64)]) -> pb::TimeSeries {
    pb::TimeSeries {
        labels: vec![pb::Label { name: "__name__".into(), value: name.into() }],
        samples: samples
            .iter()
            .map(|&(timestamp, value)| pb::Sample { value, timestamp })
            .collect(),
        ..Default::default()
    }
}

pub(crate) fn request(timeseries: Vec<pb::TimeSeries>) -> Vec<u8> {
    pb::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

pub(crate) fn valid_request() -> Vec<u8> {
    request(vec![series("good", &[(now_ms(), 1.0)])])
}

/// Returns a valid sample and an invalid one for each of these reasons: out of order, duplicate
/// timestamp, too far in the future, invalid labels.
pub(crate) fn partially_invalid_request() -> Vec<u8> {
    let now = now_ms();
    request(vec![
        series("mixed", &[(now, 1.0), (now - 1, 1.0), (now, 2.0), (now + 3_600_000, 1.0)]),
        series("", &[(now, 1.0)]),
    ])
}

pub(crate) fn read_all_request() -> pb::ReadRequest {
    let matcher = pb::LabelMatcher { r#type: 1, name: "__name__".into(), value: String::new() };
    let query = pb::Query {
        start_timestamp_ms: 0,
        end_timestamp_ms: i64::MAX,
        matchers: vec![matcher],
        hints: None,
    };
    pb::ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

pub(crate) fn grpc_request(path: &str, message: &[u8]) -> Request<Body> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    let request =
        Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    request.body(frame.into()).unwrap()
}

//! The job of `--self-scrape`: narthex stores its own metrics, without a request over the network.
//!
//! The target looks like any other, so that queries and dashboards find it. TLS, users and a route
//! prefix of the listener do not matter, since no listener is involved.

use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::static_groups::StaticGroup;
use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::job::ScrapeJob;
use crate::metrics::text::ExpositionFormat;
use crate::scrape::request::fetch::{
    Exchange, ExchangeFuture, NextPiece, ScrapeRequest, TargetBody, TargetResponse,
};
use crate::server::management::process_state::ProcessState;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Name of the job.
const JOB: &str = "narthex";

/// Target of the job, and its exchange.
pub(crate) struct SelfScrape {
    /// Value of `__address__`.
    address: String,
    /// Path of the metrics on the listener, with its prefix.
    path: String,
    exchange: Arc<dyn Exchange>,
}

impl SelfScrape {
    /// Creates the job. `address` and `path` only name the target.
    pub(crate) fn new(address: String, path: String, process: Arc<ProcessState>) -> Self {
        Self { address, path, exchange: Arc::new(OwnMetrics { process }) }
    }

    /// Returns the job, with the intervals of `global`.
    pub(super) fn job(&self, global: &GlobalScrape) -> ScrapeJob {
        let group =
            StaticGroup { targets: vec![self.address.clone()], labels: BTreeMap::default() };
        ScrapeJob {
            metrics_path: self.path.clone(),
            discoveries: vec![DiscoveryConfig::Static(vec![group])],
            ..ScrapeJob::new(JOB, global)
        }
    }

    /// Returns the exchange of the job.
    pub(super) fn exchange(&self) -> Arc<dyn Exchange> {
        Arc::clone(&self.exchange)
    }
}

/// Exchange that responds with the metrics of the process.
struct OwnMetrics {
    process: Arc<ProcessState>,
}

impl Exchange for OwnMetrics {
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture {
        let process = Arc::clone(&self.process);
        Box::pin(async move {
            let format = ExpositionFormat::from_accept_header(&request.accept);
            let text = tokio::task::spawn_blocking(move || process.registry.encode(format)).await?;
            let content_type = HeaderValue::from_static(format.content_type());
            Ok(TargetResponse {
                status: StatusCode::OK.as_u16(),
                reason: String::new(),
                headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
                body: Box::new(TextBody(Some(text.into()))),
            })
        })
    }
}

/// Body in one piece.
struct TextBody(Option<Bytes>);

impl TargetBody for TextBody {
    fn next(&mut self) -> NextPiece<'_> {
        let piece = self.0.take().filter(|piece| !piece.is_empty());
        Box::pin(std::future::ready(Ok(piece)))
    }
}

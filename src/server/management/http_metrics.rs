//! Request metrics under Prometheus's names: requests by handler and code, durations, response
//! sizes.

use crate::metrics::registry::{Histogram, Registry};
use crate::server::management::web_state::WebState;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Bucket bounds of durations, seconds, as in Prometheus.
const DURATION_BOUNDS: [f64; 12] =
    [0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
/// Bucket bounds of response sizes, bytes, as in Prometheus.
const SIZE_BOUNDS: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlerCodeLabels {
    handler: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlerLabel {
    handler: String,
}

/// Constructor of histograms with fixed bounds.
#[derive(Clone, Debug)]
struct BucketBounds(&'static [f64]);

impl MetricConstructor<Histogram> for BucketBounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Metrics of all requests. Clones share them.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<HandlerCodeLabels, Counter>,
    durations: Family<HandlerLabel, Histogram, BucketBounds>,
    sizes: Family<HandlerLabel, Histogram, BucketBounds>,
}

impl HttpMetrics {
    /// Registers the metrics of requests.
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            requests: registry.family(
                "prometheus_http_requests_total",
                "Counter of HTTP requests.",
                Family::default(),
            ),
            durations: registry.family(
                "prometheus_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests.",
                Family::new_with_constructor(BucketBounds(&DURATION_BOUNDS)),
            ),
            sizes: registry.family(
                "prometheus_http_response_size_bytes",
                "Histogram of response size for HTTP requests.",
                Family::new_with_constructor(BucketBounds(&SIZE_BOUNDS)),
            ),
        }
    }
}

/// Middleware that measures a request. The handler label is the pattern of the route without the
/// route prefix, so that clients cannot create series.
pub(crate) async fn measure(
    State((metrics, web)): State<(HttpMetrics, Arc<WebState>)>,
    request: Request,
    next: Next,
) -> Response {
    let handler = match request.extensions().get::<MatchedPath>() {
        Some(path) => web.without_prefix(path.as_str()).replace("{*method}", ":method"),
        None => "other".to_owned(),
    };
    let started = Instant::now();
    let response = next.run(request).await;
    metrics
        .requests
        .get_or_create(&HandlerCodeLabels {
            handler: handler.clone(),
            code: response.status().as_u16(),
        })
        .inc();
    let handler = HandlerLabel { handler };
    response.map(|body| {
        Body::new(MeasuredBody {
            body,
            bytes: 0,
            started,
            duration: metrics.durations.get_or_create_owned(&handler),
            size: metrics.sizes.get_or_create_owned(&handler),
        })
    })
}

/// Body that records its size and the duration of the request when it is dropped.
struct MeasuredBody {
    body: Body,
    bytes: u64,
    started: Instant,
    duration: Histogram,
    size: Histogram,
}

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for MeasuredBody {
    fn drop(&mut self) {
        self.duration.observe(self.started.elapsed().as_secs_f64());
        self.size.observe(self.bytes as f64);
    }
}

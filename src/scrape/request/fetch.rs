//! One exchange with a target: request, status, and the whole body, within the timeout.
//!
//! The body is read into memory of the [`BodyBudget`]. A scrape that waits for memory until its
//! timeout fails with that reason, and expects a larger body the next time, so that scrapes that
//! are too large together get their memory one after the other.

use crate::scrape::request::body::{BodyDecoder, BodyEncoding, BodyError, BodyLimits};
use crate::scrape::request::budget::{BodyBudget, BodyLease, BodyTooLarge};
use bytes::Bytes;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Decompressed bytes after which a scrape lets others run.
const YIELD_BYTES: usize = 1 << 20;

/// Maximum size of the body of another status than 200 that is read to keep its connection, bytes.
const MAX_DRAINED_BYTES: usize = 64 << 10;
/// Maximum time to read such a body.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(1);

/// Error of the HTTP client.
pub type ExchangeError = Box<dyn Error + Send + Sync>;
/// Next piece of a body; `None` at its end.
pub type NextPiece<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Bytes>, ExchangeError>> + Send + 'a>>;
/// Exchange in progress. Dropping it cancels the request.
pub type ExchangeFuture =
    Pin<Box<dyn Future<Output = Result<TargetResponse, ExchangeError>> + Send>>;

/// Client that sends the requests of a job. Redirects and credentials are its concern.
pub trait Exchange: Send + Sync {
    /// Sends a request and returns the head of the response.
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture;
}

/// Response of a target whose body is not read yet.
pub struct TargetResponse {
    /// Status code.
    pub status: u16,
    /// Reason of the status line; empty if it has none.
    pub reason: String,
    /// Headers of the response.
    pub headers: http::HeaderMap,
    /// Body as it is sent. Dropping it before its end closes the connection.
    pub body: Box<dyn TargetBody>,
}

/// Body of a response.
pub trait TargetBody: Send {
    /// Waits for the next piece.
    fn next(&mut self) -> NextPiece<'_>;
}

/// Request of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeRequest {
    /// URL of the target.
    pub url: Arc<str>,
    /// Path of a unix socket to connect to instead of the host of the URL.
    pub unix_socket: Option<Arc<str>>,
    /// Value of `Accept`.
    pub accept: Arc<str>,
    /// Value of `Accept-Encoding`.
    pub accept_encoding: &'static str,
    /// Value of `X-Prometheus-Scrape-Timeout-Seconds`, and the timeout of the exchange.
    pub timeout: Duration,
}

impl ScrapeRequest {
    /// Returns the value of `X-Prometheus-Scrape-Timeout-Seconds`.
    #[must_use]
    pub fn timeout_header(&self) -> String {
        self.timeout.as_secs_f64().to_string()
    }
}

/// Limits of a fetch.
#[derive(Clone, Debug)]
pub struct FetchLimits {
    /// Decompressed size that the body must not reach, bytes.
    pub body_size: usize,
    /// Whether bodies may be compressed with zstd.
    pub accepts_zstd: bool,
    /// Memory for the bodies of all scrapes.
    pub budget: Arc<BodyBudget>,
}

/// Body of a scrape, decompressed.
#[derive(Debug)]
pub struct FetchedBody {
    /// The body.
    pub bytes: Vec<u8>,
    /// Value of `Content-Type`; empty if the header is absent.
    pub content_type: String,
    /// Memory of `bytes`.
    #[allow(dead_code, reason = "a drop gives the memory back")]
    pub lease: BodyLease,
}

/// Error of an exchange.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request failed.
    #[error("{0}")]
    Exchange(ExchangeError),
    /// The status is not 200.
    #[error("server returned HTTP status {status} {reason}")]
    Status {
        /// Status code.
        status: u16,
        /// Reason of the target.
        reason: String,
    },
    /// Reading the body failed.
    #[error("cannot read body: {0}")]
    Read(ExchangeError),
    /// The body is too large or malformed.
    #[error("{0}")]
    Body(BodyError),
    /// The body does not fit into memory, even alone.
    #[error("{0} (--scrape.max-bytes-in-flight)")]
    Memory(BodyTooLarge),
    /// The timeout passed.
    #[error("scrape timed out after {0:?}")]
    Timeout(Duration),
    /// The timeout passed while the scrape waited for memory.
    #[error(
        "scrape waited for memory until its timeout of {0:?}: bodies of other scrapes fill \
         --scrape.max-bytes-in-flight"
    )]
    MemoryTimeout(Duration),
}

impl FetchError {
    /// Returns `true` if the body reached its size limit.
    #[must_use]
    pub fn is_body_size_limit(&self) -> bool {
        matches!(self, Self::Body(BodyError::TooLarge(_)))
    }
}

/// Sends the request and reads the body. `expected` is the size of the previous body; it is set to
/// that of this one.
///
/// # Errors
/// [`FetchError`]; the connection is closed unless the body was read to its end.
pub async fn fetch(
    exchange: &dyn Exchange,
    request: ScrapeRequest,
    limits: &FetchLimits,
    expected: &mut usize,
) -> Result<FetchedBody, FetchError> {
    let timeout = request.timeout;
    let waits_for_memory = AtomicBool::new(false);
    let mut needed = *expected;
    let whole = read_whole(exchange, request, limits, &mut needed, &waits_for_memory);
    let result = tokio::time::timeout(timeout, whole).await.unwrap_or_else(|_| {
        Err(if waits_for_memory.load(Ordering::Relaxed) {
            FetchError::MemoryTimeout(timeout)
        } else {
            FetchError::Timeout(timeout)
        })
    });
    match &result {
        // Like Prometheus: an empty body does not make the next one unexpected.
        Ok(body) if body.bytes.is_empty() => {}
        // Bodies differ by a few bytes from scrape to scrape.
        Ok(body) => *expected = body.bytes.len() + body.bytes.len() / 8,
        Err(FetchError::MemoryTimeout(_)) => *expected = needed,
        Err(_) => {}
    }
    result
}

async fn read_whole(
    exchange: &dyn Exchange,
    request: ScrapeRequest,
    limits: &FetchLimits,
    needed: &mut usize,
    waits_for_memory: &AtomicBool,
) -> Result<FetchedBody, FetchError> {
    // Only the task of this scrape uses the flag.
    let flag = |value| waits_for_memory.store(value, Ordering::Relaxed);
    flag(true);
    // A body that shrank must not be rejected because of its last size.
    let largest = limits.body_size.min(limits.budget.max_body());
    let expected = (*needed).clamp(1, largest.max(1));
    let mut lease = limits.budget.reserve(expected).await.map_err(FetchError::Memory)?;
    flag(false);
    let response = exchange.send(request).await.map_err(FetchError::Exchange)?;
    let TargetResponse { status, reason, headers, mut body } = response;
    if status != http::StatusCode::OK.as_u16() {
        let _ = tokio::time::timeout(MAX_DRAIN_TIME, drain(&mut *body)).await;
        return Err(FetchError::Status { status, reason });
    }
    let header = |name: http::HeaderName| {
        let value = headers.get(name).map(http::HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    let encoding = header(http::header::CONTENT_ENCODING);
    let encoding = BodyEncoding::of_header(&encoding, limits.accepts_zstd);
    let body_limits = BodyLimits { size: limits.body_size, capacity: limits.budget.max_body() };
    let mut decoder = BodyDecoder::new(encoding, Vec::with_capacity(expected), body_limits)
        .map_err(FetchError::Body)?;
    let mut decompressed = 0;
    while let Some(mut data) = body.next().await.map_err(FetchError::Read)? {
        while !data.is_empty() {
            let piece = data.split_to(encoding.max_piece().min(data.len()));
            decoder.push(&piece).map_err(FetchError::Body)?;
            // The buffer grows by half when the next piece does not fit.
            *needed = decoder.capacity().max(*needed);
            if *needed > expected {
                flag(true);
                lease.grow_to(*needed).await.map_err(FetchError::Memory)?;
                flag(false);
            }
            // Decompression of a huge body must not keep other targets from running.
            if decoder.len() - decompressed > YIELD_BYTES {
                decompressed = decoder.len();
                tokio::task::yield_now().await;
            }
        }
    }
    let bytes = decoder.finish().map_err(FetchError::Body)?;
    Ok(FetchedBody { bytes, content_type: header(http::header::CONTENT_TYPE), lease })
}

/// Reads a small body to its end, so that its connection can be used again.
async fn drain(body: &mut dyn TargetBody) {
    let mut read = 0;
    while read < MAX_DRAINED_BYTES {
        match body.next().await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Exchange, ExchangeFuture, FetchError, FetchLimits, FetchedBody, NextPiece, ScrapeRequest,
        TargetBody, TargetResponse, fetch,
    };
    use crate::scrape::request::budget::BodyBudget;
    use bytes::Bytes;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    const MIB: usize = 1 << 20;
    /// Size at which the body of a test fails, bytes.
    const BODY_SIZE: usize = 10 * MIB;

    /// Target that sends `pieces` times 64 KiB, one a millisecond.
    struct Pieces {
        status: u16,
        pieces: usize,
        sent: Arc<AtomicUsize>,
    }

    struct PieceBody {
        left: usize,
        sent: Arc<AtomicUsize>,
    }

    impl TargetBody for PieceBody {
        fn next(&mut self) -> NextPiece<'_> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if self.left == 0 {
                    return Ok(None);
                }
                self.left -= 1;
                self.sent.fetch_add(1, Ordering::Relaxed);
                Ok(Some(Bytes::from_static(&[b'x'; 64 << 10])))
            })
        }
    }

    impl Exchange for Pieces {
        fn send(&self, _request: ScrapeRequest) -> ExchangeFuture {
            let body = PieceBody { left: self.pieces, sent: Arc::clone(&self.sent) };
            let response = TargetResponse {
                status: self.status,
                reason: "Odd".to_owned(),
                headers: http::HeaderMap::new(),
                body: Box::new(body),
            };
            Box::pin(std::future::ready(Ok(response)))
        }
    }

    fn target(status: u16, pieces: usize) -> Pieces {
        Pieces { status, pieces, sent: Arc::default() }
    }

    async fn fetch_from(
        target: &Pieces,
        budget: &Arc<BodyBudget>,
        expected: &mut usize,
    ) -> Result<FetchedBody, FetchError> {
        let request = ScrapeRequest {
            url: "http://a/metrics".into(),
            unix_socket: None,
            accept: "*/*".into(),
            accept_encoding: "gzip",
            timeout: Duration::from_secs(10),
        };
        let budget = Arc::clone(budget);
        let limits = FetchLimits { body_size: BODY_SIZE, accepts_zstd: false, budget };
        fetch(target, request, &limits, expected).await
    }

    #[tokio::test(start_paused = true)]
    async fn body_keeps_its_memory_reserved() {
        let budget = BodyBudget::new(16 * MIB);
        let mut expected = 1000;
        let body = fetch_from(&target(200, 32), &budget, &mut expected).await.unwrap();
        assert_eq!((body.bytes.len(), body.content_type.as_str()), (2 * MIB, ""));
        assert!(budget.in_use() >= body.bytes.capacity(), "{} bytes", budget.in_use());
        assert_eq!(expected, 2 * MIB + MIB / 4, "the next body has some room");
        drop(body);
        assert_eq!(budget.in_use(), 0);
    }

    /// The buffer grows in advance, but not beyond the memory that there is.
    #[tokio::test(start_paused = true)]
    async fn body_may_take_all_memory_for_large_ones() {
        let budget = BodyBudget::new(10 * MIB);
        assert_eq!(budget.max_body(), 8 * MIB + 3 * MIB / 4);
        let body = fetch_from(&target(200, 8 * 16), &budget, &mut 1000).await.unwrap();
        assert_eq!(body.bytes.len(), 8 * MIB);
        drop(body);
        let error = fetch_from(&target(200, 9 * 16), &budget, &mut 1000).await.unwrap_err();
        assert!(matches!(error, FetchError::Memory(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn reading_stops_at_the_limit_and_at_other_statuses() {
        let budget = BodyBudget::new(16 * MIB);
        let endless = target(200, usize::MAX);
        let error = fetch_from(&endless, &budget, &mut 1000).await.unwrap_err();
        assert!(error.is_body_size_limit(), "{error}");
        assert_eq!(endless.sent.load(Ordering::Relaxed), BODY_SIZE >> 16);
        let failing = target(500, usize::MAX);
        let error = fetch_from(&failing, &budget, &mut 1000).await.unwrap_err();
        assert_eq!(error.to_string(), "server returned HTTP status 500 Odd");
        assert_eq!(failing.sent.load(Ordering::Relaxed), 1, "no more than 64 KiB");
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn scrape_waits_for_memory_until_its_timeout() {
        let budget = BodyBudget::new(16 * MIB);
        let others = budget.reserve(13 * MIB).await.unwrap();
        let mut expected = 1000;
        let error = fetch_from(&target(200, 100), &budget, &mut expected).await.unwrap_err();
        assert!(matches!(error, FetchError::MemoryTimeout(_)), "{error}");
        assert!(expected > MIB, "{expected}: the next scrape reserves more before it begins");
        drop(others);
        let body = fetch_from(&target(200, 100), &budget, &mut expected).await.unwrap();
        assert_eq!(body.bytes.len(), (100 * 64) << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_target_times_out() {
        let budget = BodyBudget::new(1024 * MIB);
        let error = fetch_from(&target(204, 0), &budget, &mut 1).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: 204, .. }), "{error}");
        struct Silent;
        impl Exchange for Silent {
            fn send(&self, _request: ScrapeRequest) -> ExchangeFuture {
                Box::pin(std::future::pending())
            }
        }
        let request = ScrapeRequest {
            url: "http://a/metrics".into(),
            unix_socket: None,
            accept: "*/*".into(),
            accept_encoding: "gzip",
            timeout: Duration::from_millis(1500),
        };
        assert_eq!(request.timeout_header(), "1.5");
        let limits = FetchLimits { body_size: MIB, accepts_zstd: false, budget };
        let error = fetch(&Silent, request, &limits, &mut 1).await.unwrap_err();
        assert_eq!(error.to_string(), "scrape timed out after 1.5s");
    }
}
